package cluster

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// lookupTimeout ends a question that nobody answers; it counts as a failed
	// one.
	lookupTimeout = 10 * time.Second

	// kickSpacing is the shortest time between two questions for one host, so
	// that failing dials do not become a flood of questions.
	kickSpacing = time.Second

	// goneAfter is how long a host that does not exist any more keeps its
	// addresses: zones are replaced and servers restarted, and for a moment
	// they know nobody.
	goneAfter = 30 * time.Second

	// maxAsking bounds the questions under way at once.
	maxAsking = 16
)

// Lookup asks for addresses; *net.Resolver is one. Network is "ip4" or "ip6".
type Lookup interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ResolverOptions are what a Resolver needs from outside. The functions are
// called by Run, one at a time, and must not block for long.
type ResolverOptions struct {
	Lookup    Lookup
	OnMembers func([]Member)               // each new list of members, to keep
	OnTrouble func(host string, err error) // a host cannot be resolved; nil when it can again; may be nil
}

// Resolver turns the names of a cluster's backends into members, and keeps
// doing so: it asks for every host at an interval and after a kick. An answer
// replaces what was known at once. A failed or unanswered question keeps it,
// and so does, for thirty seconds, the answer that there is no such host.
// Addresses are never asked for, nor is localhost, which is the loopback
// address by definition (RFC 6761, section 6.3).
//
// The methods may be called from any goroutine.
type Resolver struct {
	lookup    Lookup
	onMembers func([]Member)
	onTrouble func(string, error)

	wake       chan struct{} // holds one: wanted changed
	kicks      chan string
	answers    chan answer
	firstRound chan struct{}

	mu     sync.Mutex
	wanted *resolution // what Set gave last, until Run adopts it

	// The rest belongs to Run.
	resolution
	hosts     map[string]*host
	asking    int
	published []Member
}

// host is what is known of one name.
type host struct {
	name    string
	addrs   []netip.Addr // sorted
	due     time.Time    // next question
	asked   time.Time    // last question
	asking  bool
	heard   bool      // whether any question came to an end
	missing time.Time // since when it is said not to exist
	trouble bool      // told to OnTrouble
}

type answer struct {
	host  *host
	addrs []netip.Addr
	err   error
}

// NewResolver makes a Resolver without names.
func NewResolver(o ResolverOptions) *Resolver {
	r := &Resolver{
		lookup:     o.Lookup,
		onMembers:  o.OnMembers,
		onTrouble:  o.OnTrouble,
		wake:       make(chan struct{}, 1),
		kicks:      make(chan string, 16),
		answers:    make(chan answer),
		firstRound: make(chan struct{}),
		hosts:      map[string]*host{},
	}
	if r.onTrouble == nil {
		r.onTrouble = func(string, error) {}
	}
	return r
}

// Set replaces the names. What is known of a host stays known. Members that
// serve already stay until the new hosts were asked for once, so that a reload
// leaves no gap. The error names the first address that is none.
func (r *Resolver) Set(names Names) error {
	wanted, err := parse(names)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.wanted = wanted
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return nil
}

// Kick asks for the backend's host again, soon: a dial to it failed, perhaps
// because it moved. Address is the backend as configured. Kick never blocks and
// may be called on every failure; a host is asked for at most once a second.
func (r *Resolver) Kick(address string) {
	select {
	case r.kicks <- address:
	default: // as many kicks wait already
	}
}

// FirstRound is closed when names were set and every host among them was asked
// for once, whatever the answer, and the members were handed on.
func (r *Resolver) FirstRound() <-chan struct{} { return r.firstRound }

// Run resolves until ctx ends, and returns when the last question is over.
func (r *Resolver) Run(ctx context.Context) {
	var questions sync.WaitGroup
	defer questions.Wait()

	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		family := r.family
		for _, h := range r.begin(time.Now()) {
			questions.Go(func() { r.ask(ctx, h, family) })
		}
		if wait, ok := r.idle(time.Now()); ok {
			alarm.Reset(wait)
		} else {
			alarm.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			r.adopt(time.Now())
		case address := <-r.kicks:
			r.kick(address)
		case a := <-r.answers:
			r.take(a, time.Now())
		case <-alarm.C:
		}
	}
}

// adopt begins with the names that Set gave.
func (r *Resolver) adopt(now time.Time) {
	r.mu.Lock()
	wanted := r.wanted
	r.wanted = nil
	r.mu.Unlock()
	if wanted == nil {
		return
	}
	known := r.hosts
	if wanted.family != r.family {
		known = nil // their addresses may be of the other family
	}
	r.resolution = *wanted
	r.hosts = map[string]*host{}
	for _, e := range r.endpoints {
		if e.host == "" || r.hosts[e.host] != nil {
			continue
		}
		h := known[e.host]
		if h == nil {
			h = &host{name: e.host, due: now}
		}
		if next := now.Add(r.interval); h.due.After(next) {
			h.due = next
		}
		r.hosts[e.host] = h
	}
	r.publish()
}

