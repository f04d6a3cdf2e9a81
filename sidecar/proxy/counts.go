package proxy

import "sync/atomic"

// Counts are what has happened since the server was made.
type Counts struct {
	Accepted uint64 // client connections that were taken
	Refused  uint64 // client connections that were one too many
	Evicted  uint64 // client connections that were closed to make room for others
	Panics   uint64 // that were contained
	// Unencrypted are client connections that ended in the TLS handshake.
	Unencrypted uint64
	// Unintroduced are client connections that came without the PROXY protocol header
	// that they need, or from a client that may bring none.
	Unintroduced uint64
	Retries      []RetryCount
}

// RetryCount is how many further tries there were for a reason: "connect", no
// connection could be made; "stale", a used connection had ended; "cut", a
// connection ended before a response.
type RetryCount struct {
	Reason string
	Count  uint64
}

// Counts may be called from any goroutine.
func (s *Server) Counts() Counts {
	c := Counts{Accepted: s.counts.accepted.Load(), Refused: s.counts.refused.Load(), Evicted: s.counts.evicted.Load(), Panics: s.panics.Load(),
		Unencrypted: s.counts.unencrypted.Load(), Unintroduced: s.counts.unintroduced.Load()}
	for i := range s.counts.retries {
		c.Retries = append(c.Retries, RetryCount{retryReasons[i], s.counts.retries[i].Load()})
	}
	return c
}

type counts struct {
	accepted, refused, evicted atomic.Uint64
	unencrypted, unintroduced  atomic.Uint64
	retries                    [len(retryReasons)]atomic.Uint64
}

//nolint:gochecknoglobals // immutable
var retryReasons = [...]string{"connect", "stale", "cut"}

// retried counts a failure that leads to a further try.
func (c *counts) retried(f failure) {
	switch {
	case f.phase == connecting:
		c.retries[0].Add(1)
	case f.reused:
		c.retries[1].Add(1)
	default:
		c.retries[2].Add(1)
	}
}
