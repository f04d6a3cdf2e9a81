package cluster

import "sync/atomic"

// cacheLine is enough bytes to keep what comes before and after apart: two
// lines of 64 bytes, because processors fetch them in pairs.
const cacheLine = 128

// Counters count what happened to the requests of one backend. They are
// written on every request by every core, so they share no cache line with
// other backends nor with the fields that Pick's callers only read. Among
// themselves they do share one: a request touches several at once.
type Counters struct {
	_ [cacheLine]byte

	Requests atomic.Uint64 // requests sent to the backend, retries included
	InFlight atomic.Int64  // places taken by requests that are not finished
	Failures atomic.Uint64 // requests whose client saw an error because of it
	Retried  atomic.Uint64 // failed here, then given to another try

	_ [cacheLine]byte
}
