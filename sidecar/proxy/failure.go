package proxy

import (
	"errors"
	"syscall"

	"outrider/sidecar/cause"
	"outrider/sidecar/stream"
)

// trouble is what kept a request from its answer.
type trouble uint8

// All but the first five are the backend's.
const (
	clientLeft      trouble = iota // nobody is there to be answered
	noneUsable                     // the cluster has no backend that can be used
	allFull                        // the cluster's backends take no more requests (max_in_flight)
	overdue                        // the request's own timeout is over
	ownTrouble                     // no descriptors, no ports: no connection, and not the backend's doing
	refused                        // no connection
	unreachable                    // no connection, for another reason
	slowToConnect                  // no connection in time
	handshakeFailed                // no TLS
	ended                          // the connection, before the first byte of a response
	cutShort                       // the connection, inside a response
	malformed                      // the response is not HTTP
	slowToAnswer                   // no response head in time
	troubles
)

// status is what a client is answered; 0: nothing.
func (t trouble) status() int {
	switch t {
	case clientLeft:
		return 0
	case noneUsable, allFull:
		return 503
	case overdue, slowToConnect, slowToAnswer:
		return 504
	}
	return 502
}

// phase is how far a try had come when it failed.
type phase uint8

const (
	connecting phase = iota // no byte of the request has left
	waiting                 // bytes have left; none of the response has come
	answering               // the response's head had begun
	delivering              // the client has the head of the response
)

// failure describes a try that did not bring a response.
type failure struct {
	trouble    trouble
	phase      phase
	reused     bool // the connection had carried requests before
	idempotent bool // RFC 9110, 9.2.2
	whole      bool // everything that was sent can be sent again
	untouched  bool // the backend has said that it did nothing about the request
	last       bool // the policy allows no further try
	unfunded   bool // the cluster's retry budget is used up
}

// outcome is what becomes of a request after a failure.
type outcome uint8

const (
	answered  outcome = iota // by us, with the trouble's status
	elsewhere                // tried on another backend; with none left it is answered
	afresh                   // tried on a new connection, preferably to another backend
	aborted                  // the client is cut off, so that it sees that something is missing
	silenced                 // nothing: nobody is there
)

// outcome decides. A request that may have been processed is never sent a second
// time, unless that does no harm.
func (f failure) outcome() outcome {
	switch {
	case f.trouble == clientLeft:
		return silenced
	case f.phase == delivering:
		return aborted
	case f.last, f.unfunded, !f.repeatable():
		return answered
	case f.reused && f.phase == waiting:
		return afresh
	}
	return elsewhere
}

// repeatable tells whether one more try could help and would do no harm.
func (f failure) repeatable() bool {
	switch f.trouble {
	case noneUsable, allFull, overdue, slowToAnswer: // silence says nothing about what the backend did
		return false
	}
	return f.phase == connecting || f.phase == waiting && (f.idempotent || f.untouched) && f.whole
}

// stale tells that a used connection ended before its backend said anything: it
// may have been about to be closed, which is nobody's fault.
func (f failure) stale() bool { return f.trouble == ended && f.reused }

// dialTrouble is why no connection was made.
func dialTrouble(err error) trouble {
	_, handshake := errors.AsType[*stream.HandshakeError](err)
	switch {
	case isLocal(err):
		return ownTrouble
	case cause.Timeout(err):
		return slowToConnect
	case handshake:
		return handshakeFailed
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	}
	return unreachable
}
