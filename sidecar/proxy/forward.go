package proxy

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cause"
	"outrider/sidecar/cluster"
	"outrider/sidecar/http1"
	"outrider/sidecar/http2"
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
	intro   string // that it began with; empty: none
	reused  bool
}

// forward sends the request to a backend of the cluster and reads the head of
// its response, on as many backends as the policy allows.
func (x *exchange) forward() error {
	x.reach(Connecting)
	c := x.decision.Cluster
	x.policy = c.Policy()
	if x.decision.Timeout > 0 {
		x.deadline = x.server.clock() + x.decision.Timeout
	}
	x.editTrace()
	if x.policy.Protocol == cluster.HTTP2 {
		x.upgrade = nil // there is none in HTTP/2: the backend may answer what it likes
	}
	x.sent = x.appendRequestHead(x.sent[:0])
	x.whole = true
	if err := x.takeReady(); err != nil {
		return err
	}
	if x.policy.Protocol == cluster.HTTP1 && x.isGRPC() {
		return grpcOverHTTP1(c.Name())
	}
	b := x.pick(c)
	if b == nil {
		return nobody(c, &x.tried)
	}
	if x.settings.Timing {
		x.progress.picked = x.server.clock()
	}
	for fresh := false; ; x.attempts++ {
		x.tried.Add(b)
		failed, err := x.try(b, fresh)
		if err == nil && x.isUnavailable() {
			if next := x.insteadOf(b); next != nil {
				b, fresh = next, false
				continue
			}
		}
		if err == nil || severed(err) {
			return err
		}
		x.noteFailed(b, err)
		next, again := x.another(b, &failed)
		if next == nil {
			return x.giveUp(b, failed, err)
		}
		b.Counters().Retried.Add(1)
		x.server.counts.retried(failed)
		b, fresh = next, again == afresh
	}
}

// noteFailed keeps a try that failed for the summary.
func (x *exchange) noteFailed(b *cluster.Backend, err error) {
	if x.span != nil {
		x.span.Failed(err)
	}
	if x.settings.OnDone != nil || x.settings.Explains != nil {
		x.failed = append(x.failed, Failed{Backend: b, Err: err, After: x.server.clock() - x.started})
	}
}

// pick chooses a backend that was not tried, and takes a place there.
func (x *exchange) pick(c *cluster.Cluster) *cluster.Backend {
	if key, keyed := x.key(); keyed {
		return c.PickKeyed(key, &x.tried)
	}
	return c.Pick(&x.tried)
}

// nobody is the fault of a cluster that has no backend for a request.
func nobody(c *cluster.Cluster, tried *cluster.Tried) *Fault {
	if tried.Full() {
		return backendsFull(c.Name(), c.Policy().MaxInFlight)
	}
	return noBackend(c.Name(), c.Total())
}

// severed tells that a try failed for what the client did.
func severed(err error) bool {
	var fault *Fault
	return errors.As(err, &fault) && fault.Severed
}

// another chooses the backend for one more try after the one on b, and takes a
// place there. Nil: it was the last.
func (x *exchange) another(b *cluster.Backend, failed *failure) (*cluster.Backend, outcome) {
	c := x.decision.Cluster
	failed.last = x.attempts >= x.policy.Retries || x.overdue()
	again := failed.outcome()
	if again != elsewhere && again != afresh {
		return nil, again
	}
	if again == afresh {
		x.stale = b
	}
	next := x.pick(c)
	if next == nil && x.stale != nil && c.Again(x.stale) {
		next, again, x.stale = x.stale, afresh, nil
	}
	if next != nil && !c.MayRetry() {
		next.Leave()
		failed.unfunded = true
		return nil, failed.outcome()
	}
	return next, again
}

// giveUp ends the tries: the last one's fault is the client's answer.
func (x *exchange) giveUp(b *cluster.Backend, failed failure, err error) error {
	b.Counters().Failures.Add(1)
	var fault *Fault
	if !failed.unfunded || !errors.As(err, &fault) {
		return err
	}
	x.server.warnings.Warn("retry budget "+b.ClusterName(), logrus.Fields{"cluster": b.ClusterName(), "backend": b.String(), logrus.ErrorKey: err},
		"the retry budget of a cluster is used up: failures go to the clients")
	fault.Detail += "; the retry budget of cluster " + b.ClusterName() + " is used up"
	return fault
}

// try sends the request to one backend, where it has a place. The failure says
// how far that came.
func (x *exchange) try(b *cluster.Backend, fresh bool) (failure, error) {
	b.Counters().Requests.Add(1)
	x.progress.phase = Connecting
	x.beginTry(b.Address())
	if err := x.connect(b, fresh); err != nil {
		b.Leave()
		if err == stream.ErrLost { //nolint:errorlint // never wrapped
			return failure{}, clientGone(err)
		}
		return x.unconnected(b, err)
	}
	x.reach(Waiting)
	x.up.conn.SetReadLimit(x.within(x.policy.Response))
	if x.halfClosed {
		x.up.conn.SetReadLimit(x.halfCloseLimit())
	}
	x.up.conn.SetWriteLimit(x.within(x.policy.StreamIdle))
	// A backend that does not take all of it may have answered all the same:
	// what it says counts.
	took := x.up.conn.Write(x.sent) == nil
	x.delivered = took && x.body.Done()
	if took && !x.body.Done() {
		x.upload.start()
	}
	heard, err := x.awaitHead()
	if err == nil {
		x.judge(b)
		return failure{}, nil
	}
	x.dropUpstream()
	x.resp.Reset() // the next try reads another one
	failed := failure{
		phase:      waiting + phase(min(heard, 1)),
		reused:     x.up.reused,
		idempotent: x.req.Idempotent(x.head),
		whole:      x.whole,
		untouched:  refusedStream(err),
	}
	failed.trouble, err = x.explain(b, failed.phase, err)
	x.blame(b, failed, err)
	return failed, err
}

