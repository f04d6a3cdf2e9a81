package proxy

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// guard watches the Routes under way, and takes an exchange away from one that
// does not return in time. Each Route runs under a one-shot ticket: either the
// task that called it hands the ticket in and goes on, or the guard takes it and
// the exchange goes on in another task. Never both.
//
// A ticket is a slot, held until the Route returns: the guard may take the
// exchange, but the slot stays with the stuck task. So no more tasks than there
// are slots can ever be stuck; requests beyond that do without their Route.
type guard struct {
	slots  []slot
	serial atomic.Uint32
	awake  atomic.Bool   // run looks at the slots every guardTick
	wake   chan struct{} // tells run to
}

type slot struct {
	word atomic.Uint64 // a state; while the Route is in time, its deadline
	x    *exchange     // belongs to whoever has set word to slotOwned
	_    [48]byte      // a cache line each
}

// The states of a slot. A slot whose ticket is out holds slotOut and, above it,
// the deadline in milliseconds.
const (
	slotFree  = iota
	slotOwned // being filled, or being taken
	slotTaken // the exchange was taken, and its Route has not returned
	slotOut

	slotBits = 2

	guardSlots = 64
	guardTick  = 10 * time.Millisecond
)

type ticket struct {
	slot *slot
	word uint64
}

func newGuard() *guard {
	return &guard{slots: make([]slot, guardSlots), wake: make(chan struct{}, 1)}
}

// enter issues a ticket for x that is good until deadline. None is left when
// too many Routes are stuck.
func (g *guard) enter(x *exchange, deadline time.Duration) (ticket, bool) {
	serial := g.serial.Add(1)
	for i := range g.slots {
		s := &g.slots[(serial+uint32(i))%guardSlots]
		if s.word.Load() != slotFree || !s.word.CompareAndSwap(slotFree, slotOwned) {
			continue
		}
		s.x = x
		t := ticket{s, uint64(deadline.Milliseconds())<<slotBits | slotOut}
		s.word.Store(t.word)
		if !g.awake.Load() && g.awake.CompareAndSwap(false, true) {
			g.wake <- struct{}{}
		}
		return t, true
	}
	return ticket{}, false
}

// leave hands the ticket in, once. False: it was taken, and the exchange with it.
func (g *guard) leave(t ticket) bool {
	if t.slot.word.CompareAndSwap(t.word, slotFree) {
		return true
	}
	for !t.slot.word.CompareAndSwap(slotTaken, slotFree) {
		runtime.Gosched() // it is just being taken
	}
	return false
}

// run takes overdue tickets until ctx is done. It sleeps when no ticket was
// issued for a while: waking it for each would cost more than many Routes.
func (g *guard) run(ctx context.Context, now func() time.Duration) {
	ticker := time.NewTicker(guardTick)
	defer ticker.Stop()
	seen, quiet := g.serial.Load(), 0
	for {
		select {
		case <-ticker.C:
		case <-g.wake:
			ticker.Reset(guardTick)
		case <-ctx.Done():
			return
		}
		busy := g.takeOverdue(now(), (*exchange).goOnWithout)
		if serial := g.serial.Load(); busy || serial != seen {
			seen, quiet = serial, 0
			continue
		}
		if quiet++; quiet < 100 {
			continue
		}
		g.awake.Store(false)
		if g.serial.Load() == seen || !g.awake.CompareAndSwap(false, true) {
			ticker.Stop()
		}
		quiet = 0
	}
}

// takeOverdue takes the tickets that are overdue, and gives their exchanges to
// goOn. It reports whether a ticket was out.
func (g *guard) takeOverdue(now time.Duration, goOn func(*exchange)) (busy bool) {
	for i := range g.slots {
		s := &g.slots[i]
		word := s.word.Load()
		if word == slotFree || word == slotTaken {
			continue
		}
		busy = true
		due := time.Duration(word>>slotBits) * time.Millisecond
		if word == slotOwned || due > now || !s.word.CompareAndSwap(word, slotOwned) {
			continue
		}
		x := s.x
		s.x = nil
		s.word.Store(slotTaken)
		goOn(x)
	}
	return busy
}
