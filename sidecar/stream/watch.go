package stream

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// watch is the eye that a waiting connection keeps on another one. net.Conn has
// no readiness, so the eye is a read in the background, into the other
// connection's own buffer, ended by a read deadline in the past. Most waits are
// over before it would be worth its while: the loop opens it for waits that have
// lasted a tick.
//
// The state goes closed -> armed -> (open) -> closed. Only the waiting task arms
// and disarms; only the loop opens, by compare-and-swap, so that the task finds
// out when it disarms and can wait for the end of the read.
type watch struct {
	state atomic.Uint32
	other *Conn // set while armed
	ticks int   // how many the loop has seen this wait armed; the loop's own
	ended chan error
}

const (
	watchClosed uint32 = iota
	watchArmed
	watchOpen
)

// maxAhead is how much a client may send ahead while it waits for an answer;
// behind that its end is not seen until the bytes are used.
const maxAhead = BodyBuffer

func (w *watch) arm(other *Conn) {
	if other == nil {
		return
	}
	w.other = other
	w.state.Store(watchArmed)
}

// disarm ends the watch. It tells what was seen: nil, ErrHalfClosed or ErrLost.
func (w *watch) disarm(other *Conn) error {
	if other == nil || w.state.CompareAndSwap(watchArmed, watchClosed) {
		return nil
	}
	_ = other.nc.SetReadDeadline(past)
	seen := <-w.ended
	_ = other.nc.SetReadDeadline(time.Time{})
	w.state.Store(watchClosed)
	return seen
}

// tick is called by the loop alone.
func (w *watch) tick(waiting *Conn) {
	if w.state.Load() != watchArmed {
		w.ticks = 0
		return
	}
	if w.ticks++; w.ticks < 2 {
		return
	}
	w.ticks = 0
	w.ended = make(chan error, 1)
	ended := w.ended
	if w.state.CompareAndSwap(watchArmed, watchOpen) {
		other := w.other
		waiting.loop.tasks.Go(func() { ended <- other.lookAhead(waiting) })
	}
}

// lookAhead reads ahead until the connection ends, and then wakes the one that
// waits.
func (c *Conn) lookAhead(waiting *Conn) error {
	for c.end == nil && c.w-c.r < maxAhead {
		c.makeRoom(c.w - c.r + 1)
		n, err := c.nc.Read(c.buf.B[c.w:])
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
	_ = waiting.nc.SetReadDeadline(past)
	if errors.Is(c.end, io.EOF) {
		return ErrHalfClosed
	}
	return ErrLost
}
