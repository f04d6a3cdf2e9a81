package stream

import (
	"runtime"
	"sync/atomic"
)

// watch is the eye that a waiting connection keeps on another one, as far as the
// other's transport can not tell of its end by itself. It would cost a read in
// the background, and most waits are over before that is worth its while: the
// loop opens the eye for waits that have lasted a tick.
//
// The state goes closed -> armed -> (opening -> open) -> closed. Only the waiting
// task arms and disarms; only the loop opens, by compare-and-swap, so that the
// task finds out when it disarms.
type watch struct {
	state atomic.Uint32
	other *Conn // set while armed
	ticks int   // how many the loop has seen this wait armed; the loop's own
}

const (
	watchClosed uint32 = iota
	watchArmed
	watchOpening
	watchOpen
)

func (w *watch) arm(waiting, other *Conn) {
	switch {
	case other == nil:
	case other.transport.tells():
		other.transport.watchFor(waiting)
	default:
		w.other = other
		w.state.Store(watchArmed)
	}
}

// disarm ends the watch. It tells what was seen: nil, ErrHalfClosed or ErrLost.
func (w *watch) disarm(other *Conn) error {
	switch {
	case other == nil:
		return nil
	case other.transport.tells():
		return other.transport.unwatch()
	case w.state.CompareAndSwap(watchArmed, watchClosed):
		return nil
	}
	for w.state.Load() == watchOpening {
		runtime.Gosched() // the loop starts a task, no more
	}
	seen := other.transport.unwatch()
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
	other := w.other
	if w.state.CompareAndSwap(watchArmed, watchOpening) {
		other.transport.watchFor(waiting)
		w.state.Store(watchOpen)
	}
}
