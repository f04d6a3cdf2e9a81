package cluster

import (
	"net/netip"
	"sync/atomic"
)

// State is what is thought of a backend.
type State uint8

// A backend is Up until somebody says otherwise.
const (
	Up      State = iota
	Suspect       // usable, but after the others
	Down          // not usable
)

func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Suspect:
		return "suspect"
	case Down:
		return "down"
	}
	return "unknown"
}

// Backend is one address of a cluster. The pointer is its identity: it stays
// the same over every reload and resolution that keeps cluster and address, so
// connection pools and the like can be keyed by it.
type Backend struct {
	cluster string
	addr    netip.AddrPort
	label   atomic.Pointer[label]
	state   atomic.Uint32

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

// label is what a backend is called; a reload may change it.
type label struct{ name, long, address string }

func newLabel(name string, addr netip.AddrPort) *label {
	literal, err := netip.ParseAddrPort(name)
	if err == nil && literal == addr {
		return &label{name, name, name}
	}
	return &label{name, name + " (" + addr.String() + ")", addr.String()}
}