func (x *exchange) connect(b *cluster.Backend, fresh bool) (err error) {
	p, loop := x.server.pools.of(b), x.server.loop
	x.up = upstream{backend: b, pool: p, intro: x.client.introduction(x.policy.SendProxy)}
	if !fresh && x.mayUseHTTP2() {
		if far, reused, ok := p.open(x.policy); ok {
			x.up.conn, x.up.reused = loop.AdoptNet(far), reused
			return nil
		}
	}
	if !fresh {
		if x.up.conn = p.take(x.conn, x.policy, x.up.intro); x.up.conn != nil {
			x.up.reused = true
			return nil
		}
	}
	to := stream.Target{Addr: b.Addr(), Preface: x.up.intro, TLS: x.encryption()}
	for evictions := 0; ; evictions++ {
		x.up.conn, err = loop.Dial(to, x.within(x.policy.Connect), x.conn)
		if err == nil {
			return x.agree()
		}
		if !noDescriptors(err) || evictions == maxDialEvictions || !x.server.makeRoom("descriptors") {
			return err
		}
	}
}

// maxDialEvictions bounds the clients that go to make room for one connection:
// somebody else may be faster to take their descriptors.
const maxDialEvictions = 3

// unconnected is the failure of a try that made no connection.
func (x *exchange) unconnected(b *cluster.Backend, err error) (failure, error) {
	failed := failure{trouble: dialTrouble(err), phase: connecting}
	switch {
	case failed.trouble == slowToConnect && x.overdue():
		return failure{trouble: overdue, phase: connecting}, timeoutOver(x.decision.Timeout)
	case failed.trouble == ownTrouble:
		x.server.warn("no connection could be made to a backend, for a reason of our own", b, err)
	case failed.trouble == handshakeFailed:
		x.server.warn("the TLS handshake with a backend failed", b, err)
	}
	x.blame(b, failed, err)
	return failed, connectFailed(b.ClusterName(), err)
}

// overdue tells that the request's own timeout is over.
func (x *exchange) overdue() bool { return x.deadline > 0 && x.server.clock() >= x.deadline }

// within is a limit, shortened to what is left of the request's own timeout.
func (x *exchange) within(limit time.Duration) time.Duration {
	if x.deadline == 0 {
		return limit
	}
	return max(min(limit, x.deadline-x.server.clock()), time.Millisecond)
}

// dropUpstream ends a try: its upload first, then its connection.
func (x *exchange) dropUpstream() {
	if x.up.conn == nil {
		return
	}
	x.upload.stop()
	x.up.backend.Leave()
	x.up.conn.Close()
	x.up.conn = nil
}

// awaitHead reads the head of the final response, and passes interim ones on.
// heard is how many bytes came before it failed.
func (x *exchange) awaitHead() (heard int, err error) {
	up := x.up.conn
	for interim := 0; ; {
		done, err := x.resp.Parse(up.Bytes(), x.settings.Limits.head())
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
			return x.resp.Size, x.accepts()
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
	if x.overdue() {
		return stream.ErrTimeout
	}
	if x.deadline > 0 {
		x.up.conn.SetReadLimit(x.within(x.policy.Response))
	}
	err := x.up.conn.Fill(stream.BodyBuffer, x.watched())
	switch {
	case err == stream.ErrTimeout && x.overdue(): //nolint:errorlint // never wrapped
		return err
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
	return min(x.settings.Limits.HalfClose, x.policy.Response)
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
		if x.resp.Upgrade && x.resp.Minor > 0 && equalFold(offered, string(chosen)) {
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

// explain says what the error is that a wait for a response ended with.
func (x *exchange) explain(b *cluster.Backend, p phase, err error) (trouble, error) {
	var (
		fault  *Fault
		broken *http1.Error
		rules  *http2.ProtocolError
	)
	switch {
	case errors.As(err, &fault):
		return clientLeft, fault
	case errors.As(err, &broken), errors.As(err, &rules), errors.Is(err, errTooManyInterim), errors.Is(err, errUnasked):
		x.server.warn("a backend broke the rules of HTTP", b, err)
		return malformed, badResponse(b.ClusterName(), err)
	case cause.Timeout(err) && x.overdue():
		return overdue, timeoutOver(x.decision.Timeout)
	case cause.Timeout(err):
		return slowToAnswer, responseTimeout(b.ClusterName(), err)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	t := ended
	if p == answering {
		t = cutShort
	}
	if isLocal(err) {
		t = ownTrouble
	}
	return t, responseCut(b.ClusterName(), err)
}

// brokenOff is the fault of a backend that ends inside the body of its response.
func (x *exchange) brokenOff(err error) *Fault {
	b := x.up.backend
	fault := responseCut(b.ClusterName(), err)
	if !isLocal(err) && !cause.Timeout(err) {
		b.Counters().Failures.Add(1)
		x.blame(b, failure{trouble: cutShort, phase: delivering}, err)
	}
	return fault
}
