package proxy

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cause"
	"outrider/sidecar/cluster"
	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// fail is where every error ends: it chooses what the client gets to see.
func (x *exchange) fail(err error) {
	x.dropUpstream()
	if errors.Is(err, errNoRequest) {
		x.ending = silent
		return
	}
	var fault *Fault
	if !errors.As(err, &fault) {
		fault = &Fault{Status: 500, Type: "proxy_internal_error", Detail: "the proxy failed", Err: err, Severed: true}
		x.server.options.Log.WithError(err).Error("an exchange failed in a way that has no name")
	}
	x.fault = fault
	switch {
	case x.began && x.respFrame.Kind == http1.UntilClose:
		x.ending = cut
	case fault.Status == 0:
		x.ending = vanished
	case x.began:
		x.ending = leave // its framing tells that the end is missing
	default:
		x.answerFault(fault)
	}
}

// answerFault answers in the place of a backend.
func (x *exchange) answerFault(f *Fault) {
	stays := !f.Severed && x.discardBody() && x.mayStay()
	x.status, x.began = f.Status, true
	if x.isGRPC() {
		x.status = http.StatusOK
	}
	x.down = x.server.appendFaultFor(x.down[:0], f, x, stays)
	x.ending = stay
	if !stays {
		x.ending = loiter
	}
	if x.write(x.down) != nil {
		x.ending = vanished
	}
}

// discardBody passes over a request body that nobody wants, as far as it has
// come. It reports whether that was all of it.
func (x *exchange) discardBody() bool {
	for !x.body.Done() {
		_, n, err := x.body.Next(x.conn.Bytes())
		if err != nil || n == 0 {
			return false
		}
		x.conn.Advance(n)
		x.progress.received += int64(n)
	}
	return true
}

// appendFault appends an answer to a client of which nothing is known.
func (s *Server) appendFault(dst []byte, f *Fault, closes bool) []byte {
	return s.appendFaultFor(dst, f, &exchange{settings: s.settings.Load(), req: http1.Request{Head: http1.Head{Minor: 1}}}, !closes)
}

func (s *Server) appendFaultFor(dst []byte, f *Fault, x *exchange, stays bool) []byte {
	if x.isGRPC() {
		return s.appendGRPCFault(dst, f, x, stays)
	}
	body := "outrider: " + strconv.Itoa(f.Status) + " " + f.Detail + "\n"
	dst = x.appendStatusLine(dst, f.Status, reasonPhrase(f.Status))
	dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\n"...)
	dst = s.appendDate(dst)
	dst = append(dst, "Proxy-Status: "+x.settings.Name+"; error="+f.Type+"; details="...)
	dst = appendQuoted(dst, f.Detail)
	dst = append(dst, "\r\n"...)
	if f.RetryAfter {
		dst = append(dst, "Retry-After: 1\r\n"...)
	}
	if f.Status == 405 {
		dst = append(dst, "Allow: "+allowedMethods+"\r\n"...)
	}
	dst = x.appendReveal(dst)
	dst = http1.AppendFraming(dst, http1.Framing{Kind: http1.Length, Length: int64(len(body))})
	dst = append(x.appendConnection(dst, stays), "\r\n"...)
	if x.req.IsHead {
		return dst
	}
	return append(dst, body...)
}

// allowedMethods are the standard methods that pass; TRACE and CONNECT do not.
const allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// appendQuoted appends a string of a structured field, which is ASCII and knows
// two escapes (RFC 9651, 3.3.3).
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ' || r > '~':
			dst = append(dst, '?')
		default:
			dst = append(dst, byte(r))
		}
	}
	return append(dst, '"')
}

// loiterFor and loiterBytes bound how long a client may go on sending after it
// was answered, maxLoiterers how many may at a time: a crowd that is turned away
// must not take more memory than one that is served.
const (
	loiterFor    = 2 * time.Second
	loiterBytes  = 1 << 20
	maxLoiterers = 256
)

// linger closes a connection on which the client may still be sending: closing
// it at once would reset it, and the client might never read our answer.
func (s *Server) linger(c *stream.Conn) {
	defer c.Close()
	defer s.loiterers.Add(-1)
	if s.loiterers.Add(1) > maxLoiterers || c.CloseWrite() != nil {
		return
	}
	deadline := c.Loop().Now() + loiterFor
	for passed := len(c.Bytes()); passed < loiterBytes && c.Loop().Now() < deadline; {
		c.Advance(len(c.Bytes()))
		c.SetReadLimit(deadline - c.Loop().Now())
		if c.Fill(stream.SmallBuffer, nil) != nil {
			return
		}
		passed += len(c.Bytes())
	}
}

// warn tells of trouble with a backend that no health check would show.
func (s *Server) warn(trouble string, b *cluster.Backend, err error) {
	s.warnings.Warn(trouble+" "+b.String(), logrus.Fields{
		"cluster": b.ClusterName(), "backend": b.String(), "reason": cause.Of(err, 0),
	}, trouble)
}

// warnOfProtocol tells of a client that speaks another protocol, which is
// somebody's mistake in a configuration, and not the only one of its kind. Each
// client is told of once in a while.
func (x *exchange) warnOfProtocol(protocol string) {
	if protocol == "" {
		return
	}
	c := x.client
	c.server.strangers.Warn(protocol+" "+c.ip, logrus.Fields{
		"client": c.ip, "listener": x.terms.Name, "protocol": protocol,
	}, "a client speaks another protocol than HTTP/1")
}
