package health

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Claim is what a peer says of a subject.
type Claim struct {
	Subject
	State    ClaimState
	Observer uint64     // who says it: a number that no two processes share
	Peer     string     // what people call him
	From     netip.Addr // where he is
	Made     time.Time  // when he saw it, by our clock
}

// ClaimState is what a claim says.
type ClaimState uint8

// What a peer can say of a backend.
const (
	ClaimedUp ClaimState = iota
	ClaimedDown
	ClaimedDraining
)

func (s ClaimState) String() string {
	switch s {
	case ClaimedUp:
		return "up"
	case ClaimedDown:
		return "down"
	case ClaimedDraining:
		return "draining"
	}
	return "unknown"
}

// hearsay is what peers claim at the moment, by place. It decides nothing and has no
// clock. Its size is that of what is heard and not withdrawn.
type hearsay map[Place]map[voice]Claim

// voice is one of the things that an observer can say about a place.
type voice struct {
	observer uint64
	kind     ClaimKind
	path     uint32
}

func (c *Claim) voice() voice { return voice{c.Observer, c.Kind, c.Path} }

func (h hearsay) put(c Claim) {
	about := h[c.Place]
	if about == nil {
		about = map[voice]Claim{}
		h[c.Place] = about
	}
	about[c.voice()] = c
}

func (h hearsay) drop(observer uint64, s Subject) {
	about := h[s.Place]
	delete(about, voice{observer, s.Kind, s.Path})
	if len(about) == 0 {
		delete(h, s.Place)
	}
}

// about is all that is said of a place, the latest first.
func (h hearsay) about(p Place) []Claim {
	all := make([]Claim, 0, len(h[p]))
	for _, c := range h[p] {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Claim) int {
		return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Observer, b.Observer), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// down tells whether somebody says that a subject is down, in a way that counts for
// who looks at it like that: by the same kind of check, or by requests.
func (h hearsay) down(s Subject) bool {
	for _, c := range h[s.Place] {
		if c.State == ClaimedDown && counts(c.Subject, s) {
			return true
		}
	}
	return false
}

// counts tells whether a claim is about what we look at ourselves.
func counts(claim, own Subject) bool {
	return claim.Kind == ByTraffic || claim.Kind == own.Kind && claim.Path == own.Path
}

// downs is how many observers say that a place is down, in whatever way.
func (h hearsay) downs(p Place) int {
	n := 0
	seen := make(map[uint64]bool, len(h[p]))
	for _, c := range h[p] {
		if c.State == ClaimedDown && !seen[c.Observer] {
			seen[c.Observer] = true
			n++
		}
	}
	return n
}

// draining is since when a place is being drained by who may say so; zero: it is not.
func (h hearsay) draining(p Place, local bool) (since time.Time) {
	p.ServerName = ""
	for _, c := range h[p] {
		if c.State == ClaimedDraining && mayDrain(c, local) && (since.IsZero() || c.Made.Before(since)) {
			since = c.Made
		}
	}
	return since
}

// mayDrain tells whether who claims it owns what is to be drained: an address of his
// own, or, where the peers are on this host, one of the host itself.
func mayDrain(c Claim, local bool) bool {
	addr := c.Addr.Addr().Unmap()
	return c.Kind == ByOwner && (addr == c.From.Unmap() || local && addr.IsLoopback() && c.From.IsLoopback())
}
