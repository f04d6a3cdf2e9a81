package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/gossip"
	"outrider/sidecar/app"
	"outrider/sidecar/config"
	"outrider/sidecar/health"
)

// fleet is a number of whole sidecars in this process, which check the same two
// backends.
type fleet struct {
	sidecars       []*sidecar
	victim, steady *backend
	network        *network      // nil: UDP and TCP on loopback
	meter          *meter        // of what they send each other
	joined         time.Duration // from the start of the last few until all know all
	stop           func()
}

// sidecar is one of a fleet, and when it turned away from the victim.
type sidecar struct {
	*app.App
	host  *host // nil: real sockets
	ended chan error

	mu     sync.Mutex // guards turned
	turned time.Time  // zero: it uses the victim
}

// plan is what a fleet is to be.
type plan struct {
	size    int
	network *network // nil: loopback
	gossip  bool
}

// newFleet starts the sidecars at once, and returns when each knows all others and
// has checked its backends.
func newFleet(ctx context.Context, p plan) (*fleet, error) {
	f := &fleet{network: p.network, meter: &meter{}}
	if p.network != nil {
		f.meter = p.network.meter
	}
	var err error
	if f.victim, err = newBackend(); err != nil {
		return nil, err
	}
	if f.steady, err = newBackend(); err != nil {
		f.victim.die()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	f.stop = func() {
		cancel()
		for _, s := range f.sidecars {
			<-s.ended //nolint:errcheck // what there was to measure has been measured
		}
		f.victim.die()
		f.steady.die()
	}
	if err := f.start(ctx, p); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// Hundreds of sidecars in one heap are marked again and again, all of them each time,
// and news stand still meanwhile. So while deaths are measured garbage is collected
// only when there is a lot of it.
const (
	gcAtRest  = 400 // percent, see runtime/debug
	gcInHaste = -1
	lotOfHeap = 3 << 30
)

// startAtOnce is how many sidecars start together. Hundreds would keep a few cores so
// busy that they take each other for dead.
const startAtOnce = 10

func (f *fleet) start(ctx context.Context, p plan) error {
	first, err := f.add(ctx, p, 0, "")
	if err != nil {
		return err
	}
	join := ""
	if p.gossip {
		join = first.Peers().Self.Address
	}
	for len(f.sidecars) < p.size {
		began := time.Now()
		for range min(startAtOnce, p.size-len(f.sidecars)) {
			if _, err := f.add(ctx, p, len(f.sidecars), join); err != nil {
				return err
			}
		}
		ready := func(s *sidecar) bool {
			return s.Ready() == nil && (!p.gossip || len(s.Peers().Peers) == len(f.sidecars)-1)
		}
		if err := until(ctx, 2*time.Minute, fmt.Sprintf("all %d know each other", len(f.sidecars)), each(f.sidecars, ready)); err != nil {
			return err
		}
		f.joined = time.Since(began)
	}
	return nil
}

func (f *fleet) add(ctx context.Context, p plan, i int, join string) (*sidecar, error) {
	s := &sidecar{ended: make(chan error, 1)}
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	opened := make(chan struct{})
	o := app.Options{Log: silent, OnChange: s.change(f.victim), OnOpen: func() error { close(opened); return nil }}
	switch {
	case p.network != nil:
		s.host = p.network.join(i)
		o.Transport = s.host
	case p.gossip:
		w, err := newWire(f.meter)
		if err != nil {
			return nil, err
		}
		o.Transport = w
	}
	c, err := config.Load(config.Source{Hostname: "spread", Env: []string{"OUTRIDER_CONFIG=" + f.configuration(i, join, p.gossip)}})
	if err != nil {
		return nil, err
	}
	if s.App, err = app.New(c, o); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.Run(ctx) }()
	select {
	case <-opened:
		f.sidecars = append(f.sidecars, s)
		return s, nil
	case err := <-s.ended:
		return nil, err
	}
}

func (f *fleet) configuration(i int, join string, talks bool) string {
	talk := ""
	if talks {
		joins := ""
		if join != "" {
			joins = strconv.Quote(join)
		}
		talk = fmt.Sprintf("gossip: { listen: '127.0.0.1:0', share_loopback: true, join: [%s] }\n", joins)
	}
	return fmt.Sprintf(`name: s%d
listen: "127.0.0.1:0"
status: { listen: "" }
admin: { listen: "" }
log: { access: { mode: off } }
shutdown: { grace: 1s }
clusters: { one: { backends: [%q, %q], check: { timeout: 10s } } } # a dead one refuses at once; a busy machine is not dead
%s`, i, f.victim.address, f.steady.address, talk)
}

// change notes when a sidecar turns away from the victim, and back to it.
func (s *sidecar) change(victim *backend) func(health.Change) {
	return func(c health.Change) {
		if c.Addr.String() != victim.address {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		switch c.To {
		case health.Suspect, health.Down:
			if s.turned.IsZero() {
				s.turned = time.Now()
			}
		default:
			s.turned = time.Time{}
		}
	}
}

func (s *sidecar) turnedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turned
}

var errLate = errors.New("not in time")

// each tells whether something held once for every sidecar: who was well is not
// looked at again, because looking at hundreds costs what is measured.
func each(sidecars []*sidecar, holds func(*sidecar) bool) func() bool {
	waiting := slices.Clone(sidecars)
	return func() bool {
		waiting = slices.DeleteFunc(waiting, holds)
		return len(waiting) == 0
	}
}

// until looks whether something holds.
func until(ctx context.Context, patience time.Duration, what string, holds func() bool) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-late.C:
			return fmt.Errorf("%w: %s", errLate, what)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// pause lets time pass, as users do between two failures; a random part of a second
// keeps the checks' schedule from playing along.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d + rand.N(time.Second)):
	case <-ctx.Done():
	}
}

// awaitCalm waits until nobody claims anything, and all use the victim.
func (f *fleet) awaitCalm(ctx context.Context) error {
	calm := func(s *sidecar) bool { return s.turnedAt().IsZero() && !s.holds(f.victim) }
	err := until(ctx, time.Minute, "all are back", each(f.sidecars, calm))
	if away, hear := f.restless(); err != nil {
		return fmt.Errorf("%w: %d of %d turn away, and %d hear claims, such as %s", err, away, len(f.sidecars), hear, f.sidecars[0].why(f.victim))
	}
	return err
}

// restless counts the sidecars that turn away from the victim, and those that hear
// that it is down.
func (f *fleet) restless() (away, hear int) {
	for _, s := range f.sidecars {
		if !s.turnedAt().IsZero() {
			away++
		}
		if s.holds(f.victim) {
			hear++
		}
	}
	return away, hear
}

// why is what a sidecar says of the victim.
func (s *sidecar) why(victim *backend) string {
	for _, b := range s.Health().Backends {
		if b.Address == victim.address {
			return s.Peers().Self.Name + ": " + b.Why
		}
	}
	return ""
}

// holds tells whether a sidecar has heard a peer say that the victim is down.
func (s *sidecar) holds(victim *backend) bool {
	for _, b := range s.Health().Backends {
		for _, c := range b.Claims {
			if b.Address == victim.address && c.State == gossip.Down.String() && strings.HasPrefix(c.Peer, "s") {
				return true
			}
		}
	}
	return false
}
