package app

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"outrider/sidecar/config"
	"outrider/sidecar/stream"
)

// Sockets are listening sockets that whoever started the process holds open, by the
// names of listeners, or "status" or "admin". They outlast the process: who connects
// while nobody serves waits for the next one.
type Sockets map[string]*os.File

// check tells which of them nobody would serve: their clients would wait for ever.
func (s Sockets) check(c *config.Config) error {
	known := []string{"status", "admin"}
	for _, l := range c.Listen {
		known = append(known, l.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("a socket was passed on that is named %q, and no listener is: write FileDescriptorName= with one of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// open gives a listener of the socket; one of a name can be opened again when it was
// closed.
func (s Sockets) open(name string) (ln net.Listener, inherited bool, err error) {
	file, inherited := s[name]
	if !inherited {
		return nil, false, nil
	}
	ln, err = net.FileListener(file)
	if err != nil {
		return nil, true, fmt.Errorf("the socket that was passed on as %q: %w", name, err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		_ = ln.Close()
		return nil, true, fmt.Errorf("the socket that was passed on as %q is not one of TCP: write ListenStream= with a port", name)
	}
	return stream.Shared{TCPListener: tcp}, true, nil
}

// listen opens a listener, where it was not passed on open.
func (a *App) listen(name, address string) (net.Listener, error) {
	if ln, inherited, err := a.options.Sockets.open(name); inherited {
		return ln, err
	}
	return a.options.Listen(name, address)
}

// Stage is what a sidecar is at.
type Stage uint8

// What a sidecar is at.
const (
	Serving   Stage = iota // whoever connects is let in
	Reloading              // Serving comes again when that is over
	Stopping
)

// enter tells what the sidecar is at. What stops does nothing else any more.
func (a *App) enter(s Stage) {
	a.stages.Lock()
	defer a.stages.Unlock()
	if a.options.OnStage == nil || a.stopping {
		return
	}
	a.stopping = s == Stopping
	a.options.OnStage(s)
}
