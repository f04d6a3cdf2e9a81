package cluster

import "slices"

// MaxTries is how many backends one request can try.
const MaxTries = 12

// Tried remembers the backends that a request was sent to already. The zero
// value is ready; it lives inside the caller's own struct and is used by one
// goroutine at a time.
type Tried struct {
	backends [MaxTries]*Backend
	n        int
	full     bool
}

// Add remembers b. When the memory is full, nothing is left to Pick for this
// request: giving up is better than trying a backend twice.
func (t *Tried) Add(b *Backend) {
	if t.n < MaxTries && !t.Has(b) {
		t.backends[t.n] = b
		t.n++
	}
}

// Has tells whether b was tried.
func (t *Tried) Has(b *Backend) bool {
	if t == nil {
		return false
	}
	return slices.Contains(t.backends[:t.n], b)
}

// Len is how many different backends were tried.
func (t *Tried) Len() int {
	if t == nil {
		return 0
	}
	return t.n
}

// Reset forgets them all.
func (t *Tried) Reset() { *t = Tried{} }

// Full tells whether Pick passed a backend over because it had no place left for
// one more request.
func (t *Tried) Full() bool { return t != nil && t.full }

func (t *Tried) exhausted() bool { return t != nil && t.n == MaxTries }
