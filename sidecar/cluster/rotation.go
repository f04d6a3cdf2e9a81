package cluster

import "slices"

// share is a backend and its weight, at least 1.
type share struct {
	backend *Backend
	weight  int
}

// part is the share of a backend that has come to step of rampSteps.
func (s share) part(step int) share { return share{s.backend, s.weight * step} }

// rotation is who takes turns, worked out once per change and never modified.
type rotation struct {
	members   []*Backend
	usable    int
	preferred sequence // whom to pick
	reserve   sequence // suspects, for requests that tried all the preferred
	last      sequence // draining ones, for requests that tried all those
}

// newRotation sorts the members by their state. The reserve stays empty when
// suspects are more than half of the usable backends: whoever spreads doubt
// about most of a cluster must not herd its load onto the rest. Who drains is picked
// when nobody else is left. With nothing usable all are preferred, for clusters
// that try anyway.
func newRotation(shares []share) *rotation {
	r := &rotation{members: make([]*Backend, 0, len(shares))}
	var trusted, suspects, draining []share
	for _, s := range shares {
		r.members = append(r.members, s.backend)
		switch s.backend.State() {
		case Up, Trial:
			trusted = append(trusted, s)
		case Suspect:
			suspects = append(suspects, s)
		case Draining:
			draining = append(draining, s)
		}
	}
	staying := len(trusted) + len(suspects)
	r.usable = staying + len(draining)
	switch {
	case r.usable == 0:
		r.preferred = newSequence(shares)
		return r
	case 2*len(suspects) > staying:
		r.preferred = newSequence(stayingOf(shares))
	default:
		r.preferred = newSequence(trusted)
		r.reserve = newSequence(suspects)
	}
	r.last = newSequence(draining)
	return r
}

// stayingOf are those that are neither down nor draining, in their order.
func stayingOf(shares []share) []share {
	return slices.DeleteFunc(slices.Clone(shares), func(s share) bool {
		return s.backend.State() == Down || s.backend.State() == Draining
	})
}

// sequence is a cycle of turns in which each backend appears as often as its
// weight says.
type sequence struct {
	backends []*Backend
	weights  []int // of backends
	turns    []*Backend
}

func newSequence(shares []share) sequence {
	var s sequence
	for _, sh := range shares {
		s.backends = append(s.backends, sh.backend)
		s.weights = append(s.weights, sh.weight)
	}
	order := smooth(reduce(s.weights, maxTurns))
	s.turns = make([]*Backend, len(order))
	for i, who := range order {
		s.turns[i] = s.backends[who]
	}
	return s
}

// pick is the backend of this turn, or the next one that was not tried and has a
// place left below limit, which is taken.
func (s *sequence) pick(turn uint64, tried *Tried, limit int64) *Backend {
	if len(s.turns) == 0 {
		return nil
	}
	at := int(turn % uint64(len(s.turns)))
	if b := s.turns[at]; !tried.Has(b) && b.enter(limit) {
		return b
	}
	return s.after(at, tried, limit)
}

// after looks for an untried backend with a place left behind position at. A
// cycle can be long: the short list of those that cannot be it comes first.
func (s *sequence) after(at int, tried *Tried, limit int64) *Backend {
	open := 0
	for _, b := range s.backends {
		switch {
		case tried.Has(b):
		case b.hasPlace(limit):
			open++
		case tried != nil:
			tried.full = true
		}
	}
	for i := 0; i < len(s.turns) && open > 0; i++ {
		b := s.turns[(at+i)%len(s.turns)]
		if !tried.Has(b) && b.enter(limit) {
			return b
		}
	}
	if open > 0 && tried != nil {
		tried.full = true
	}
	return nil
}
