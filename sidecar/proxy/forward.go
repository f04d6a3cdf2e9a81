package proxy

import (
	"errors"
	"io"
	"net/http"
	"time"

	"outrider/sidecar/cause"
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
	x.reach(Connecting)
	c := x.decision.Cluster
	x.policy = c.Policy()
	x.sent = x.appendRequestHead(x.sent[:0])
	x.whole = true
	if err := x.takeBuffered(); err != nil {
		return err
	}
	b := c.Pick(&x.tried)
	if b == nil {
		return noBackend(c.Name(), c.Total())
	}
	for fresh := false; ; x.attempts++ {
		x.tried.Add(b)
		failed, err := x.try(b, fresh)
		if err == nil || severed(err) {
			return err
		}
		counters := b.Counters()
		if b, fresh = x.another(b, failed.next()); b == nil {
			counters.Failures.Add(1)
			return err
		}
		counters.Retried.Add(1)
		x.server.counts.retried(failed)
	}
}

// severed tells that a try failed for what the client did.
func severed(err error) bool {
	var fault *Fault
	return errors.As(err, &fault) && fault.Severed
}

// another chooses the backend for one more try after the one on b, and tells
// whether that takes a fresh connection. Nil: it was the last.
func (x *exchange) another(b *cluster.Backend, again retry) (next *cluster.Backend, fresh bool) {
	if again == giveUp || x.attempts >= x.policy.Retries {
		return nil, false
	}
	if again == afresh {
		x.stale = b
	}
	if next = x.decision.Cluster.Pick(&x.tried); next != nil {
		return next, again == afresh
	}
	next, x.stale = x.stale, nil
	return next, true
}

// try sends the request to one backend. The failure says how far that came.
func (x *exchange) try(b *cluster.Backend, fresh bool) (failure, error) {
	counters := b.Counters()
	counters.Requests.Add(1)
	counters.InFlight.Add(1)
	x.progress.phase = Connecting
	if err := x.connect(b, fresh); err != nil {
		counters.InFlight.Add(-1)
		x.blame(b, err)
		return failure{phase: connecting}, connectFailed(b.ClusterName(), err)
	}
	x.reach(Waiting)
	x.up.conn.SetReadLimit(x.policy.Response)
	if x.halfClosed {
		x.up.conn.SetReadLimit(x.halfCloseLimit())
	}
	x.up.conn.SetWriteLimit(x.policy.StreamIdle)
	// A backend that does not take all of it may have answered all the same:
	// what it says counts.
	took := x.up.conn.Write(x.sent) == nil
	x.delivered = took && x.body.Done()
	if took && !x.body.Done() {
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
		timeout:    cause.Timeout(err),
	}, x.explain(b, err)
}

func (x *exchange) connect(b *cluster.Backend, fresh bool) (err error) {
	p, loop := x.server.pools.of(b), x.server.loop
	x.up = upstream{backend: b, pool: p}
	if !fresh {
		if x.up.conn = p.take(loop.Now(), x.policy); x.up.conn != nil {
			x.up.reused = true
			return nil
		}
	}
	x.up.conn, err = loop.Dial(b.Addr(), x.policy.Connect, x.policy.TLS)
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
		x.server.warn("no connection could be made to a backend, for a reason of our own", b, err)
		return
	}
	if _, handshake := errors.AsType[*stream.HandshakeError](err); handshake {
		x.server.warn("the TLS handshake with a backend failed", b, err)
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
			return 1, err
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
		x.up.conn.SetReadLimit(x.halfCloseLimit())
		return nil
	case err == stream.ErrLost: //nolint:errorlint // never wrapped
		return clientGone(err)
	case err == stream.ErrStopped: //nolint:errorlint // never wrapped
		return x.upload.over()
	case err == stream.ErrTimeout && x.halfClosed: //nolint:errorlint // never wrapped
		return clientGone(err)
	case err == stream.ErrTimeout && x.uploads(): //nolint:errorlint // never wrapped
		return nil
	}
	return err
}

// halfCloseLimit is how long a client that has sent its FIN is thought to be
// still there.
func (x *exchange) halfCloseLimit() time.Duration {
	return min(x.server.options.Limits.HalfClose, x.policy.Response)
}

// uploads tells that the request is still on its way: the backend need not have
// answered yet, and the upload has time limits of its own.
func (x *exchange) uploads() bool { return x.upload.running && !x.waitsForContinue() }

// waitsForContinue tells that the client may be waiting for the backend's word
// before it sends its body.
func (x *exchange) waitsForContinue() bool {
	return x.req.ExpectContinue && !x.continued && x.upload.running && !x.upload.moved.Load()
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
	chosen, _ := x.resp.Lookup(x.up.conn.Bytes(), http1.Upgrade)
	for offered := range http1.Tokens(x.upgrade) {
		if x.resp.Upgrade && equalFold(offered, string(chosen)) {
			x.upgrade = offered
			return nil
		}
	}
	return errUnasked
}

// passInterim passes a 1xx on, to clients that know what it is. A 100 is for
// who waits for it alone.
func (x *exchange) passInterim() error {
	if x.req.Minor == 0 || x.resp.Status == http.StatusContinue && !x.req.ExpectContinue {
		return nil
	}
	x.continued = x.continued || x.resp.Status == http.StatusContinue
	x.down = append(x.appendResponseHead(x.down[:0], http1.Framing{}), "\r\n"...)
	return x.write(x.down)
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
		x.server.warn("a backend broke the rules of HTTP", b, err)
		return badResponse(b.ClusterName(), err)
	case cause.Timeout(err):
		x.blame(b, err)
		return responseTimeout(b.ClusterName())
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return responseCut(b.ClusterName(), err)
}
