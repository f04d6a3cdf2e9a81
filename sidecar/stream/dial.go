package stream

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
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

// Shared is a listening socket that somebody else holds open as well, for the time
// after this process: what has come to it and was not accepted waits there.
type Shared struct{ *net.TCPListener }

// Listen makes a Listener of ln, which belongs to it from then on. Accept gives
// what had come when it was closed before net.ErrClosed, unless ln is Shared.
func (l *Loop) Listen(ln net.Listener) (Listener, error) {
	if l.poller != nil {
		switch ln := ln.(type) {
		case *net.TCPListener:
			return l.poller.listen(ln, false)
		case Shared:
			return l.poller.listen(ln.TCPListener, true)
		}
	}
	return l.netListener(ln), nil
}

// ListenTLS makes a Listener of ln, which belongs to it from then on, as Listen does.
// Its connections carry cleartext until their Handshake.
func (l *Loop) ListenTLS(ln net.Listener) Listener { return l.netListener(ln) }

func (l *Loop) netListener(ln net.Listener) Listener { return &netListener{Listener: ln, loop: l} }

type netListener struct {
	net.Listener
	loop *Loop

	mu      sync.Mutex // guards what follows
	closed  bool
	arrived []net.Conn // when it was closed
}

// Close implements Listener.
func (n *netListener) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.arrived = append(n.arrived, lastCallNet(n.Listener)...)
	return n.Listener.Close()
}

// Accept implements Listener.
func (n *netListener) Accept() (*Conn, error) {
	nc, err := n.Listener.Accept()
	if err != nil {
		if nc, err = n.late(err); err != nil {
			return nil, err
		}
	}
	return n.loop.AdoptNet(nc), nil
}

// late gives what had come when the listener was closed. Else the error stays that
// Accept ended with.
func (n *netListener) late(err error) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !n.closed:
		return nil, err
	case len(n.arrived) == 0:
		return nil, net.ErrClosed
	}
	nc := n.arrived[0]
	n.arrived = n.arrived[1:]
	return nc, nil
}