// begin gives the hosts to ask for now, those that waited longest first.
func (r *Resolver) begin(now time.Time) []*host {
	var due []*host
	for _, h := range r.hosts {
		if !h.asking && !h.due.After(now) {
			due = append(due, h)
		}
	}
	slices.SortFunc(due, func(a, b *host) int { return a.due.Compare(b.due) })
	due = due[:min(len(due), maxAsking-r.asking)]
	for _, h := range due {
		h.asking, h.asked = true, now
	}
	r.asking += len(due)
	return due
}

// idle is how long there is nothing to begin; not ok means until an event.
func (r *Resolver) idle(now time.Time) (wait time.Duration, ok bool) {
	if r.asking == maxAsking {
		return 0, false
	}
	for _, h := range r.hosts {
		if h.asking {
			continue
		}
		if left := max(h.due.Sub(now), 0); !ok || left < wait {
			wait, ok = left, true
		}
	}
	return wait, ok
}

// ask asks one question and hands in the answer.
func (r *Resolver) ask(ctx context.Context, h *host, family Family) {
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := r.resolve(limited, h.name, family)
	select {
	case r.answers <- answer{h, addrs, err}:
	case <-ctx.Done():
	}
}

// resolve asks for one family at a time: asking for both would give IPv6
// alone whenever the question for IPv4 fails, and the backend would seem to
// have moved.
func (r *Resolver) resolve(ctx context.Context, name string, family Family) ([]netip.Addr, error) {
	switch family {
	case IPv4:
		return r.lookup.LookupNetIP(ctx, "ip4", name)
	case IPv6:
		return r.lookup.LookupNetIP(ctx, "ip6", name)
	}
	addrs, err := r.lookup.LookupNetIP(ctx, "ip4", name)
	if missing(err) || err == nil && len(addrs) == 0 {
		return r.lookup.LookupNetIP(ctx, "ip6", name)
	}
	return addrs, err
}

// missing tells whether err is the answer that there is no such host, or none
// with addresses of this family, in contrast to no answer.
func missing(err error) bool {
	if unknown, ok := errors.AsType[*net.DNSError](err); ok {
		return unknown.IsNotFound
	}
	// What the hosts file yields when it has only the other family.
	_, ok := errors.AsType[*net.AddrError](err)
	return ok
}

// kick moves the next question for a backend's host nearer.
func (r *Resolver) kick(address string) {
	i := slices.IndexFunc(r.endpoints, func(e endpoint) bool { return e.Address == address })
	if i < 0 {
		return
	}
	h := r.hosts[r.endpoints[i].host]
	if h == nil {
		return // an address, nothing to ask
	}
	if soon := h.asked.Add(kickSpacing); h.due.After(soon) {
		h.due = soon
	}
}

// take makes use of an answer.
func (r *Resolver) take(a answer, now time.Time) {
	r.asking--
	h := a.host
	h.asking, h.heard = false, true
	h.due = now.Add(r.interval)
	if r.hosts[h.name] != h {
		return // nobody wants it any more
	}
	if a.err == nil && len(a.addrs) == 0 {
		a.err = &net.DNSError{Err: "no addresses", Name: h.name, IsNotFound: true}
	}
	if a.err == nil {
		h.addrs, h.missing = sorted(a.addrs), time.Time{}
	} else if missing(a.err) {
		r.miss(h, now)
	}
	if h.trouble != (a.err != nil) {
		h.trouble = a.err != nil
		r.onTrouble(h.name, a.err)
	}
	r.publish()
}

// miss notes that a host is said not to exist, and forgets its addresses when
// this was said for long enough. The next question comes no later than that.
func (r *Resolver) miss(h *host, now time.Time) {
	if h.missing.IsZero() {
		h.missing = now
	}
	gone := h.missing.Add(goneAfter)
	switch {
	case !now.Before(gone):
		h.addrs = nil
	case h.due.After(gone):
		h.due = gone
	}
}

func sorted(addrs []netip.Addr) []netip.Addr {
	unmapped := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		unmapped[i] = a.Unmap()
	}
	slices.SortFunc(unmapped, netip.Addr.Compare)
	return slices.Compact(unmapped)
}

// publish hands on the members if they are others than before.
func (r *Resolver) publish() {
	members, complete := r.members()
	if !complete {
		members = append(members, r.staying(members)...)
	}
	if !slices.Equal(members, r.published) {
		r.published = members
		r.onMembers(slices.Clone(members))
	}
	if complete {
		r.closeFirstRound()
	}
}

// members is what the names stand for as far as known; complete tells whether
// every host was asked for.
func (r *Resolver) members() (members []Member, complete bool) {
	complete = true
	for _, e := range r.endpoints {
		if e.host == "" {
			members = append(members, e.member(e.addr))
			continue
		}
		h := r.hosts[e.host]
		complete = complete && h.heard
		for _, addr := range h.addrs {
			members = append(members, e.member(addr))
		}
	}
	return members, complete
}

// staying are the members handed on before whose addresses are not among the
// new ones.
func (r *Resolver) staying(members []Member) []Member {
	var staying []Member
	for _, old := range r.published {
		if !slices.ContainsFunc(members, func(m Member) bool { return m.Addr == old.Addr }) {
			staying = append(staying, old)
		}
	}
	return staying
}

func (r *Resolver) closeFirstRound() {
	select {
	case <-r.firstRound:
	default:
		close(r.firstRound)
	}
}
