package cluster

// Statuses is a set of HTTP status codes, 100 to 599.
type Statuses [10]uint64

// Add adds the codes from low to high; others than 100 to 599 are ignored.
func (s *Statuses) Add(low, high int) {
	for code := max(low, 100); code <= min(high, 599); code++ {
		s[code/64] |= 1 << (code % 64)
	}
}

// Has tells whether a code is in the set. A nil set is empty.
func (s *Statuses) Has(code int) bool {
	return s != nil && code >= 100 && code <= 599 && s[code/64]&(1<<(code%64)) != 0
}
