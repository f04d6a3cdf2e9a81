package cluster

// sequence is a cycle of turns in which each backend appears as often as its
// weight says.
type sequence struct {
	backends []*Backend
	weights  []int   // of backends
	upTo     []int   // of backends: the weights up to this one
	turns    []int32 // who has each turn: a position in backends
}

func newSequence(shares []share) sequence {
	var s sequence
	sum := 0
	for _, sh := range shares {
		sum += sh.weight
		s.backends = append(s.backends, sh.backend)
		s.weights = append(s.weights, sh.weight)
		s.upTo = append(s.upTo, sum)
	}
	order := smooth(reduce(s.weights, maxTurns))
	s.turns = make([]int32, len(order))
	for i, who := range order {
		s.turns[i] = int32(who)
	}
	return s
}

// pick is the backend that the draw falls on, or the next one that was not tried
// and has a place left below limit, which is taken.
func (s *sequence) pick(d draw, tried *Tried, limit int64) *Backend {
	if len(s.turns) == 0 {
		return nil
	}
	at := s.turnOf(d)
	if b := s.backends[s.choose(d, at)]; !tried.Has(b) && b.enter(limit) {
		return b
	}
	return s.after(at, tried, limit)
}

// after looks for an untried backend with a place left from position at on. A
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
		b := s.backends[s.turns[(at+i)%len(s.turns)]]
		if !tried.Has(b) && b.enter(limit) {
			return b
		}
	}
	if open > 0 && tried != nil {
		tried.full = true
	}
	return nil
}
