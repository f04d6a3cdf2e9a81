// Package demo is the whole thing with nothing around it: sample backends, two
// clusters, the sidecar and a script to edit, in one process.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

// Options are what the demo needs from outside.
type Options struct {
	Out     io.Writer // where everything is told; written to by one goroutine at a time
	Colours bool
	Host    string // the address to listen on: loopback, or all inside a container
	Folder  string // where the script is, or is written
	Version string
	Token   string // opens the admin listener
	// Ports are the preferred ones; zero values take any free port.
	Ports Ports
}

// Ports are the ports that the demo likes to use. One that is busy is replaced
// by another.
type Ports struct {
	Requests, Admin, Status, Control int
	Backends                         [4]int
}

// DefaultPorts are the program's usual ports, and some beside them.
func DefaultPorts() Ports {
	return Ports{Requests: 6188, Admin: 6189, Status: 6190, Control: 6187, Backends: [4]int{6101, 6102, 6201, 6202}}
}

// Run shows the demo until ctx is done.
func Run(ctx context.Context, o Options) error {
	out := &console{out: o.Out, colours: o.Colours}
	script, written, err := findScript(o.Folder)
	if err != nil {
		return err
	}
	stage, err := newStage(o, out)
	if err != nil {
		return err
	}
	defer stage.close()
	load := func() (*config.Config, error) {
		return config.Load(config.Source{
			Env: []string{"OUTRIDER_CONFIG=" + configuration(stage, script)}, Hostname: "demo",
		})
	}
	c, err := load()
	if err != nil {
		return fmt.Errorf("the demo's own configuration: %w", err)
	}
	names := stage.names()
	tell := newTeller(out, names)
	a, err := app.New(c, app.Options{
		Log: newLog(out, names), Version: o.Version, Load: load, Token: o.Token,
		Listen: stage.listen, OnDone: tell.request,
	})
	if err != nil {
		return err
	}
	stage.introduce(out, script, written)
	return runAll(ctx, a, stage, tell)
}

// runAll runs the parts until ctx is done or the sidecar can not go on.
func runAll(ctx context.Context, a *app.App, s *stage, tell *teller) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts.Go(func() { s.run(ctx) })
	parts.Go(func() { tell.run(ctx) })
	return a.Run(ctx)
}

// starterScript decides as the built-in rule does.
//
//go:embed route.js
var starterScript []byte

// findScript is the script of a clone, where there is one, and else route.js,
// which is written if it is not there.
func findScript(folder string) (path string, written bool, err error) {
	inClone := join(folder, "scripts/default.js")
	if _, err := os.Stat(inClone); err == nil {
		return inClone, false, nil
	}
	own := join(folder, "route.js")
	f, err := os.OpenFile(own, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return own, false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("write a script to edit: %w; start the demo in a folder that you may write to", err)
	}
	_, err = f.Write(starterScript)
	return own, true, errors.Join(err, f.Close())
}

func join(folder, name string) string {
	if folder == "" || folder == "." {
		return "./" + name
	}
	return strings.TrimSuffix(folder, "/") + "/" + name
}

func configuration(s *stage, script string) string {
	quoted := strconv.Quote(strings.ReplaceAll(script, "$", "$$"))
	return fmt.Sprintf(`name: demo
listen: %q
script: { file: %s }
clusters:
  one:
    backends: [%q, %q]
    check: { type: http, path: /healthz, interval: 500ms, timeout: 500ms }
  two:
    backends: [%q, %q]
    check: { type: http, path: /healthz, interval: 500ms, timeout: 500ms }
default_cluster: two
admin: { listen: %q }
status: { listen: %q }
shutdown: { grace: 2s }
log: { access: { mode: off } }
`, s.requests.address(), quoted,
		s.backends[0].address(), s.backends[1].address(), s.backends[2].address(), s.backends[3].address(),
		s.admin.address(), s.status.address())
}
