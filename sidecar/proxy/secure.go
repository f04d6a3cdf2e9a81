package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cause"
	"outrider/sidecar/stream"
)

// TLS is what a client's connection was encrypted by.
type TLS struct {
	Version    string // "1.3"
	ServerName string // that the client asked for; may be empty
	// Subject is that of the client's certificate, which was verified: "CN=web,O=shop".
	// Empty: it came without one.
	Subject string
	Names   []string // that the certificate is for: DNS names, URIs
}

func newTLS(state tls.ConnectionState) *TLS {
	t := &TLS{ServerName: state.ServerName, Version: "1.2"}
	if state.Version == tls.VersionTLS13 {
		t.Version = "1.3"
	}
	if len(state.VerifiedChains) == 0 {
		return t
	}
	leaf := state.PeerCertificates[0]
	t.Subject, t.Names = leaf.Subject.String(), leaf.DNSNames
	for _, uri := range leaf.URIs {
		t.Names = append(t.Names, uri.String())
	}
	return t
}

// tlsCost is what a connection of TLS takes while it is idle, in bytes: 13 KiB were
// measured besides its lent buffer, 20 once its client has sent the largest records.
const tlsCost = 24 << 10

// secure begins a client connection with the TLS handshake.
func (s *Server) secure(c *client) {
	if !c.occupy(tlsCost) {
		s.counts.refused.Add(1)
		c.Gone()
		s.dismissUnheard(c.conn)
		return
	}
	s.handshakes.Add(1)
	state, err := c.conn.Handshake(s.settings.Load().Limits.HeadTimeout, c.listener.terms.Load().TLS())
	c.tls = newTLS(state)
	overHTTP2 := state.NegotiatedProtocol == "h2"
	if err == nil && !overHTTP2 {
		s.loop.Start(c.conn, c)
	}
	s.handshakes.Add(-1)
	switch {
	case err != nil:
		s.insecure(c, err)
	case overHTTP2:
		s.serveHTTP2(c)
	}
}

// internalError is the alert of TLS for want of something on our side (RFC 8446, 6.2), in
// a record of its own.
const internalError = "\x15\x03\x03\x00\x02\x02\x50"

// dismissUnheard turns away a client that is to speak TLS: a handshake is what costs
// most, and before it there are no words but an alert.
func (s *Server) dismissUnheard(conn *stream.Conn) {
	conn.SetWriteLimit(time.Second)
	_ = conn.Write([]byte(internalError))
	s.linger(conn)
}

// insecure ends a client connection whose handshake failed.
func (s *Server) insecure(c *client, err error) {
	defer c.Gone()
	defer c.conn.Close()
	s.counts.unencrypted.Add(1)
	fields := logrus.Fields{"client": c.ip, "listener": c.listener.Terms().Name}
	if broken, ok := errors.AsType[tls.RecordHeaderError](err); ok && broken.Conn != nil {
		if looksLikeText(broken.RecordHeader) {
			s.answerCleartext(broken.Conn)
		}
		s.strangers.Warn("cleartext "+c.ip, fields, "a client speaks cleartext to a listener that speaks TLS")
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, stream.ErrStopped) {
		return // a look whether the port is open, or our own end
	}
	fields["reason"] = cause.Of(err, s.settings.Load().Limits.HeadTimeout)
	s.strangers.Warn("handshake "+c.ip, fields, "the TLS handshake with a client failed")
}

// looksLikeText tells whether the first bytes of a client could be those of a
// request.
func looksLikeText(header [5]byte) bool {
	for _, c := range header[:3] {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// answerCleartext tells a client in cleartext why it gets nothing else.
func (s *Server) answerCleartext(nc net.Conn) {
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	fault := &Fault{Status: 400, Type: "http_request_error", Detail: "this is cleartext HTTP, but the listener speaks TLS: use https://, or another port"}
	if _, err := nc.Write(s.appendFault(nil, fault, true)); err != nil {
		return
	}
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn()
	}
	if half, ok := nc.(*net.TCPConn); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, nc, loiterBytes) // what it still sends would reset the answer
	}
}
