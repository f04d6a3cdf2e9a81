package demo

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

// sidecar is one of those that run in the demo.
type sidecar struct {
	name            string
	requests, admin *seat
	status          *seat // nil: it has none

	app   *app.App
	open  chan struct{} // closed when its listeners are open
	ended chan error    // holds what its Run returned
}

func newSidecar(name string) *sidecar {
	return &sidecar{name: name, open: make(chan struct{}), ended: make(chan error, 1)}
}

// prepare wires the sidecar; those before it are its first peers.
func (s *sidecar) prepare(o Options, of *stage, tell *teller, found script) error {
	text := s.configuration(of, found.path)
	load := func() (*config.Config, error) {
		return config.Load(config.Source{Env: []string{"OUTRIDER_CONFIG=" + text}, Hostname: s.name})
	}
	c, err := load()
	if err != nil {
		return fmt.Errorf("the demo's own configuration: %w", err)
	}
	s.app, err = app.New(c, app.Options{
		Log: newLog(of, s.name), Version: o.Version, Load: load, Token: func(config.Admin) (app.Token, error) { return app.Token{Text: o.Token}, nil },
		Listen: s.listen, OnDone: tell.of(s.name),
		OnOpen: func() error { close(s.open); return nil },
	})
	return err
}

func (s *sidecar) run(ctx context.Context) { s.ended <- s.app.Run(ctx) }

// awaitOpen waits until the sidecar listens, or can not.
func (s *sidecar) awaitOpen() error {
	select {
	case <-s.open:
		return nil
	case err := <-s.ended:
		s.ended <- err
		return err
	}
}

// listen gives the sidecar the listeners that were taken for it.
func (s *sidecar) listen(_, address string) (net.Listener, error) {
	for _, taken := range []*seat{s.requests, s.admin, s.status} {
		if taken != nil && taken.address() == address {
			return taken.net, nil
		}
	}
	return net.Listen("tcp", address)
}

func (s *sidecar) configuration(of *stage, script string) string {
	status, join := "", []string{}
	if s.status != nil {
		status = s.status.address()
	}
	for _, other := range of.sidecars {
		if other.app != nil {
			join = append(join, strconv.Quote(other.app.Peers().Self.Address))
		}
	}
	return fmt.Sprintf(`name: %s
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
gossip: { listen: "127.0.0.1:0", share_loopback: true, join: [%s] }
admin: { listen: %q }
status: { listen: %q }
shutdown: { grace: 2s }
log: { access: { mode: off } }
dev: true
`, s.name, s.requests.address(), strconv.Quote(strings.ReplaceAll(script, "$", "$$")),
		of.backends[0].address(), of.backends[1].address(), of.backends[2].address(), of.backends[3].address(),
		strings.Join(join, ", "), s.admin.address(), status)
}
