package stream

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Target is what Dial connects to.
type Target struct {
	Addr    netip.AddrPort
	Preface string      // sent first, before a handshake; short
	TLS     *tls.Config // nil: cleartext
}

// Dial connects to a target within limit, and does the TLS handshake where it speaks
// TLS. A handshake that fails is a *HandshakeError. When other, for whom the
// connection is, is lost meanwhile, Dial gives up with ErrLost; it looks every
// now and then, and over the poller alone. nil is nobody.
func (l *Loop) Dial(to Target, limit time.Duration, other *Conn) (*Conn, error) {
	if l.poller == nil || to.TLS != nil {
		return l.dialNet(to, limit)
	}
	c, err := l.poller.dial(to.Addr, limit, other)
	if err != nil || to.Preface == "" {
		return c, err
	}
	c.SetWriteLimit(limit)
	if err := c.Write([]byte(to.Preface)); err != nil {
		c.Close()
		return nil, dialError(to.Addr, err)
	}
	return c, nil
}

func dialError(addr netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: err}
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
	return netListener{ln, l}, nil
}

// ListenTLS makes a Listener of ln, which belongs to it from then on. Its
// connections carry cleartext until their Handshake.
func (l *Loop) ListenTLS(ln net.Listener) Listener { return netListener{ln, l} }

type netListener struct {
	net.Listener
	loop *Loop
}

// Accept implements Listener.
func (n netListener) Accept() (*Conn, error) {
	nc, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return n.loop.AdoptNet(nc), nil
}
