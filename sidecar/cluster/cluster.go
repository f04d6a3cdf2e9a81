// Package cluster holds named groups of backends and lets requests take turns
// among those that can be used. It knows addresses, weights and the health that
// it is told; it opens no connection, and nothing but Resolver asks the network.
package cluster

import (
	"crypto/tls"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"outrider/sidecar/proxyproto"
)

// Policy is how requests to a cluster are sent. It is replaced whole and never
// changed once it was handed to a Cluster.
type Policy struct {
	Connect      time.Duration // longest wait for a connection
	Response     time.Duration // longest wait for the response head
	StreamIdle   time.Duration // longest silence inside a body
	UpstreamIdle time.Duration // how long an unused connection is kept

	Retries     int           // further tries after the first, as far as the budget goes
	Balance     Balance       // how Pick chooses
	Key         KeySource     // for Hash
	MaxInFlight int           // requests to one backend at a time; 0: no limit
	SlowStart   time.Duration // in which a backend that comes or comes back gets its share
	Outliers    *Statuses     // responses that count as failures of the backend; nil: none

	Host     string      // Host header to send; empty passes the client's on
	TLS      *tls.Config // nil sends cleartext
	Protocol Protocol    // TLS offers what belongs to it

	SendProxy proxyproto.Version // of the header that tells backends who the client is

	// TryWhenAllDown sends requests to backends that are down when no other is
	// left. Without it such a request has no backend.
	TryWhenAllDown bool
}

// Protocol is the version of HTTP that is spoken to backends.
type Protocol uint8

// Versions of HTTP.
const (
	HTTP1      Protocol = iota
	HTTP2               // with prior knowledge, or agreed on in the TLS handshake, which else fails
	Negotiated          // what the backend chooses in the TLS handshake (ALPN)
)

// Member is one backend as it should be: what it is called in the
// configuration, where it is, and its share. A weight below 1 counts as 1.
type Member struct {
	Name   string
	Addr   netip.AddrPort
	Weight int
}

// Cluster is a named group of backends. All methods may be called from any
// goroutine; Pick, Policy and the questions never wait for a lock.
type Cluster struct {
	name     string
	policy   atomic.Pointer[Policy]
	rotation atomic.Pointer[rotation]

	_    [cacheLine]byte
	turn atomic.Uint64 // survives every change of the rotation
	_    [cacheLine]byte

	began  time.Time
	budget budget
	broke  atomic.Uint64 // further tries that the budget refused

	mu      sync.Mutex // one change of the rotation at a time; guards what follows
	members []share
	steps   []int // of the members' slow starts, in the rotation
}

// New makes a cluster without members. Its first turn is drawn from rng, so that
// sidecars which start together do not all begin with the same backend, nor draw
// alike.
func New(name string, policy *Policy, rng *rand.Rand) *Cluster {
	c := &Cluster{name: name, began: time.Now()}
	c.policy.Store(policy)
	c.rotation.Store(newRotation(nil))
	c.turn.Store(uint64(rng.Uint32()))
	c.budget.begin(c.turn.Load())
	return c
}

// Name is the cluster's name in the configuration.
func (c *Cluster) Name() string { return c.name }

// Policy is the policy in force.
func (c *Cluster) Policy() *Policy { return c.policy.Load() }

// SetPolicy replaces the policy; requests that already asked keep the old one.
func (c *Cluster) SetPolicy(p *Policy) { c.policy.Store(p) }

