package cluster

import (
	"math/bits"
	"slices"
)

// Balance is how Pick chooses among the backends that can be used.
type Balance uint8

// The ways to choose. All of them give each backend the share of its weight as
// long as none is busier than the others.
const (
	// RoundRobin gives the request to the backend whose turn it is.
	RoundRobin Balance = iota
	// LeastRequests gives it to the backend whose turn it is or, if that is less
	// busy, to another one that is drawn at random.
	LeastRequests
	// RandomTwo gives it to the less busy of two that are drawn at random.
	RandomTwo
	// Hash is for PickKeyed, by the key that the policy says: Pick itself, for requests
	// without one, does as with RoundRobin.
	Hash
)

// KeySource is what of a request is its key, where Balance is Hash: a field of its
// head or a cookie, by name. The zero value is the client's address.
type KeySource struct {
	Header, Cookie string // one of them at most
}

// draw is what decides on one request: the same draw falls on the same backends.
type draw struct {
	balance Balance
	turn    uint64
	luck    uint64 // as good as random, and another one for each try
}

// golden is 2^64 divided by the golden ratio. Its multiples, mixed, are as good as
// random: the generator is SplitMix64 (Steele, Lea and Flood 2014), and its state
// the turn, which every request has for itself without a lock.
const golden = 0x9e3779b97f4a7c15

// draw is the draw for the next request, or for a further try of it.
func (c *Cluster) draw(balance Balance, tried *Tried) draw {
	d := draw{balance: balance}
	if tried.Len() == 0 {
		d.turn = c.turn.Add(1)
	} else {
		d.turn = c.turn.Load() // a further try is part of the same turn
	}
	if balance == LeastRequests || balance == RandomTwo {
		d.luck = mix((d.turn + uint64(tried.Len())<<32) * golden)
	}
	return d
}

// turnOf is the position in the cycle that a draw begins with.
func (s *sequence) turnOf(d draw) int {
	if d.balance == RandomTwo {
		return below(len(s.turns), mix(d.luck))
	}
	return int(d.turn % uint64(len(s.turns)))
}

// choose is the backend that a draw falls on which begins at position at of the
// cycle.
//
// Two choices are enough: with the less busy of two, the busiest of n backends has
// about log log n more than the average, where a single random choice makes it log
// n / log log n (Azar, Broder, Karlin and Upfal 1994; Mitzenmacher 1996). The least
// busy of all would do little better, and be a trap: a backend that fails everything
// at once is never busy, and would have all the requests; so it has two shares.
func (s *sequence) choose(d draw, at int) int32 {
	first := s.turns[at]
	if d.balance != LeastRequests && d.balance != RandomTwo || len(s.backends) == 1 {
		return first
	}
	if rival := s.rivalOf(first, d.luck); s.lessBusy(rival, first) {
		return rival
	}
	return first
}

// rivalOf is a backend other than first, drawn by weight.
func (s *sequence) rivalOf(first int32, luck uint64) int32 {
	own := s.weights[first]
	at := below(s.upTo[len(s.upTo)-1]-own, luck)
	if at >= s.upTo[first]-own {
		at += own // past those that are first's
	}
	rival, _ := slices.BinarySearch(s.upTo, at+1)
	return int32(rival)
}

// lessBusy tells whether a request makes the rival no busier, for its weight, than
// first is without it. So equals differ by one request at least, and while nothing
// is under way everybody has the own turns.
func (s *sequence) lessBusy(rival, first int32) bool {
	would := s.backends[rival].counters.InFlight.Load() + 1
	is := s.backends[first].counters.InFlight.Load()
	return would*int64(s.weights[first]) <= is*int64(s.weights[rival])
}

// below makes a number from 0 to n-1 of a random one (Lemire 2019, without the
// correction, which no n of ours needs).
func below(n int, random uint64) int {
	high, _ := bits.Mul64(random, uint64(n))
	return int(high)
}
