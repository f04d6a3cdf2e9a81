package gossip

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"time"
)

const (
	maxClaims      = 4096    // that a store holds
	maxPerObserver = 256     // of one observer: the ones with the highest Seq
	maxAhead       = 1 << 20 // that a Seq may be above the highest seen of its observer
	maxBehind      = 16 * maxPerObserver
)

// outcome is what became of a claim that was merged.
type outcome int

const (
	rejected outcome = iota // see the Reason
	known                   // not newer than what is held
	repeated                // newer, and says the same
	changed                 // first sight, or another state
	forged                  // in our own name, and not written by us
)

// store holds claims, at most one for each register, of admitted observers and of
// its own. It has no clock: every method that needs one is told the time.
//
// Merging takes the maximum of Seq for each register, and of those the
// maxPerObserver highest for each observer; so it is idempotent, commutative
// and associative, as long as the store as a whole has room.
type store struct {
	self      Observer
	seq       uint64 // of our latest claim
	observers map[Observer]*observed
	size      int
	sum       uint64            // of the hashes of all that is held
	oldest    time.Time         // nothing that is held was born before
	untold    map[register]bool // changed since take; true: the taker holds an older state
}

// observed is what is held of one observer, for as long as it is admitted.
type observed struct {
	top    uint64 // the highest Seq seen
	claims map[string]*held
}

type held struct {
	claim Claim // without Age
	born  time.Time
	hash  uint64
	told  bool // the taker knows that this register exists
}

func newStore(self Observer) *store {
	s := &store{self: self, observers: map[Observer]*observed{}, untold: map[register]bool{}}
	s.admit(self)
	return s
}

// admit lets an observer's claims in.
func (s *store) admit(o Observer) {
	if s.observers[o] == nil {
		s.observers[o] = &observed{claims: map[string]*held{}}
	}
}

// dismiss forgets an observer and all its claims.
func (s *store) dismiss(o Observer) {
	from := s.observers[o]
	if from == nil || o == s.self {
		return
	}
	for _, h := range from.claims {
		s.remove(h)
	}
	delete(s.observers, o)
}

// merge takes a claim that a peer made or relays. The Reason tells why it was
// rejected.
func (s *store) merge(c Claim, now time.Time) (outcome, Reason) {
	from := s.observers[c.Observer]
	switch {
	case from == nil:
		return rejected, UnknownObserver
	case c.Age >= TTL:
		return rejected, Expired
	case c.Observer == s.self:
		return s.own(c), ""
	case from.top > 0 && c.Seq > from.top && c.Seq-from.top > maxAhead:
		return rejected, Ahead
	case from.top > maxBehind && c.Seq < from.top-maxBehind:
		return rejected, Behind
	}
	from.top = max(from.top, c.Seq)
	before := from.claims[c.Key]
	if before != nil && c.Seq <= before.claim.Seq {
		return known, ""
	}
	news := repeated
	if before == nil || before.claim.State != c.State {
		news = changed
	}
	s.put(from, c, now)
	if from.claims[c.Key] == nil {
		return known, "" // it is older than all that the observer may have
	}
	return news, ""
}

// own tells whether a claim in our name is ours.
func (s *store) own(c Claim) outcome {
	h := s.observers[s.self].claims[c.Key]
	same := h != nil && h.claim.Seq == c.Seq
	if c.Seq > s.seq || same && h.claim.State != c.State {
		return forged
	}
	return known
}

// write makes a claim of our own. Not ok means that it is in force already.
func (s *store) write(key string, state State, now time.Time) (c Claim, ok bool) {
	own := s.observers[s.self]
	h := own.claims[key]
	if h != nil && h.claim.State == state || h == nil && state == Up {
		return Claim{}, false
	}
	return s.next(key, state, now), true
}

func (s *store) next(key string, state State, now time.Time) Claim {
	s.seq++
	c := Claim{Observer: s.self, Seq: s.seq, Key: key, State: state}
	s.put(s.observers[s.self], c, now)
	return c
}

// repeat makes our claims anew that are due for it: all that say that something
// is wrong and have reached the age.
func (s *store) repeat(age time.Duration, now time.Time) []Claim {
	var again []Claim
	for _, h := range s.inOrder(s.observers[s.self]) {
		if h.claim.State != Up && now.Sub(h.born) >= age {
			again = append(again, s.next(h.claim.Key, h.claim.State, now))
		}
	}
	return again
}

// rename goes on under another name, and makes those of our claims anew that say
// that something is wrong.
func (s *store) rename(self Observer, now time.Time) []Claim {
	before := s.observers[s.self]
	old := s.inOrder(before)
	for _, h := range old {
		s.remove(h)
	}
	delete(s.observers, s.self)
	s.self, s.seq = self, 0
	s.admit(self)
	var again []Claim
	for _, h := range old {
		if h.claim.State != Up {
			again = append(again, s.next(h.claim.Key, h.claim.State, now))
		}
	}
	return again
}

