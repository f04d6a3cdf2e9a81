package stream

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// What ends a wait, besides the bytes and what the network says.
var (
	ErrTimeout    = error(timeoutError{})
	ErrStopped    = errors.New("stopped")                    // by Stop
	ErrHalfClosed = errors.New("the watched side has ended") // it sent its FIN: it may still be reading
	ErrLost       = errors.New("the watched side is gone")   // it was reset: nobody is there any more
)

// timeoutError is a net.Error whose Timeout is true.
type timeoutError struct{}

func (timeoutError) Error() string { return "timeout" }

func (timeoutError) Timeout() bool { return true }

func (timeoutError) Temporary() bool { return true }

// transport carries the bytes of one connection. Its read and write obey the
// connection's limits and Stop, see Conn.interrupted.
type transport interface {
	// read waits for at least one byte. While it waits it watches other, which
	// may be nil.
	read(p []byte, other *Conn) (int, error)
	// readNow reads what there is without waiting, and nothing where it can not
	// know.
	readNow(p []byte) (int, error)
	// write writes all of p.
	write(p []byte) error
	// wakeRead makes a read that waits look again for what may have ended its
	// wait; wakeWrite does so for a write. May be called from anywhere.
	wakeRead()
	wakeWrite()
	// watchFor begins to watch this connection for waiting, which is woken when
	// it ends. unwatch ends that, and tells what was seen. Where it tells of its
	// end by itself, both cost next to nothing.
	watchFor(waiting *Conn)
	unwatch() error
	tells() bool
	// idle gives the connection up until there are bytes, or it ends: then a task
	// goes on with it. False: the caller keeps it, and goes on.
	idle() bool
	// first reads the first bytes of an idle connection. errNotYet: there are
	// none after all.
	first(p []byte) (int, error)
	evict() bool                // closes an idle connection; false: it is not, or not any longer
	park(gone func(*Conn)) bool // see Conn.Park
	unpark() bool               // see Conn.Unpark
	silent() bool               // see Conn.Silent

	closeWrite() error
	leave() (net.Conn, error) // see Conn.Leave
	close()
	abort()
	remote() netip.AddrPort
	local() netip.AddrPort
}

// Conn is one connection. One task at a time reads from it, and one at a time
// writes to it; these may be two. Stop may be called from anywhere; everything
// else is for the task that holds the connection.
type Conn struct {
	// What the loop looks at stands together: there may be very many of these.
	readBy, writeBy atomic.Int64 // when the wait under way is over; 0: there is none
	idleSince       atomic.Int64 // on the loop's clock; only while the turn is the client's
	watch           watch
	transport       transport

	loop    *Loop
	slot    int32 // in the loop's list; -1: closed
	stopped atomic.Bool
	turn    atomic.Uint32 // see turn.go
	hungry  bool          // the handler wants more than what is in buf
	late    bool          // the turn has waited for room for too long
	handler Handler

	buf  *Buffer // lent while there are unread bytes, which are buf.B[r:w]
	r, w int
	end  error // what the reading side ended with, told when the bytes are used up

	readLimit, writeLimit int64 // milliseconds that a wait may last
}

// SetReadLimit sets how long one read may wait for its bytes from now on, in
// steps of Tick. Until then it may not wait for longer than that.
func (c *Conn) SetReadLimit(d time.Duration) { c.readLimit = millis(d) }

// SetWriteLimit sets how long the other end may take nothing of a write from now
// on, in steps of Tick.
func (c *Conn) SetWriteLimit(d time.Duration) { c.writeLimit = millis(d) }

func millis(d time.Duration) int64 { return max(0, int64(d/time.Millisecond)) }

// Remote is the address of the other end; the zero value when it has none.
func (c *Conn) Remote() netip.AddrPort { return c.transport.remote() }

// Local is our own address; the zero value when there is none.
func (c *Conn) Local() netip.AddrPort { return c.transport.local() }

// Loop is the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

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
	n, err := c.transport.read(c.buf.B[c.w:], other)
	return c.filled(n, err)
}

// FillNow is Fill of what has come, without waiting. It reports whether that was
// anything, as far as it is known without asking. The next Fill tells of an end.
func (c *Conn) FillNow(size int) bool {
	if c.end != nil {
		return false
	}
	c.makeRoom(size)
	n, err := c.transport.readNow(c.buf.B[c.w:])
	return c.filled(n, err) == nil && n > 0
}

func (c *Conn) filled(n int, err error) error {
	c.w += n
	if err != nil && !transient(err) {
		c.end = err
	}
	return err
}

// fillFirst is Fill for an idle connection.
func (c *Conn) fillFirst() error {
	if c.end != nil {
		return c.end
	}
	c.makeRoom(SmallBuffer)
	n, err := c.transport.first(c.buf.B[c.w:])
	return c.filled(n, err)
}

