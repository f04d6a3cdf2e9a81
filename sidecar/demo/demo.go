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
	script, err := findScript(o.Folder)
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
			Env: []string{"OUTRIDER_CONFIG=" + configuration(stage, script.path)}, Hostname: "demo",
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
	stage.introduce(out, script)
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

// script is the file that decides in the demo.
type script struct {
	path      string
	written   bool  // by us, just now
	elsewhere error // why it is not in the demo's folder
}

// findScript is the script of a clone, where there is one, and else route.js,
// which is written if it is not there: into a temporary folder where the demo's
// own can not be written to, as in a container that may change nothing.
func findScript(folder string) (script, error) {
	inClone := join(folder, "scripts/default.js")
	if _, err := os.Stat(inClone); err == nil {
		return script{path: inClone}, nil
	}
	found, elsewhere := findStarter(folder)
	if elsewhere == nil {
		return found, nil
	}
	temporary, err := os.MkdirTemp("", "outrider-demo-")
	if err == nil {
		found, err = findStarter(temporary)
	}
	if err != nil {
		return script{}, fmt.Errorf("write a script to edit: %w; nor elsewhere: %w; start the demo in a folder that you may write to", elsewhere, err)
	}
	found.elsewhere = elsewhere
	return found, nil
}

// findStarter is route.js in a folder, which is written if it is not there.
func findStarter(folder string) (script, error) {
	path := join(folder, "route.js")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return script{path: path}, nil
	}
	if err != nil {
		return script{}, err
	}
	_, err = f.Write(starterScript)
	return script{path: path, written: true}, errors.Join(err, f.Close())
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
