package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// netConn is the transport over net.Conn: TLS, and every system but Linux. A
// goroutine sits in each of its reads, and a deadline in the past wakes it.
type netConn struct {
	*Conn
	net   net.Conn
	ended chan error // what a watch has seen
	gone  func(*Conn)
	peek  peek
}

// past is a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }

// AdoptNet makes a connection of the loop from nc.
func (l *Loop) AdoptNet(nc net.Conn) *Conn {
	c := &Conn{loop: l, slot: -1}
	t := &netConn{Conn: c, net: nc}
	c.transport = t
	l.remember(c)
	return c
}

func (t *netConn) read(p []byte, other *Conn) (int, error) {
	for {
		by := t.deadline(t.readLimit)
		t.readBy.Store(by)
		if t.halted() {
			t.readBy.Store(0)
			return 0, ErrStopped
		}
		t.watch.arm(t.Conn, other)
		n, err := t.net.Read(p)
		seen := t.watch.disarm(other)
		t.readBy.Store(0)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.ErrNoProgress
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		}
		_ = t.net.SetReadDeadline(time.Time{})
		switch {
		case t.turn.Load() == turnEnding:
			return 0, ErrStopped
		case seen != nil:
			return 0, seen
		}
		if err := t.interrupted(by); err != nil {
			return 0, err
		}
		// A wake-up that was meant for an earlier wait.
	}
}

func (t *netConn) write(p []byte) error {
	for {
		by := t.deadline(t.writeLimit)
		t.writeBy.Store(by)
		if t.halted() {
			t.writeBy.Store(0)
			return ErrStopped
		}
		n, err := t.net.Write(p)
		t.writeBy.Store(0)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		_ = t.net.SetWriteDeadline(time.Time{})
		if err := t.interrupted(by); err != nil {
			return err
		}
		p = p[n:]
	}
}

func (t *netConn) wakeRead() {
	if t.readBy.Load() != 0 {
		_ = t.net.SetReadDeadline(past())
	}
}

func (t *netConn) wakeWrite() {
	if t.writeBy.Load() != 0 {
		_ = t.net.SetWriteDeadline(past())
	}
}

func (*netConn) tells() bool { return false }

// maxAhead is how much a client may send ahead while it waits for an answer;
// behind that its end is not seen until the bytes are used.
const maxAhead = BodyBuffer

func (t *netConn) watchFor(waiting *Conn) {
	ended := make(chan error, 1)
	t.ended = ended
	t.loop.Go(func() { ended <- t.lookAhead(waiting) })
}

func (t *netConn) unwatch() error {
	_ = t.net.SetReadDeadline(past())
	seen := <-t.ended
	_ = t.net.SetReadDeadline(time.Time{})
	return seen
}

// lookAhead reads ahead until the connection ends, and then wakes the one that
// waits.
func (t *netConn) lookAhead(waiting *Conn) error {
	c := t.Conn
	for c.end == nil && c.w-c.r < maxAhead {
		c.makeRoom(c.w - c.r + 1)
		n, err := t.net.Read(c.buf.B[c.w:])
		c.w += n
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		default:
			c.end = err
		}
	}
	if c.end == nil {
		return nil
	}
	waiting.transport.wakeRead()
	if errors.Is(c.end, io.EOF) {
		return ErrHalfClosed
	}
	return ErrLost
}

// idle keeps the task: it waits for the client in its next read, where StopIdle
// finds it.
func (t *netConn) idle() bool {
	t.turn.Store(turnClient)
	if t.loop.stopping.Load() {
		t.turn.Store(turnEnding)
		t.Stop()
	}
	return false
}

// first waits in a read. A FIN or a reset ends it like any other.
func (t *netConn) first(p []byte) (int, error) { return t.read(p, nil) }

// park can not watch: unpark asks instead.
func (t *netConn) park(gone func(*Conn)) bool {
	t.gone = gone
	return t.end == nil
}

func (t *netConn) unpark() bool {
	if !t.peek.quiet() {
		t.gone(t.Conn)
		return false
	}
	return true
}

func (t *netConn) closeWrite() error {
	if half, ok := t.net.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return t.net.Close()
}

func (t *netConn) close() { _ = t.net.Close() }

func (t *netConn) abort() {
	if tcp, ok := underTLS(t.net).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	t.close()
}

func (t *netConn) remote() netip.AddrPort { return addrPort(t.net.RemoteAddr()) }

func (t *netConn) local() netip.AddrPort { return addrPort(t.net.LocalAddr()) }

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

func underTLS(nc net.Conn) net.Conn {
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return nc
}

// dialNet connects to addr within limit, and does the TLS handshake when config
// is not nil.
func (l *Loop) dialNet(addr netip.AddrPort, limit time.Duration, config *tls.Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	dialer := net.Dialer{KeepAlive: -1} // these connections live for seconds when nothing passes
	nc, err := dialer.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	if config != nil {
		secure := tls.Client(nc, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, &HandshakeError{err}
		}
		nc = secure
	}
	c := l.AdoptNet(nc)
	c.transport.(*netConn).peek.prepare(nc)
	return c, nil
}

// HandshakeError is a TLS handshake that failed on a connection that was made.
type HandshakeError struct{ Err error }

func (e *HandshakeError) Error() string { return "TLS handshake: " + e.Err.Error() }

func (e *HandshakeError) Unwrap() error { return e.Err }
