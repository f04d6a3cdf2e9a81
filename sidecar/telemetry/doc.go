// Package telemetry counts requests for Prometheus and writes the access log.
//
// Both are told of each exchange on its own task, so telling them takes no lock
// and allocates nothing: [Metrics.Count] adds to a few atomics that are read when
// somebody scrapes, and [AccessLog.Write] encodes a line into a slot of a ring
// that one goroutine empties. It knows nothing of the proxy: who has the facts
// hands them over as an [Exchange] and a [State].
package telemetry

import "time"

// Exchange is what became of one request. Byte slices are valid, and not changed,
// until the call that they are handed to returns.
type Exchange struct {
	Client   string // the address of the client
	Method   []byte // empty: no head was understood
	Host     []byte
	Path     []byte // as received
	Query    []byte // behind the '?', which was there when HasQuery
	Protocol string // what the client speaks, such as "HTTP/1.1"
	ID       []byte // of the request
	Trace    []byte // the field traceparent
	Cluster  string // empty: none was chosen
	Backend  string // its address; empty: none was asked

	HasQuery bool

	Status   int // that the client was answered; 0: nothing
	Attempts int // tries on backends
	Received int64
	Sent     int64

	Rule    string // which part of the script decided; may be empty
	Version string // of the script; empty: the built-in rule
	Outcome string // of the decision; empty: the usual one
	End     string // who ended it in which phase; [Done] is the proper end
	Error   string // the error type of RFC 9209; empty: none
	Detail  string // what happened, in words

	Total, Route, Connect, FirstByte time.Duration
}

// Done is the End of an exchange that came to its proper end.
const Done = "done"

// failed tells whether whoever operates this wants to know of the exchange: an
// answer from 500 on whoever gave it, an answer of ours in the place of a
// backend's, and everything that did not come to its proper end.
func (e *Exchange) failed() bool { return e.Status >= 500 || e.End != Done }
