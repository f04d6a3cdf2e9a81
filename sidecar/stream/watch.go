package stream

import (
	"runtime"
	"sync/atomic"
)

// watch is the eye that a waiting connection keeps on another one, as far as the
// other's transport can not tell of its end by itself. It would cost a read in
// the background, and most waits are over before that is worth its while: the
// loop opens the eye for waits that have lasted from one look to the next.
//
// The state goes closed -> armed -> (opening -> open) -> closed, and what stands
// above that counts the waits. Only the waiting task arms and disarms; only the
// loop opens, by compare-and-swap, so that the task finds out when it disarms,
// and so that it is for the very wait that the loop has seen before.
type watch struct {
	state atomic.Uint32
	seen  uint32 // the state that the loop saw last; the loop's own
	other *Conn  // the loop reads it while opening alone
}

const (
	watchClosed uint32 = iota
	watchArmed
	watchOpening
	watchOpen
	watchStep // from one wait to the next
)

func (w *watch) arm(waiting, other *Conn) {
	switch {
	case other == nil:
	case other.transport.tells():
		other.transport.watchFor(waiting)
	default:
		w.other = other
		w.state.Store(w.state.Load() - watchClosed + watchStep + watchArmed)
	}
}

// disarm ends the watch. It tells what was seen: nil, ErrHalfClosed or ErrLost.
func (w *watch) disarm(other *Conn) (seen error) {
	switch {
	case other == nil:
		return nil
	case other.transport.tells():
		return other.transport.unwatch()
	}
	armed := w.state.Load()
	if armed%watchStep != watchArmed || !w.state.CompareAndSwap(armed, armed-watchArmed+watchClosed) {
		for w.state.Load()%watchStep == watchOpening {
			runtime.Gosched() // the loop starts a task, no more
		}
		seen = other.transport.unwatch()
		w.state.Store(w.state.Load() - watchOpen + watchClosed)
	}
	w.other = nil
	return seen
}

// tick is called by the loop alone.
func (w *watch) tick(waiting *Conn) {
	state, before := w.state.Load(), w.seen
	w.seen = state
	if state%watchStep != watchArmed || state != before {
		return
	}
	if w.state.CompareAndSwap(state, state-watchArmed+watchOpening) {
		w.other.transport.watchFor(waiting)
		w.state.Store(state - watchArmed + watchOpen)
	}
}
