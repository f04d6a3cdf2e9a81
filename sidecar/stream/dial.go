package stream

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Dial connects to addr within limit, and does the TLS handshake when config is
// not nil. A handshake that fails is a *HandshakeError. When other, for whom the
// connection is, is lost meanwhile, Dial gives up with ErrLost; it looks every
// now and then, and over the poller alone. nil is nobody.
func (l *Loop) Dial(addr netip.AddrPort, limit time.Duration, config *tls.Config, other *Conn) (*Conn, error) {
	if l.poller == nil || config != nil {
		return l.dialNet(addr, limit, config)
	}
	return l.poller.dial(addr, limit, other)
}

// Listener accepts connections for a loop. Its errors are those of a
// net.Listener: net.ErrClosed after Close.
type Listener interface {
	Accept() (*Conn, error)
	Close() error
}

// Listen makes a Listener of ln, which belongs to it from then on.
func (l *Loop) Listen(ln net.Listener) (Listener, error) {
	if tcp, ok := ln.(*net.TCPListener); ok && l.poller != nil {
		return l.poller.listen(tcp)
	}
	return netListener{ln, l, nil}, nil
}

// ListenTLS makes a Listener of ln, which belongs to it from then on. Its
// connections speak TLS by what config gives when they come; each of them begins
// with Handshake.
func (l *Loop) ListenTLS(ln net.Listener, config func() *tls.Config) Listener {
	return netListener{ln, l, config}
}

type netListener struct {
	net.Listener
	loop   *Loop
	config func() *tls.Config // nil: cleartext
}

// Accept implements Listener.
func (n netListener) Accept() (*Conn, error) {
	nc, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if n.config != nil {
		nc = tls.Server(nc, n.config())
	}
	return n.loop.AdoptNet(nc), nil
}
