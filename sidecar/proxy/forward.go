package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"

	"outrider/sidecar/cluster"
	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// maxReplay is how much of a body is kept so that it can be sent once more.
const maxReplay = 64 << 10

// maxInterim bounds the 1xx responses before a final one.
const maxInterim = 64

// upstream is the connection that a try goes over.
type upstream struct {
	conn    *stream.Conn
	backend *cluster.Backend
	pool    *pool
	reused  bool
}

// forward sends the request to a backend of the cluster and reads the head of
// its response, on as many backends as the policy allows.
func (x *exchange) forward() error {
	c := x.decision.Cluster
	x.policy = c.Policy()
	x.sent = x.appendRequestHead(x.sent[:0])
	x.whole = true
	if err := x.takeBuffered(); err != nil {
		return err
	}
	var last error
	for fresh := false; ; x.attempts++ {
		b := c.Pick(&x.tried)
		if fresh && b == nil {
			b = x.up.backend // its other connections were stale, which is no fault of its own
		}
		switch {
		case b == nil && last != nil:
			return last
		case b == nil:
			return noBackend(c.Name(), c.Total())
		}
		x.tried.Add(b)
		failed, err := x.try(b, fresh)
		if err == nil {
			return nil
		}
		next := failed.next()
		if next == giveUp || x.attempts >= x.policy.Retries || x.vanished(err) {
			b.Counters().Failures.Add(1)
			return err
		}
		b.Counters().Retried.Add(1)
		last, fresh = err, next == afresh
	}
}

func (x *exchange) vanished(err error) bool {
	var fault *Fault
	return errors.As(err, &fault) && fault.Severed
}

// try sends the request to one backend. The failure says how far that came.
func (x *exchange) try(b *cluster.Backend, fresh bool) (failure, error) {
	counters := b.Counters()
	counters.Requests.Add(1)
	counters.InFlight.Add(1)
	if err := x.connect(b, fresh); err != nil {
		counters.InFlight.Add(-1)
		x.blame(b, err)
		return failure{phase: connecting}, connectFailed(b.ClusterName(), err)
	}
	x.up.conn.SetReadLimit(x.policy.Response)
	x.up.conn.SetWriteLimit(x.policy.StreamIdle)
	// A backend that does not take all of it may have answered all the same:
	// what it says counts.
	_ = x.up.conn.Write(x.sent)
	if !x.body.Done() {
		x.upload.start()
	}
	heard, err := x.awaitHead()
	if err == nil {
		return failure{}, nil
	}
	x.dropUpstream()
	return failure{
		phase:      waiting + phase(min(heard, 1)),
		reused:     x.up.reused,
		idempotent: x.req.Idempotent(x.head),
		whole:      x.whole,
		timeout:    isTimeout(err),
	}, x.explain(b, err)
}

func (x *exchange) connect(b *cluster.Backend, fresh bool) (err error) {
	p, loop := x.server.pools.of(b), x.server.loop
	x.up = upstream{backend: b, pool: p}
	if !fresh {
		if x.up.conn = p.take(loop.Now(), x.policy.UpstreamIdle); x.up.conn != nil {
			x.up.reused = true
			return nil
		}
	}
	x.up.conn, err = loop.Dial(context.Background(), b.Addr(), x.policy.Connect, x.policy.TLS)
	return err
}

// dropUpstream ends a try: its upload first, then its connection.
func (x *exchange) dropUpstream() {
	if x.up.conn == nil {
		return
	}
	x.upload.stop()
	x.up.backend.Counters().InFlight.Add(-1)
	x.up.conn.Close()
	x.up.conn = nil
}

// blame tells of a failure that is the backend's.
func (x *exchange) blame(b *cluster.Backend, err error) {
	if isLocal(err) {
		x.server.warn("local "+Reason(err), b, err)
		return
	}
	var handshake *stream.HandshakeError
	if errors.As(err, &handshake) {
		x.server.warn("TLS "+b.String(), b, err)
	}
	if told := x.server.options.OnFailure; told != nil {
		told(b, err)
	}
}

// awaitHead reads the head of the final response, and passes interim ones on.
// heard is how many bytes came before it failed.
func (x *exchange) awaitHead() (heard int, err error) {
	up := x.up.conn
	for interim := 0; ; {
		done, err := x.resp.Parse(up.Bytes(), x.server.options.Limits.head())
		if err != nil {
			return 1, err
		}
		if !done {
			if err := x.hearMore(); err != nil {
				return interim + len(up.Bytes()), err
			}
			continue
		}
		if x.resp.Status == http.StatusSwitchingProtocols || !x.resp.Interim() {
			return 0, x.accepts()
		}
		if interim++; interim > maxInterim {
			return 1, errTooManyInterim
		}
		if err := x.passInterim(); err != nil {
			return 1, clientGone(err)
		}
		up.Advance(x.resp.Size)
		x.resp.Reset()
	}
}

var (
	errTooManyInterim = errors.New("more than 64 interim responses")
	errUnasked        = errors.New("101 for a protocol that was not asked for")
)

// hearMore waits for more from the backend, with an eye on the client.
func (x *exchange) hearMore() error {
	err := x.up.conn.Fill(stream.BodyBuffer, x.watched())
	switch {
	case err == stream.ErrHalfClosed: //nolint:errorlint // never wrapped
		x.halfClosed = true
		x.up.conn.SetReadLimit(min(x.server.options.Limits.HalfClose, x.policy.Response))
		return nil
	case err == stream.ErrLost: //nolint:errorlint // never wrapped
		return clientGone(err)
	case err == stream.ErrStopped: //nolint:errorlint // never wrapped
		return x.upload.over()
	case err == stream.ErrTimeout && x.halfClosed: //nolint:errorlint // never wrapped
		return clientGone(err)
	}
	return err
}

// watched is the client's connection, when it has nothing to do but to be lost.
func (x *exchange) watched() *stream.Conn {
	if x.halfClosed || x.upload.running {
		return nil
	}
	return x.conn
}

// accepts looks at a response head that is well-formed.
func (x *exchange) accepts() error {
	if x.resp.Status != http.StatusSwitchingProtocols {
		return nil
	}
	v, _ := x.resp.Lookup(x.up.conn.Bytes(), http1.Upgrade)
	if len(x.upgrade) == 0 || !x.resp.Upgrade || !equalFold(v, string(x.upgrade)) {
		return errUnasked
	}
	return nil
}

// passInterim passes a 1xx on, to clients that know what it is. A 100 is for
// who waits for it alone.
func (x *exchange) passInterim() error {
	if x.req.Minor == 0 || x.resp.Status == http.StatusContinue && !x.req.ExpectContinue {
		return nil
	}
	x.continued = x.continued || x.resp.Status == http.StatusContinue
	x.down = append(x.appendResponseHead(x.down[:0], http1.Framing{}), "\r\n"...)
	return x.conn.Write(x.down)
}

// explain makes a fault of an error that a try ended with, and tells of it where
// it is the backend's.
func (x *exchange) explain(b *cluster.Backend, err error) error {
	var (
		fault  *Fault
		broken *http1.Error
	)
	switch {
	case errors.As(err, &fault):
		return fault
	case errors.As(err, &broken), errors.Is(err, errTooManyInterim), errors.Is(err, errUnasked):
		x.server.warn("bad response "+b.String(), b, err)
		return badResponse(b.ClusterName(), err)
	case isTimeout(err):
		x.blame(b, err)
		return responseTimeout(b.ClusterName())
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return responseCut(b.ClusterName(), err)
}
