// Package demo is the whole thing with nothing around it: sample backends, two
// clusters, three sidecars that gossip and a script to edit, in one process.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
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
	Requests, Admin [3]int // of the sidecars
	Status, Control int
	Backends        [4]int
}

// DefaultPorts are the program's usual ports, and some beside them.
func DefaultPorts() Ports {
	return Ports{
		Requests: [3]int{6188, 6288, 6388}, Admin: [3]int{6189, 6289, 6389}, Status: 6190, Control: 6187,
		Backends: [4]int{6101, 6102, 6201, 6202},
	}
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
	return runAll(ctx, o, stage, script)
}

// runAll runs the parts until ctx is done or a sidecar can not go on.
func runAll(ctx context.Context, o Options, s *stage, found script) error {
	tell := newTeller(s.out, s.names())
	var parts sync.WaitGroup
	defer parts.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts.Go(func() { s.run(ctx) })
	parts.Go(func() { tell.run(ctx) })
	for _, one := range s.sidecars {
		if err := one.prepare(o, s, tell, found); err != nil {
			return err
		}
		parts.Go(func() { one.run(ctx) })
		if err := one.awaitOpen(); err != nil {
			return err
		}
	}
	s.introduce(found)
	return s.awaitEnd(ctx)
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