// SetMembers replaces the members and returns the backends that left, whose
// connections and health nobody needs any more. A backend whose address stays
// is the same Backend as before, with its counters and state, even if its name
// or weight changed. Members with one address are one backend: the first names
// it, the weights add up. Backends that join others start slowly, where the policy
// says so.
func (c *Cluster) SetMembers(members []Member) (left []*Backend) {
	c.mu.Lock()
	defer c.mu.Unlock()

	now := time.Now()
	known := make(map[netip.AddrPort]*Backend, len(c.members))
	for _, s := range c.members {
		known[s.backend.addr] = s.backend
	}
	next := make([]share, 0, len(members))
	at := make(map[netip.AddrPort]int, len(members))
	for _, m := range members {
		if i, again := at[m.Addr]; again {
			next[i].weight += max(m.Weight, 1)
			continue
		}
		b := known[m.Addr]
		if b == nil {
			b = &Backend{cluster: c.name, addr: m.Addr, hash: KeyOf(m.Addr.String())}
			c.slowly(b, len(c.members) > 0, now)
		}
		delete(known, m.Addr)
		b.label.Store(newLabel(m.Name, m.Addr))
		at[m.Addr] = len(next)
		next = append(next, share{b, max(m.Weight, 1)})
	}
	for _, s := range c.members {
		if known[s.backend.addr] != nil {
			left = append(left, s.backend)
		}
	}
	c.members = next
	c.rotate(now)
	return left
}

// slowly begins the slow start of a backend that joins others, or ends it.
func (c *Cluster) slowly(b *Backend, joins bool, now time.Time) {
	if b.ramp = (time.Time{}); joins && c.policy.Load().SlowStart > 0 {
		b.ramp = now
	}
}

// SetState tells what is thought of the backend at addr. An address that is no
// member is ignored. A backend of which nothing was told yet is Up. One that was
// Down or on Trial before starts slowly, where the policy says so.
func (c *Cluster) SetState(addr netip.AddrPort, s State) {
	c.mu.Lock()
	defer c.mu.Unlock()

	i := slices.IndexFunc(c.members, func(m share) bool { return m.backend.addr == addr })
	if i < 0 || c.members[i].backend.State() == s {
		return
	}
	b, now := c.members[i].backend, time.Now()
	if was := b.State(); was == Down || was == Trial {
		c.slowly(b, s == Up || s == Suspect || s == Draining, now)
	}
	b.state.Store(uint32(s))
	c.rotate(now)
}

// Pick is the backend that a request goes to, chosen by the policy's Balance. It
// never gives one that was tried already: nil means that no usable backend is left
// to try, or that MaxTries were tried. Suspects are chosen only when every other
// usable backend was tried, unless more than half of the usable ones are suspect;
// those that drain after them. With nothing usable at all the policy decides between
// nil and a choice among all.
//
// Pick takes a place at the backend, for the caller to give back by Leave. Those
// that have none left (MaxInFlight) are passed over, and tried notes that there
// were some.
//
// Pick takes no lock and allocates nothing. A nil tried stands for none.
func (c *Cluster) Pick(tried *Tried) *Backend {
	r, policy := c.rotation.Load(), c.policy.Load()
	d := c.draw(policy.Balance, tried)
	if tried.exhausted() || r.usable == 0 && !policy.TryWhenAllDown {
		return nil
	}
	if b := r.preferred.pick(d, tried, int64(policy.MaxInFlight)); b != nil {
		return b
	}
	if b := r.reserve.pick(d, tried, int64(policy.MaxInFlight)); b != nil {
		return b
	}
	return r.last.pick(d, tried, int64(policy.MaxInFlight))
}

// Again takes a place at a backend that a request was sent to before, as Pick
// does. It reports false when there is none.
func (c *Cluster) Again(b *Backend) bool { return b.enter(int64(c.policy.Load().MaxInFlight)) }

// MayRetry takes one further try from the cluster's budget, and reports false
// when that is used up.
func (c *Cluster) MayRetry() bool {
	if c.budget.spend(c.turn.Load(), time.Since(c.began)) {
		return true
	}
	c.broke.Add(1)
	return false
}

// RetriesRefused counts the further tries that the budget refused.
func (c *Cluster) RetriesRefused() uint64 { return c.broke.Load() }

// Usable is how many backends are not down.
func (c *Cluster) Usable() int { return c.rotation.Load().usable }

// Total is how many backends the cluster has.
func (c *Cluster) Total() int { return len(c.rotation.Load().members) }

// Backends are the members in the order of SetMembers, for the caller to keep.
func (c *Cluster) Backends() []*Backend {
	return slices.Clone(c.rotation.Load().members)
}
