package stream

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pairBuffer is how many bytes one direction of a Pair holds.
const pairBuffer = 16 << 10

// End is one end of a connection within the process. It is a net.Conn whose writes
// are buffered; one task at a time reads, and one writes.
type End struct {
	in, out       *direction
	local, remote net.Addr
}

// Pair makes a connection within the process: what is written to one end is read
// from the other. To far it looks as if it came from remote to local.
func Pair(local, remote net.Addr) (near, far *End) {
	up, down := newDirection(), newDirection()
	return &End{in: down, out: up, local: remote, remote: local}, &End{in: up, out: down, local: local, remote: remote}
}

// direction is what goes one way.
type direction struct {
	mu      sync.Mutex // guards what follows
	changed sync.Cond
	buf     []byte // unread bytes are buf[r:]
	r       int
	end     error // what the reader gets behind the bytes: io.EOF, or why they are not all
	left    bool  // the reader is gone
	unread  bool  // the reader wants no more: what is written goes nowhere
	onLeft  func()

	readBy, writeBy deadline
}

func newDirection() *direction {
	d := new(direction)
	d.changed.L = &d.mu
	d.readBy.of, d.writeBy.of = d, d
	return d
}

// deadline of one side of a direction; guarded by its mu.
type deadline struct {
	of    *direction
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(at time.Time) {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	d.at = at
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if left := time.Until(at); !at.IsZero() && left > 0 {
		d.timer = time.AfterFunc(left, d.of.changed.Broadcast)
	}
	d.of.changed.Broadcast()
}

func (d *deadline) over() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *direction) read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.left, d.unread:
			return 0, net.ErrClosed
		case d.readBy.over():
			return 0, os.ErrDeadlineExceeded
		case d.r < len(d.buf):
			n := copy(p, d.buf[d.r:])
			if d.r += n; d.r == len(d.buf) {
				d.buf, d.r = d.buf[:0], 0
			}
			d.changed.Broadcast()
			return n, nil
		case d.end != nil:
			return 0, d.end
		}
		d.changed.Wait()
	}
}

func (d *direction) write(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(p) > 0 {
		room := max(0, pairBuffer-(len(d.buf)-d.r))
		switch {
		case d.left:
			return n, syscall.EPIPE
		case d.end != nil:
			return n, net.ErrClosed
		case d.writeBy.over():
			return n, os.ErrDeadlineExceeded
		case d.unread:
			return n + len(p), nil
		case room == 0:
			d.changed.Wait()
			continue
		}
		if d.r > 0 && len(d.buf)+len(p) > cap(d.buf) {
			d.buf, d.r = d.buf[:copy(d.buf, d.buf[d.r:])], 0
		}
		took := min(room, len(p))
		d.buf = append(d.buf, p[:took]...)
		p, n = p[took:], n+took
		d.changed.Broadcast()
	}
	return n, nil
}

// finish ends the direction by its writer.
func (d *direction) finish(why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.end == nil {
		d.end = why
	}
	d.changed.Broadcast()
}

// leave ends the direction by its reader.
func (d *direction) leave() {
	d.mu.Lock()
	told := d.onLeft
	d.left, d.onLeft, d.buf, d.r = true, nil, nil, 0
	d.changed.Broadcast()
	d.mu.Unlock()
	if told != nil {
		told()
	}
}

// Read implements net.Conn. io.EOF is the other's Close or CloseWrite.
func (e *End) Read(p []byte) (int, error) { return e.in.read(p) }

// Write implements net.Conn. EPIPE: nobody reads any more.
func (e *End) Write(p []byte) (int, error) { return e.out.write(p) }

// Close implements net.Conn. What was written is still delivered.
func (e *End) Close() error {
	e.out.finish(io.EOF)
	e.in.leave()
	return nil
}

// Begin writes the first bytes, however many they are, without waiting.
func (e *End) Begin(p []byte) {
	e.out.mu.Lock()
	defer e.out.mu.Unlock()
	e.out.buf = append(e.out.buf, p...)
	e.out.changed.Broadcast()
}

// CloseWrite tells the other end that nothing more comes; reading goes on.
func (e *End) CloseWrite() error {
	e.out.finish(io.EOF)
	return nil
}

// Abort is Close, but the other end reads why behind the bytes, not an EOF.
func (e *End) Abort(why error) {
	e.out.finish(why)
	e.in.leave()
}

// CloseRead drops what has come and still comes: the other end writes on, to nobody.
func (e *End) CloseRead() {
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	e.in.unread, e.in.buf, e.in.r = true, nil, 0
	e.in.changed.Broadcast()
}

// OnLeft has f called once the other end is closed; at once where it is already.
func (e *End) OnLeft(f func()) {
	e.out.mu.Lock()
	left := e.out.left
	if !left {
		e.out.onLeft = f
	}
	e.out.mu.Unlock()
	if left {
		f()
	}
}

// ready tells whether a read would not wait.
func (e *End) ready() bool {
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	return e.in.r < len(e.in.buf) || e.in.end != nil
}

// LocalAddr implements net.Conn.
func (e *End) LocalAddr() net.Addr { return e.local }

// RemoteAddr implements net.Conn.
func (e *End) RemoteAddr() net.Addr { return e.remote }

// SetDeadline implements net.Conn.
func (e *End) SetDeadline(t time.Time) error {
	e.in.readBy.set(t)
	e.out.writeBy.set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (e *End) SetReadDeadline(t time.Time) error {
	e.in.readBy.set(t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (e *End) SetWriteDeadline(t time.Time) error {
	e.out.writeBy.set(t)
	return nil
}
