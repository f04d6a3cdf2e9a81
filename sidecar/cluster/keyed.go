package cluster

import (
	"math"
	"math/bits"
)

// KeyOf makes a key of a text: FNV-1a, 64 bits
// (https://datatracker.ietf.org/doc/draft-eastlake-fnv/).
func KeyOf[T ~string | ~[]byte](text T) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * prime
	}
	return h
}

// PickKeyed is Pick by a key in the place of turns: the same key has the same
// backend, here and on every other sidecar, as long as that one is usable and has a
// place. Each backend has for each key a score of its own (rendezvous hashing,
// Thaler and Ravishankar 1998; with weights: Schindelhauer and Schomaker 2005), and
// the best usable one has the request. So a backend that leaves gives up only its
// own keys, to all others alike, and has them again when it is back; a further try
// goes to the next best, and to one that drains when no other is left.
func (c *Cluster) PickKeyed(key uint64, tried *Tried) *Backend {
	r := c.rotation.Load()
	if tried.Len() == 0 {
		c.turn.Add(1) // which counts requests, for the budget
	}
	policy := c.policy.Load()
	if tried.exhausted() || r.usable == 0 && !policy.TryWhenAllDown {
		return nil
	}
	if b := bestWithPlace(key, tried, policy, &r.preferred, &r.reserve); b != nil {
		return b
	}
	return bestWithPlace(key, tried, policy, &r.last)
}

// bestWithPlace is the best of some sequences that has a place left, which is taken.
func bestWithPlace(key uint64, tried *Tried, policy *Policy, of ...*sequence) *Backend {
	for below := math.Inf(1); ; {
		b, score := best(key, tried, below, of)
		if b == nil || b.enter(int64(policy.MaxInFlight)) {
			return b
		}
		if tried != nil {
			tried.full = true
		}
		below = score
	}
}

// best is the untried backend with the highest score below a limit.
func best(key uint64, tried *Tried, below float64, of []*sequence) (best *Backend, highest float64) {
	for _, s := range of {
		for i, b := range s.backends {
			score := scoreOf(key, b.hash, s.weights[i])
			if score < below && (best == nil || score > highest) && !tried.Has(b) {
				best, highest = b, score
			}
		}
	}
	return best, highest
}

// scoreOf is -weight/ln(u), where u is a number in (0,1) that key and backend make
// up: the best of several scores falls to each in the share of its weight.
func scoreOf(key, backend uint64, weight int) float64 {
	u := (float64(mix(key^bits.RotateLeft64(backend, 32))>>11) + 0.5) / (1 << 53)
	return -float64(weight) / math.Log(u)
}

// mix spreads a number over 64 bits: the finaliser of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
