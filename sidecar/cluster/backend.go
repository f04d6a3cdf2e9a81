package cluster

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// State is what is thought of a backend.
type State uint8

// A backend is Up until somebody says otherwise.
const (
	Up       State = iota
	Suspect        // usable, but after the others
	Down           // not usable
	Trial          // usable by one request at a time, until it is known to be Up or Down
	Draining       // usable, but after all others: it is about to leave
)

func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Suspect:
		return "suspect"
	case Down:
		return "down"
	case Trial:
		return "trial"
	case Draining:
		return "draining"
	}
	return "unknown"
}

// Backend is one address of a cluster. The pointer is its identity: it stays
// the same over every reload and resolution that keeps cluster and address, so
// connection pools and the like can be keyed by it.
type Backend struct {
	cluster string
	addr    netip.AddrPort
	hash    uint64 // of addr
	label   atomic.Pointer[label]
	state   atomic.Uint32

	ramp time.Time // when its slow start began; zero: it has its whole share; guarded by the cluster's mu

	counters Counters
}

// Addr is where the backend is.
func (b *Backend) Addr() netip.AddrPort { return b.addr }

// ClusterName is the name of the cluster that it belongs to.
func (b *Backend) ClusterName() string { return b.cluster }

// Address is Addr as text, without making it anew each time.
func (b *Backend) Address() string { return b.label.Load().address }

// Name is the backend as configured: "app-a:8080".
func (b *Backend) Name() string { return b.label.Load().name }

// String is the name, followed by the address when the name is not one:
// "app-a:8080 (10.0.0.7:8080)".
func (b *Backend) String() string { return b.label.Load().long }

// State is what is thought of it at the moment.
func (b *Backend) State() State { return State(b.state.Load()) }

// Counters are what happened to requests sent to it.
func (b *Backend) Counters() *Counters { return &b.counters }

// enter takes a place for one more request, unless limit are under way: then it
// reports false. A limit of 0 is none. The places given out are never more than
// the limit; while some are being taken and given back at the very edge, a
// backend can seem full for a moment.
func (b *Backend) enter(limit int64) bool {
	if b.State() == Trial {
		limit = 1
	}
	n := &b.counters.InFlight
	if limit <= 0 {
		n.Add(1)
		return true
	}
	if n.Load() >= limit {
		return false
	}
	if n.Add(1) > limit {
		n.Add(-1)
		return false
	}
	return true
}

// hasPlace tells whether enter would find a place.
func (b *Backend) hasPlace(limit int64) bool {
	if b.State() == Trial {
		limit = 1
	}
	return limit <= 0 || b.counters.InFlight.Load() < limit
}

// Leave gives back the place that Pick or Again took.
func (b *Backend) Leave() { b.counters.InFlight.Add(-1) }

// label is what a backend is called; a reload may change it.
type label struct{ name, long, address string }

func newLabel(name string, addr netip.AddrPort) *label {
	literal, err := netip.ParseAddrPort(name)
	if err == nil && literal == addr {
		return &label{name, name, name}
	}
	return &label{name, name + " (" + addr.String() + ")", addr.String()}
}
