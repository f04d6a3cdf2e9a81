package proxy

// phase is how far a try had come when it failed.
type phase uint8

const (
	connecting phase = iota // no byte of the request has left
	waiting                 // bytes have left; none of the response has come
	answering               // the response had begun
)

// failure describes a try that did not bring a response.
type failure struct {
	phase      phase
	reused     bool // the connection had carried requests before
	idempotent bool // RFC 9110, 9.2.2
	whole      bool // everything that was sent can be sent again
	timeout    bool // the backend was silent, which says nothing about what it did
}

// retry is what may be done about a failure.
type retry uint8

const (
	giveUp    retry = iota
	elsewhere       // on another backend; with none left there is nothing to try
	afresh          // on a new connection, preferably to another backend
)

// next decides what may be done about a failure. A request that may have been
// processed is never sent a second time, unless that does no harm.
func (f failure) next() retry {
	switch {
	case f.phase == connecting:
		return elsewhere
	case f.phase == answering, f.timeout, !f.idempotent, !f.whole:
		return giveUp
	case f.reused:
		return afresh
	}
	return elsewhere
}