// errNotYet is a connection that was woken for nothing.
var errNotYet = errors.New("nothing to read yet")

// transient errors end one wait, not the connection.
func transient(err error) bool {
	//nolint:errorlint // our own values, never wrapped
	switch err {
	case ErrTimeout, ErrStopped, ErrHalfClosed, ErrLost, errNotYet:
		return true
	}
	return false
}

func (c *Conn) makeRoom(size int) {
	switch {
	case c.buf == nil:
		c.buf = c.loop.buffers.Lend(size)
	case len(c.buf.B) < max(size, c.w-c.r+1):
		bigger := c.loop.buffers.Lend(max(size, c.w-c.r+1))
		n := copy(bigger.B, c.Bytes())
		c.buf.Release()
		c.buf, c.r, c.w = bigger, 0, n
	case len(c.buf.B)-c.r < size || c.w == len(c.buf.B):
		c.r, c.w = 0, copy(c.buf.B, c.Bytes())
	}
}

// ReleaseBuffer gives the buffer back when it holds nothing.
func (c *Conn) ReleaseBuffer() {
	if c.r == c.w {
		c.dropBuffer()
	}
}

// shrink gives the buffer back, or takes a smaller one for the few bytes that it
// holds: they may stay for long.
func (c *Conn) shrink() {
	rest := c.Bytes()
	if len(rest) == 0 {
		c.dropBuffer()
		return
	}
	if len(rest) > TinyBuffer || len(c.buf.B) == TinyBuffer {
		return
	}
	tiny := c.loop.buffers.Lend(len(rest))
	n := copy(tiny.B, rest)
	c.buf.Release()
	c.buf, c.r, c.w = tiny, 0, n
}

// Late tells whether the turn that begins had to wait so long for room
// (Loop.Bound) that it is to be turned away.
func (c *Conn) Late() bool { return c.late }

// Write writes all of p.
func (c *Conn) Write(p []byte) error { return c.transport.write(p) }

// Stop ends the waits under way and every later one with ErrStopped, until
// Continue.
func (c *Conn) Stop() {
	c.stopped.Store(true)
	c.transport.wakeRead()
	c.transport.wakeWrite()
}

// Continue takes a Stop back, but not the loop's StopAll.
func (c *Conn) Continue() { c.stopped.Store(false) }

func (c *Conn) halted() bool { return c.stopped.Load() || c.loop.ended.Load() }

// Halted tells whether the connection is stopped.
func (c *Conn) Halted() bool { return c.halted() }

// deadline is when a wait that begins now and may last so long is over, on the
// loop's clock. The clock may be a tick behind.
func (c *Conn) deadline(limit int64) int64 { return c.loop.now.Load() + limit + tickMillis }

// interrupted tells what has ended a wait until by that was not ended by the
// network, and nil when nothing has.
func (c *Conn) interrupted(by int64) error {
	switch {
	case c.halted():
		return ErrStopped
	case c.loop.now.Load() >= by:
		return ErrTimeout
	}
	return nil
}

// CloseWrite tells the other end that nothing more comes (FIN); reading goes on.
func (c *Conn) CloseWrite() error { return c.transport.closeWrite() }

// Close ends the connection. What was written is still delivered. A connection
// that is closed stays closed: Close and Abort do nothing then.
func (c *Conn) Close() {
	if c.loop.forget(c) {
		c.transport.close()
		c.dropBuffer()
	}
}

func (c *Conn) dropBuffer() {
	c.buf.Release()
	c.buf, c.r, c.w = nil, 0, 0
}

// Abort ends the connection so that the other end can not take it for a clean
// end (RST, where the transport has one).
func (c *Conn) Abort() {
	if c.loop.forget(c) {
		c.transport.abort()
		c.dropBuffer()
	}
}

// Park gives an idle upstream connection up until Unpark. Should it end or say
// something before, gone is told: it is gone's then, to be closed. False: it has
// ended already, and stays with the caller.
func (c *Conn) Park(gone func(*Conn)) bool {
	if len(c.Bytes()) > 0 {
		return false
	}
	c.dropBuffer()
	return c.transport.park(gone)
}

// Unpark takes a parked connection back. False: it has ended, and gone has it.
func (c *Conn) Unpark() bool { return c.transport.unpark() }

// Silent tells whether a connection that was just taken back has said nothing, for a
// task that woken's bytes have woken. Where no poller of ours did that, what came to this
// one earlier than those may not have been noticed yet: then it asks.
func (c *Conn) Silent(woken *Conn) bool { return woken.transport.tells() || c.transport.silent() }