// put writes a register and makes room for it if there is none.
func (s *store) put(from *observed, c Claim, now time.Time) {
	h := from.claims[c.Key]
	if h == nil {
		h = &held{told: s.untold[c.register()]}
		from.claims[c.Key] = h
		s.size++
	}
	s.sum -= h.hash
	h.born = now.Add(-c.Age)
	h.claim, h.hash = c, fingerprint(c)
	h.claim.Age = 0
	s.sum += h.hash
	if s.size == 1 || h.born.Before(s.oldest) {
		s.oldest = h.born
	}
	if c.Observer != s.self {
		s.untold[c.register()] = h.told
	}
	if len(from.claims) > maxPerObserver {
		s.remove(oldest(from))
	}
	if s.size > maxClaims {
		s.remove(oldest(s.biggest()))
	}
}

// biggest is the observer with the most claims: a flood takes from itself.
func (s *store) biggest() *observed {
	return slices.MaxFunc(slices.Collect(maps.Values(s.observers)), func(a, b *observed) int {
		return cmp.Compare(len(a.claims), len(b.claims))
	})
}

func oldest(from *observed) *held {
	var first *held
	for _, h := range from.claims {
		if first == nil || h.claim.Seq < first.claim.Seq {
			first = h
		}
	}
	return first
}

// remove takes a register out. Nobody has to hear of it who never heard of the
// register; so what is untold is bounded too.
func (s *store) remove(h *held) {
	at := h.claim.register()
	delete(s.observers[at.observer].claims, at.key)
	s.size--
	s.sum -= h.hash
	if h.told {
		s.untold[at] = true
	} else {
		delete(s.untold, at)
	}
}

// expire removes the claims that are older than the TTL.
func (s *store) expire(now time.Time) {
	if s.size == 0 || now.Sub(s.oldest) < TTL {
		return
	}
	s.oldest = now
	for _, from := range s.observers {
		for _, h := range from.claims {
			if now.Sub(h.born) >= TTL {
				s.remove(h)
			} else if h.born.Before(s.oldest) {
				s.oldest = h.born
			}
		}
	}
}

// get is the claim in a register, as old as it is now.
func (s *store) get(at register, now time.Time) (Claim, bool) {
	from := s.observers[at.observer]
	if from == nil {
		return Claim{}, false
	}
	h := from.claims[at.key]
	if h == nil || now.Sub(h.born) >= TTL {
		return Claim{}, false
	}
	return h.aged(now), true
}

func (h *held) aged(now time.Time) Claim {
	c := h.claim
	c.Age = max(now.Sub(h.born), 0)
	return c
}

// claims are all that are alive, as old as they are now, by observer and Seq.
func (s *store) claims(now time.Time) []Claim {
	all := make([]Claim, 0, s.size)
	for _, from := range s.observers {
		for _, h := range from.claims {
			if now.Sub(h.born) < TTL {
				all = append(all, h.aged(now))
			}
		}
	}
	slices.SortFunc(all, compareClaims)
	return all
}

func compareClaims(a, b Claim) int {
	return cmp.Or(cmp.Compare(a.Observer, b.Observer), cmp.Compare(a.Seq, b.Seq))
}

func (s *store) inOrder(from *observed) []*held {
	return slices.SortedFunc(maps.Values(from.claims), func(a, b *held) int {
		return cmp.Compare(a.claim.Seq, b.claim.Seq)
	})
}

// digest is a sum over all claims that are alive; 0 when there is none. Stores
// that hold the same have the same.
func (s *store) digest(now time.Time) uint64 {
	s.expire(now)
	return s.sum
}

func fingerprint(c Claim) uint64 {
	var fixed [17]byte
	fixed[0] = byte(c.State)
	binary.BigEndian.PutUint64(fixed[1:], uint64(c.Observer))
	binary.BigEndian.PutUint64(fixed[9:], c.Seq)
	h := fnv.New64a()
	_, _ = h.Write(fixed[:])
	_, _ = h.Write([]byte(c.Key))
	return h.Sum64()
}

// change is what became of a peer's register.
type change struct {
	claim     Claim
	withdrawn bool // only the claim's Observer and Key are set
}

// take gives every register of a peer that changed or expired since the last take,
// once, as it is now: those that are gone first, then by observer and Seq.
func (s *store) take(now time.Time) []change {
	s.expire(now)
	changes := make([]change, 0, len(s.untold))
	for at, told := range s.untold {
		c, ok := s.get(at, now)
		switch {
		case ok:
			s.observers[at.observer].claims[at.key].told = true
			changes = append(changes, change{claim: c})
		case told:
			changes = append(changes, change{claim: Claim{Observer: at.observer, Key: at.key}, withdrawn: true})
		}
	}
	clear(s.untold)
	slices.SortFunc(changes, func(a, b change) int {
		if a.withdrawn != b.withdrawn {
			if a.withdrawn {
				return -1
			}
			return 1
		}
		return cmp.Or(compareClaims(a.claim, b.claim), cmp.Compare(a.claim.Key, b.claim.Key))
	})
	return changes
}
