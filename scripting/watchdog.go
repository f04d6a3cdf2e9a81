package scripting

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

const (
	longestTick = 5 * time.Millisecond
	stuckGrace  = 60 * time.Millisecond // from the interrupt to giving the runtime up
	lull        = 20                    // ticks without a call after which the watchdog goes home
	idleSpare   = 10 * time.Second      // a spare unused for so long is dropped
)

// A watchdog ends the calls of one script that run past the deadline. It is one
// goroutine that looks at all runtimes at each tick. It begins with a call and
// ends when no call came for a while, so a script that nobody asks costs nothing.
// A call pays one atomic load for it: neither a clock nor a timer.
type watchdog struct {
	timeout time.Duration
	tick    time.Duration
	awake   atomic.Bool
	heap    heap
	seen    []sighting // by slot; this and worn are owned by the goroutine that won awake
	worn    []*runtime // to be replaced
}

// A sighting is what the watchdog found in a slot, and when it first did.
type sighting struct {
	rt    *runtime
	state uint64
	since time.Time
	heap  uint64 // bytes in use then
}

var errDeadline = errors.New("deadline")

func (w *watchdog) init(timeout time.Duration, slots int) {
	w.timeout = timeout
	w.heap.init()
	w.tick = min(max(timeout/20, time.Millisecond), longestTick)
	w.seen = make([]sighting, slots)
}

// watch makes sure that the watchdog is awake; a call is running already.
func (s *Script) watch() {
	if !s.watchdog.awake.Load() && s.watchdog.awake.CompareAndSwap(false, true) {
		s.tasks.add()
		go s.patrol()
	}
}

func (s *Script) patrol() {
	defer s.tasks.done()
	ticker := time.NewTicker(s.watchdog.tick)
	defer ticker.Stop()
	for quiet := 0; ; quiet++ {
		<-ticker.C // its time may be old: a call must never seem older than it is
		busy, called := s.look(time.Now())
		if busy || called {
			quiet = 0
		}
		if !busy && (quiet >= lull || s.closed.Load()) && s.goHome() {
			return
		}
	}
}

// goHome lets the next call wake the watchdog again. False: a call has begun
// meanwhile and may have seen it awake, so it stays.
func (s *Script) goHome() bool {
	s.dropSpares(func(sighting) bool { return true })
	s.watchdog.awake.Store(false)
	for i := range s.pool.slots {
		if rt := s.pool.slots[i].Load(); rt != nil && phaseOf(rt.ticket.state.Load()) != idle {
			return !s.watchdog.awake.CompareAndSwap(false, true)
		}
	}
	return true
}

// look is one tick. It reports whether a call is running, and whether there was
// one since the last tick.
func (s *Script) look(now time.Time) (busy, called bool) {
	for i := range s.pool.slots {
		rt := s.pool.slots[i].Load()
		if rt == nil {
			s.watchdog.seen[i] = sighting{}
			continue
		}
		sight := &s.watchdog.seen[i]
		state := rt.ticket.state.Load()
		if sight.rt != rt || sight.state != state {
			*sight = sighting{rt: rt, state: state, since: now}
			called = true
		}
		if phaseOf(state) != idle {
			if sight.heap == 0 {
				sight.heap = s.watchdog.heap.inUse()
			}
			busy = true
			s.judge(sight, now)
		}
	}
	s.dropSpares(func(sight sighting) bool { return now.Sub(sight.since) >= idleSpare })
	if s.pool.building.Load() == 0 && s.watchdog.heap.hasSettledHigher() {
		s.wearOut()
	}
	s.renew()
	return busy, called
}

// wearOut has all runtimes replaced that there are.
func (s *Script) wearOut() {
	s.watchdog.worn = s.watchdog.worn[:0]
	for i := range s.pool.slots {
		if rt := s.pool.slots[i].Load(); rt != nil {
			s.watchdog.worn = append(s.watchdog.worn, rt)
		}
	}
	if s.notices.due("worn", time.Now()) {
		s.log.Info("the sidecar's memory has grown: the script's runtimes are made anew, and forget what they kept in variables")
	}
}

// renew replaces one worn runtime that is idle, once a new one stands ready: no
// request waits for that.
func (s *Script) renew() {
	gone := func(rt *runtime) bool { return s.pool.slots[rt.slot].Load() != rt }
	s.watchdog.worn = slices.DeleteFunc(s.watchdog.worn, gone)
	if len(s.watchdog.worn) == 0 || s.closed.Load() || s.pool.building.Load() > 0 {
		return
	}
	if !s.hasFresh() && s.addRuntime() {
		return
	}
	for _, rt := range s.watchdog.worn {
		if state := rt.ticket.state.Load(); phaseOf(state) == idle && rt.ticket.move(state, retired) {
			s.replace(rt)
			return
		}
	}
}

// hasFresh reports whether there is a runtime that is not worn.
func (s *Script) hasFresh() bool {
	for i := range s.pool.slots {
		if rt := s.pool.slots[i].Load(); rt != nil && !slices.Contains(s.watchdog.worn, rt) {
			return true
		}
	}
	return false
}

// judge interrupts a call that is over its deadline, and gives the runtime up if
// the interrupt has no effect.
func (s *Script) judge(sight *sighting, now time.Time) {
	age := now.Sub(sight.since)
	switch phaseOf(sight.state) {
	case running:
		var why error
		switch {
		case age >= s.watchdog.timeout:
			why = errDeadline
		case age > 0 && s.watchdog.heap.hasGrown(sight.heap):
			why = errMemory
		}
		if why != nil && sight.rt.ticket.move(sight.state, interrupted) {
			sight.rt.js.Interrupt(why)
			sight.state, sight.since = with(sight.state, interrupted), now
		}
	case interrupted:
		if age >= stuckGrace && sight.rt.ticket.move(sight.state, abandoned) {
			s.giveUp(sight.rt, sight.state)
		}
	}
}

// giveUp replaces a runtime that is stuck in a built-in. Whoever runs on it finds
// it abandoned when the built-in returns, and drops it.
func (s *Script) giveUp(rt *runtime, state uint64) {
	total := s.stuck.Add(1)
	if s.notices.due("stuck", time.Now()) {
		s.log.WithField("stuck", total).Warn("a call of the script is in a built-in that cannot be interrupted; its runtime is replaced")
	}
	if isBuild(state) {
		s.pool.slots[rt.slot].Store(nil)
		s.built(rt, s.source.fault(position{}, "the top level of the script is in a built-in that does not end"))
		return
	}
	s.replace(rt)
}

// dropSpares retires the idle spares that match.
func (s *Script) dropSpares(match func(sighting) bool) {
	for i := s.pool.workers; i < len(s.pool.slots); i++ {
		sight := s.watchdog.seen[i]
		if sight.rt == nil || phaseOf(sight.state) != idle || !match(sight) {
			continue
		}
		if sight.rt.ticket.move(sight.state, retired) {
			s.pool.slots[i].Store(nil)
		}
		s.watchdog.seen[i] = sighting{}
	}
}
