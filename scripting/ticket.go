package scripting

import "sync/atomic"

// A ticket settles who owns a runtime: the call that runs on it, the watchdog, or
// nobody. It is one word, a call's number above a phase, and every step is one
// compare-and-swap, so exactly one side wins each of them:
//
//	preparing -> running                         built, now running the script's top level
//	idle -> running -> idle                      the call ended in time
//	        running -> running                   its owner begins a further call, with a deadline of its own
//	        running -> interrupted -> retired    the watchdog won; the call ended after that
//	        running -> interrupted -> abandoned  the call did not end; the watchdog gave the runtime up
//	idle -> retired                              a spare nobody needs
//	        running -> retired                   the engine failed inside the call
//
// There is no way back from interrupted, retired or abandoned: a runtime that was
// interrupted never serves again, so an interrupt that arrives late can hit
// nothing but a runtime that was thrown away. The call's number keeps the
// watchdog from interrupting a later call than the one it timed.
type ticket struct{ state atomic.Uint64 }

type phase uint64

const (
	preparing phase = iota
	idle
	running
	interrupted
	abandoned
	retired

	phaseBits = 3
	phaseMask = 1<<phaseBits - 1
)

func phaseOf(state uint64) phase { return phase(state & phaseMask) }

func with(state uint64, p phase) uint64 { return state&^phaseMask | uint64(p) }

// open ends the preparation; the first call, which runs the top level, begins. What
// was prepared is visible to whoever sees the ticket running.
func (t *ticket) open() { t.state.Store(1<<phaseBits | uint64(running)) }

// begin takes an idle runtime for one call.
func (t *ticket) begin() bool {
	state := t.state.Load()
	return phaseOf(state) == idle && t.state.CompareAndSwap(state, (state|phaseMask)+1+uint64(running))
}

// renew begins a further call on a runtime that a call owns already: its deadline
// begins anew. False means that the watchdog won before.
func (t *ticket) renew() bool {
	state := t.state.Load()
	return phaseOf(state) == running && t.state.CompareAndSwap(state, (state|phaseMask)+1+uint64(running))
}

// end gives the runtime back. False means that the watchdog won: the call has to
// retire the runtime.
func (t *ticket) end() bool {
	state := t.state.Load()
	return phaseOf(state) == running && t.state.CompareAndSwap(state, with(state, idle))
}

// retire takes the runtime out of service. False means that the watchdog has
// abandoned it before, and has accounted for it.
func (t *ticket) retire() bool {
	for {
		state := t.state.Load()
		if p := phaseOf(state); p == abandoned || p == retired {
			return false
		}
		if t.state.CompareAndSwap(state, with(state, retired)) {
			return true
		}
	}
}

// move is the watchdog's (and the trimmer's) step from exactly the state seen.
func (t *ticket) move(seen uint64, to phase) bool {
	return t.state.CompareAndSwap(seen, with(seen, to))
}

// live reports whether a call owns the runtime and has not lost it to the watchdog.
func (t *ticket) live() bool { return phaseOf(t.state.Load()) == running }

// isBuild reports whether the runtime's first call is meant, the top level.
func isBuild(state uint64) bool { return state>>phaseBits == 1 }
