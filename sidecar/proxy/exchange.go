package proxy

import (
	"errors"
	"io"
	"strings"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// exchange is one request and its response. It is used again when it is over, so
// that one costs no allocation.
type exchange struct {
	server  *Server
	client  *client
	conn    *stream.Conn  // the client's
	started time.Duration // of the server's clock; only when somebody is told of it

	settings *Settings // in force when it began
	terms    *Terms    // the same of the listener
	trusted  bool      // the client is

	head    []byte // of the request, in lent memory
	headBuf *stream.Buffer
	req     http1.Request
	view    Request
	id      [requestIDSize]byte

	hops     hops
	router   Router // that was asked
	ticket   ticket // of its Route, until that is handed in
	late     bool   // the guard has taken the exchange away from its Route
	decision Decision
	policy   *cluster.Policy
	deadline time.Duration // for the response's head, of the server's clock; 0: none of the request's own
	span     Span          // nil: nobody follows the request
	upgrade  []byte        // the protocol that the client wants to change to, part of head

	routerTraces bool // the router has written the span's name itself

	tried     cluster.Tried
	stale     *cluster.Backend // failed on a used connection, and is owed a try on a fresh one
	attempts  int
	failed    []Failed // tries, where somebody is told of it
	up        upstream
	body      http1.Body // the request's
	sent      []byte     // all that goes upstream, while it is whole
	whole     bool       // sent is all that has been taken from the client
	delivered bool       // the whole request was written to the backend; the upload's while that runs
	upload    upload

	resp       http1.Response
	respBody   http1.Body
	respFrame  http1.Framing
	down       []byte // what goes to the client next
	status     int
	began      bool   // a final response head is on its way to the client
	announced  []byte // the trailer fields that the response head names
	withheld   []byte // those that its Connection fields keep on this hop
	halfClosed bool   // the client has sent its FIN
	continued  bool   // the client was told to go on with its body
	ending     ending
	fault      *Fault

	progress progress
	summary  Summary
}

// ending is what becomes of the client's connection after the exchange.
type ending uint8

const (
	stay     ending = iota // for the next request
	leave                  // closed: all is said
	loiter                 // closed after the client has read our answer, though it still sends
	cut                    // closed so that the client sees that something is missing
	vanished               // closed: nobody is there
	silent                 // closed: there was no request
	unread                 // given up until more of the head has come
	switched               // the client speaks HTTP/2
)

// run is the life of a request. It reports false when another task goes on with
// it: then nothing of the exchange may be touched any more.
func (x *exchange) run() bool {
	err := x.readHead()
	switch {
	case err == errHeadUnfinished: //nolint:errorlint // never wrapped
		x.ending = unread
		return true
	case err == errHTTP2: //nolint:errorlint // never wrapped
		x.ending = switched
		return true
	case err != nil:
		x.fail(err)
		x.account()
		return true
	}
	x.reach(Routing)
	if !x.route() {
		return false
	}
	return x.goOn()
}

// goOn is the life of a request after it was routed.
func (x *exchange) goOn() bool {
	if err := x.carryOutDecision(); err != nil {
		x.fail(err)
	}
	x.account()
	return true
}

func (x *exchange) carryOutDecision() error {
	switch d := &x.decision; {
	case d.Fault != nil:
		return d.Fault
	case d.Respond != nil:
		return x.respond(d.Respond)
	}
	if err := checkDecision(&x.decision); err != nil {
		return err
	}
	if err := x.forward(); err != nil {
		return err
	}
	x.reach(Answering)
	if x.resp.Status == 101 {
		return x.tunnel()
	}
	return x.answer()
}

// errNoRequest is a connection that ended between requests: nothing is wrong.
var errNoRequest = errors.New("the client has no further request")

// errHeadUnfinished is a head that comes so slowly that the exchange is given up
// until there is more: the next one begins with all that has come.
var errHeadUnfinished = errors.New("the head is not whole yet")

// errHTTP2 is a connection of HTTP/2 with prior knowledge (RFC 9113, 3.3).
var errHTTP2 = errors.New("the client speaks HTTP/2")

// headPatience is how long an exchange waits for more of a head: it holds far
// more memory than the head.
const headPatience = 100 * time.Millisecond

func (x *exchange) readHead() error {
	limits := x.settings.Limits
	deadline := x.client.headDeadline()
	for {
		done, err := x.req.Parse(x.conn.Bytes(), limits.head())
		if err != nil {
			return x.refuseHead(err)
		}
		if done {
			x.progress.received += int64(x.req.Size)
			x.client.headBy = 0
			x.head, x.headBuf = x.conn.Detach(x.req.Size)
			return x.admit()
		}
		left := deadline - x.server.loop.Now()
		if left <= 0 { // bytes that keep coming are no reason to wait on
			return x.noHead(stream.ErrTimeout)
		}
		x.conn.SetReadLimit(min(left, headPatience))
		if err := x.conn.Fill(stream.SmallBuffer, nil); err != nil {
			return x.noHead(err)
		}
	}
}

// noHead tells what it means that no more comes of a head. An empty line is none
// yet: some clients send one behind a body (RFC 9112, 2.2).
func (x *exchange) noHead(err error) error {
	none := strings.HasPrefix("\r\n", string(x.conn.Bytes()))
	late := err == stream.ErrTimeout //nolint:errorlint // never wrapped
	switch {
	case late && x.server.loop.Now() < x.client.headBy:
		return errHeadUnfinished
	case none && (late || errors.Is(err, io.EOF)):
		return errNoRequest
	}
	x.forgetHead()
	if late {
		return requestTimeout()
	}
	return clientGone(err)
}

// forgetHead forgets what the head was about to say: nothing of it counts, but
// that HEAD is answered without a body.
func (x *exchange) forgetHead() {
	toHead := x.req.IsHead
	x.req.Reset()
	x.req.Minor, x.req.IsHead = 1, toHead
}

func (x *exchange) refuseHead(err error) error {
	x.forgetHead()
	if err == http1.ErrHTTP2 && x.client.tls == nil && !x.client.stream { //nolint:errorlint // never wrapped
		return errHTTP2
	}
	if broken, ok := errors.AsType[*http1.Error](err); ok {
		x.warnOfProtocol(broken.Protocol)
		return badRequest(broken)
	}
	return err
}

// admit looks at a head that is well-formed, before anybody is asked about it.
func (x *exchange) admit() error {
	x.body.Start(x.req.Body())
	if via := x.settings.Name; x.req.Via(x.head, via) {
		return loopDetected(via)
	}
	if x.settings.RefuseAmbiguousPaths && ambiguous(x.req.Path.Of(x.head)) {
		return &Fault{
			Status: 400, Type: "http_request_denied",
			Detail: "two servers could read this path differently (ambiguous_paths: refuse)",
		}
	}
	x.upgrade = x.wantsUpgrade()
	x.makeID()
	x.beginSpan()
	return x.countHops()
}

// account tells who wants to know how it went.
func (x *exchange) account() {
	if tell := x.settings.OnDone; tell != nil && x.ending != silent {
		tell(x.summarise())
	}
}

// begin takes an exchange from the ones that are over.
func (s *Server) begin(c *client) *exchange {
	x, _ := s.exchanges.Get().(*exchange)
	if x == nil {
		x = &exchange{server: s}
		x.view.x = x
		x.upload.x = x
	}
	s.active.Add(1)
	x.client, x.conn = c, c.conn
	x.conn.SetWriteLimit(clientWriteLimit)
	x.settings, x.terms = s.settings.Load(), c.listener.terms.Load()
	x.trusted = c.trustedBy(x.settings)
	if x.settings.OnDone != nil {
		x.started = s.clock()
	}
	return x
}

// finish ends an exchange, and the connection too where it can not go on.
func (s *Server) finish(x *exchange) stream.Next {
	c, end := x.client, x.ending
	x.release()
	s.active.Add(-1)
	switch end {
	case stay:
		c.conn.ReleaseBuffer()
		return stream.Keep
	case loiter:
		s.linger(c.conn)
	case cut:
		c.conn.Abort()
	case unread:
		return stream.More
	case switched:
		s.serveHTTP2(c)
		return stream.Done
	default:
		c.conn.Close()
	}
	c.Gone()
	return stream.Done
}

// release makes the exchange ready for another one, and gives back what it has
// borrowed.
func (x *exchange) release() {
	x.headBuf.Release()
	x.client, x.conn, x.head, x.headBuf = nil, nil, nil, nil
	x.settings, x.terms, x.trusted = nil, nil, false
	x.req.Reset()
	x.resp.Reset()
	x.tried.Reset()
	x.upload.reset()
	x.router, x.decision, x.policy, x.upgrade = nil, Decision{}, nil, nil
	x.deadline = 0
	x.up, x.stale, x.whole, x.delivered = upstream{}, nil, false, false
	x.sent, x.down, x.announced = keep(x.sent), keep(x.down), x.announced[:0]
	x.withheld = x.withheld[:0]
	clear(x.failed)
	x.failed = x.failed[:0]
	x.attempts, x.status, x.fault, x.ending = 0, 0, nil, stay
	x.progress, x.summary, x.hops = progress{}, Summary{}, hops{}
	x.span, x.routerTraces = nil, false
	x.began, x.halfClosed, x.continued = false, false, false
	x.server.exchanges.Put(x)
}

// keep keeps memory for the next exchange, unless it has grown out of proportion.
func keep(b []byte) []byte {
	if cap(b) > stream.LargeBuffer {
		return nil
	}
	return b[:0]
}
