package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// netConn is the transport over net.Conn: TLS, and every system but Linux. A
// goroutine sits in each of its reads, and a deadline in the past wakes it.
type netConn struct {
	Conn
	net              net.Conn // what carries our bytes; a handshake replaces it
	wire             net.Conn // what is under it: deadlines, and all that others than the task do, are for this one
	reading, writing call
	ended            chan error // what a watch has seen
	gone             func(*Conn)
	peek             peek
}

// call is a Read or Write of a net.Conn. A deadline in the past ends it; it is
// set while the call is under way, and taken back by the end of that very call: one
// that is left for the next would break it, and a TLS connection for good.
type call struct {
	mu              sync.Mutex // guards what follows
	underWay, woken bool
}

func (c *call) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay = true
}

// wake ends the call if it is under way, for a reason that still holds.
func (c *call) wake(setDeadline func(time.Time) error, reason func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.underWay && !c.woken && reason() {
		c.woken = true
		_ = setDeadline(past())
	}
}

func (c *call) end(setDeadline func(time.Time) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken {
		_ = setDeadline(time.Time{})
	}
	c.underWay, c.woken = false, false
}

// past is a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }

// AdoptNet makes a connection of the loop from nc.
func (l *Loop) AdoptNet(nc net.Conn) *Conn {
	t := &netConn{Conn: Conn{loop: l}, net: nc, wire: underTLS(nc)}
	t.transport = t
	l.remember(&t.Conn)
	return &t.Conn
}

func (t *netConn) read(p []byte, other *Conn) (int, error) {
	by := t.deadline(t.readLimit)
	for {
		n, seen, err := t.tryRead(p, other, by)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.ErrNoProgress
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case seen != nil:
			return 0, seen
		}
		if err := t.readInterrupted(by); err != nil {
			return 0, err
		}
		// A wake-up that was meant for an earlier wait.
	}
}

// readNow asks the kernel first. Under TLS there may be less than a record.
func (t *netConn) readNow(p []byte) (int, error) {
	switch nc := t.net.(type) {
	case *tls.Conn:
		return 0, nil
	case *End:
		if !nc.ready() {
			return 0, nil
		}
		return nc.Read(p)
	}
	t.peek.prepare(t.wire)
	if t.peek.quiet() {
		return 0, nil
	}
	return t.net.Read(p)
}

// tryRead is one read. seen is what the watch on other has seen meanwhile.
func (t *netConn) tryRead(p []byte, other *Conn, by int64) (n int, seen, err error) {
	t.readBy.Store(by)
	t.reading.begin()
	t.watch.arm(&t.Conn, other)
	// Who interrupted before the call began could not wake it.
	if err = t.readInterrupted(by); err == nil {
		n, err = t.net.Read(p)
	}
	seen = t.watch.disarm(other)
	t.reading.end(t.wire.SetReadDeadline)
	t.readBy.Store(0)
	return n, seen, err
}

// readInterrupted is interrupted, and StopIdle.
func (t *netConn) readInterrupted(by int64) error {
	if t.turn.Load() == turnEnding {
		return ErrStopped
	}
	return t.interrupted(by)
}

// write goes by pieces, so that the limit is for one that moves nothing.
func (t *netConn) write(p []byte) error {
	for len(p) > 0 {
		by := t.deadline(t.writeLimit)
		n, err := t.tryWrite(p[:min(len(p), BodyBuffer)], by)
		p = p[n:]
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case t.halted():
			return ErrStopped
		case n == 0:
			return ErrTimeout
		}
	}
	return nil
}

func (t *netConn) tryWrite(p []byte, by int64) (int, error) {
	t.writeBy.Store(by)
	t.writing.begin()
	defer func() {
		t.writing.end(t.wire.SetWriteDeadline)
		t.writeBy.Store(0)
	}()
	if t.halted() {
		return 0, ErrStopped
	}
	return t.net.Write(p)
}

func (t *netConn) wakeRead() {
	// The reason may be another connection's.
	t.reading.wake(t.wire.SetReadDeadline, func() bool { return true })
}

func (t *netConn) wakeWrite() {
	t.writing.wake(t.wire.SetWriteDeadline, func() bool { return t.interrupted(t.writeBy.Load()) != nil })
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
	_ = t.wire.SetReadDeadline(past())
	seen := <-t.ended
	_ = t.wire.SetReadDeadline(time.Time{})
	return seen
}

// lookAhead reads ahead until the connection ends, and then wakes the one that
// waits.
func (t *netConn) lookAhead(waiting *Conn) error {
	c := &t.Conn
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
	t.beginIdle()
	t.turn.Store(turnClient)
	if t.loop.stopping.Load() {
		t.turn.Store(turnEnding)
		t.Stop()
	}
	return false
}

// first waits in a read. A FIN or a reset ends it like any other.
func (t *netConn) first(p []byte) (int, error) { return t.read(p, nil) }

// evict ends the task's read, and the task then ends the rest.
func (t *netConn) evict() bool {
	if !t.turn.CompareAndSwap(turnClient, turnEnding) {
		return false
	}
	_ = t.wire.Close()
	return true
}

// park can not watch: unpark asks instead.
func (t *netConn) park(gone func(*Conn)) bool {
	t.gone = gone
	return t.end == nil
}

func (t *netConn) unpark() bool {
	if !t.peek.quiet() {
		t.gone(&t.Conn)
		return false
	}
	return true
}

// silent has been asked by unpark.
func (*netConn) silent() bool { return true }

func (t *netConn) closeWrite() error {
	if half, ok := t.net.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return t.net.Close()
}

func (t *netConn) close() { _ = t.net.Close() }

func (t *netConn) abort() {
	switch nc := t.wire.(type) {
	case *net.TCPConn:
		_ = nc.SetLinger(0)
	case *End:
		nc.Abort(io.ErrUnexpectedEOF)
	}
	_ = t.wire.Close() // without the alert that says that this is a clean end
}

func (t *netConn) remote() netip.AddrPort { return addrPort(t.wire.RemoteAddr()) }

func (t *netConn) local() netip.AddrPort { return addrPort(t.wire.LocalAddr()) }

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

func underTLS(nc net.Conn) net.Conn {
	for {
		over, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = over.NetConn()
	}
}

// dialNet connects to a target within limit, and does the TLS handshake where it
// speaks TLS.
func (l *Loop) dialNet(to Target, limit time.Duration) (*Conn, error) {
	ctx, cancel := context.WithTimeout(l.life, limit)
	defer cancel()
	dialer := net.Dialer{KeepAlive: -1} // these connections live for seconds when nothing passes
	nc, err := dialer.DialContext(ctx, "tcp", to.Addr.String())
	if err != nil {
		return nil, err
	}
	if to.Preface != "" {
		if _, err := io.WriteString(nc, to.Preface); err != nil { // it is short: the kernel takes it at once
			return nil, errors.Join(err, nc.Close())
		}
	}
	if to.TLS != nil {
		secure := tls.Client(nc, to.TLS)
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
