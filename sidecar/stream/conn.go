package stream

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// What ends a wait, besides the bytes and what the network says.
var (
	ErrTimeout    = errors.New("timeout")
	ErrStopped    = errors.New("stopped")                    // by Stop
	ErrHalfClosed = errors.New("the watched side has ended") // it sent its FIN: it may still be reading
	ErrLost       = errors.New("the watched side is gone")   // it was reset: nobody is there any more
)

// Conn is one connection. One task at a time reads from it, and one at a time
// writes to it; these may be two. Stop, Abort and Close may be called from
// anywhere.
type Conn struct {
	nc      net.Conn
	loop    *Loop
	handler Handler
	slot    int // in the loop's list

	buf  *Buffer // lent while there are unread bytes, which are buf.B[r:w]
	r, w int
	end  error // what the reading side ended with, told when the bytes are used up

	readLimit, writeLimit int64 // milliseconds a wait may last
	readBy, writeBy       atomic.Int64
	stopped               atomic.Bool
	turn                  atomic.Uint32 // whose turn it is: see serve.go

	watch watch
	peek  peek
}

// SetReadLimit sets how long one read may wait from now on, in steps of Tick.
func (c *Conn) SetReadLimit(d time.Duration) { c.readLimit = int64(d / time.Millisecond) }

// SetWriteLimit sets how long one write may take from now on, in steps of Tick.
func (c *Conn) SetWriteLimit(d time.Duration) { c.writeLimit = int64(d / time.Millisecond) }

// Remote is the address of the other end; the zero value when it has none.
func (c *Conn) Remote() netip.AddrPort { return addrPort(c.nc.RemoteAddr()) }

// Local is our own address; the zero value when there is none.
func (c *Conn) Local() netip.AddrPort { return addrPort(c.nc.LocalAddr()) }

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Bytes are the bytes that were read and not yet used. They stay where they are
// until the next Fill, Advance or Detach.
func (c *Conn) Bytes() []byte {
	if c.buf == nil {
		return nil
	}
	return c.buf.B[c.r:c.w]
}

// Advance uses up the first n of Bytes.
func (c *Conn) Advance(n int) {
	if c.r += n; c.r == c.w {
		c.r, c.w = 0, 0
	}
}

// Detach uses up the first n of Bytes, and gives them to the caller together
// with the buffer that they are in, to be released by the caller. What stands
// behind them moves to another buffer.
func (c *Conn) Detach(n int) ([]byte, *Buffer) {
	taken, owner := c.buf.B[c.r:c.r+n:c.r+n], c.buf
	rest := c.buf.B[c.r+n : c.w]
	c.buf, c.r, c.w = nil, 0, 0
	if len(rest) > 0 {
		c.buf = c.loop.buffers.Lend(len(rest))
		c.w = copy(c.buf.B, rest)
	}
	return taken, owner
}

// Fill reads some more bytes behind Bytes, at least one. It makes room for
// at least size bytes in all (buffers come in steps, so there may be more). While
// it waits it watches other, which may be nil: ErrHalfClosed and ErrLost tell of
// that connection. io.EOF is the clean end of this one.
func (c *Conn) Fill(size int, other *Conn) error {
	if c.end != nil {
		return c.end
	}
	c.makeRoom(size)
	n, err := c.read(c.buf.B[c.w:], other)
	c.w += n
	if err != nil && !transient(err) {
		c.end = err
	}
	return err
}

// transient errors end one wait, not the connection.
func transient(err error) bool {
	return err == ErrTimeout || err == ErrStopped || err == ErrHalfClosed || err == ErrLost //nolint:errorlint // our own values, never wrapped
}

func (c *Conn) makeRoom(size int) {
	switch {
	case c.buf == nil:
		c.buf = c.loop.buffers.Lend(size)
	case c.r == c.w && len(c.buf.B) >= size:
		c.r, c.w = 0, 0
	case c.w == len(c.buf.B) || len(c.buf.B) < size:
		bigger := c.loop.buffers.Lend(max(size, c.w-c.r+1))
		n := copy(bigger.B, c.Bytes())
		c.buf.Release()
		c.buf, c.r, c.w = bigger, 0, n
	}
}

// ReleaseBuffer gives the buffer back when it holds nothing.
func (c *Conn) ReleaseBuffer() {
	if c.r == c.w {
		c.buf.Release()
		c.buf, c.r, c.w = nil, 0, 0
	}
}

func (c *Conn) read(p []byte, other *Conn) (int, error) {
	for {
		by := c.loop.now.Load() + c.readLimit + tickMillis
		c.readBy.Store(by)
		if c.stopped.Load() {
			c.readBy.Store(0)
			return 0, ErrStopped
		}
		c.watch.arm(other)
		n, err := c.nc.Read(p)
		seen := c.watch.disarm(other)
		c.readBy.Store(0)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.ErrNoProgress
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		}
		_ = c.nc.SetReadDeadline(time.Time{})
		switch {
		case c.stopped.Load(), c.turn.Load() == turnEnding:
			return 0, ErrStopped
		case seen != nil:
			return 0, seen
		case c.loop.now.Load() >= by:
			return 0, ErrTimeout
		}
		// A wake-up that was meant for an earlier wait.
	}
}

// Write writes all of p.
func (c *Conn) Write(p []byte) error {
	for {
		by := c.loop.now.Load() + c.writeLimit + tickMillis
		c.writeBy.Store(by)
		if c.stopped.Load() {
			c.writeBy.Store(0)
			return ErrStopped
		}
		n, err := c.nc.Write(p)
		c.writeBy.Store(0)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		_ = c.nc.SetWriteDeadline(time.Time{})
		switch {
		case c.stopped.Load():
			return ErrStopped
		case c.loop.now.Load() >= by:
			return ErrTimeout
		}
		p = p[n:]
	}
}

// Stop ends the waits under way and every later one with ErrStopped, until
// Continue.
func (c *Conn) Stop() {
	c.stopped.Store(true)
	if c.readBy.Load() != 0 {
		_ = c.nc.SetReadDeadline(past)
	}
	if c.writeBy.Load() != 0 {
		_ = c.nc.SetWriteDeadline(past)
	}
}

// Continue takes a Stop back.
func (c *Conn) Continue() { c.stopped.Store(false) }

// CloseWrite tells the other end that nothing more comes (FIN); reading goes on.
func (c *Conn) CloseWrite() error {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.nc.Close()
}

// Close ends the connection. What was written is still delivered.
func (c *Conn) Close() {
	c.loop.forget(c)
	_ = c.nc.Close()
}

// Abort ends the connection so that the other end can not take it for a clean
// end (RST, where the transport has one).
func (c *Conn) Abort() {
	if tcp, ok := underTLS(c.nc).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

func underTLS(nc net.Conn) net.Conn {
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return nc
}

// Loop is the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }
