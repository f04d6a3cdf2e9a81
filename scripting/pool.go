package scripting

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how long a request waits for a runtime. Spares are built at once;
	// what takes long is a machine that gives the process no time, as a container
	// with a small share of it: then to wait is better than to fail.
	patience = 25 * time.Millisecond

	slotsPerWorker = 4 // runtimes at most, per worker
)

// A pool holds a script's runtimes in slots. The first ones, one per worker, are
// always filled; the others hold spares, built while requests wait and dropped
// when idle. Taking a runtime is one compare-and-swap on its ticket; `near`
// remembers for each processor the one used there last, so that its memory is
// likely in that core's cache and two cores seldom try the same one.
type pool struct {
	slots    []atomic.Pointer[runtime]
	workers  int
	near     sync.Pool // of *runtime; a hint, may hold retired ones
	waiting  atomic.Int32
	building atomic.Int32
	freed    chan struct{} // a token: look again; spurious ones are harmless
}

func (p *pool) init(workers int) {
	p.workers = workers
	p.slots = make([]atomic.Pointer[runtime], workers*slotsPerWorker)
	p.freed = make(chan struct{}, len(p.slots))
}

// acquire takes a runtime for one call, nil if none comes free in time.
func (s *Script) acquire() *runtime {
	if rt, _ := s.pool.near.Get().(*runtime); rt != nil && rt.ticket.begin() {
		return rt
	}
	if rt := s.pool.scan(); rt != nil {
		return rt
	}
	return s.await()
}

func (p *pool) scan() *runtime {
	first := rand.IntN(p.workers)
	for i := range p.slots {
		if rt := p.slots[(first+i)%len(p.slots)].Load(); rt != nil && rt.ticket.begin() {
			return rt
		}
	}
	return nil
}

// await waits for a runtime to come free and has a spare built meanwhile.
func (s *Script) await() *runtime {
	s.pool.waiting.Add(1)
	defer s.pool.waiting.Add(-1)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		if rt := s.pool.scan(); rt != nil {
			return rt
		}
		s.grow()
		select {
		case <-s.pool.freed:
		case <-timer.C:
			return s.pool.scan()
		}
	}
}

// release ends the call on rt. False means that the deadline passed first; rt is
// thrown away then, and replaced.
func (s *Script) release(rt *runtime) bool {
	if rt.broken {
		s.discard(rt)
		return true
	}
	if !rt.ticket.end() {
		s.discard(rt)
		return false
	}
	if rt.slot < s.pool.workers { // a spare is to fall idle
		s.pool.near.Put(rt)
	}
	s.pool.wake()
	return true
}

// spend is release of a runtime that is not to be used again.
func (s *Script) spend(rt *runtime) bool {
	inTime := rt.ticket.live() || rt.broken
	s.discard(rt)
	return inTime
}

func (p *pool) wake() {
	if p.waiting.Load() == 0 {
		return
	}
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// discard takes a runtime out of service for good, unless the watchdog has done so.
func (s *Script) discard(rt *runtime) {
	if rt.ticket.retire() {
		s.replace(rt)
	}
}

// replace empties the slot of a retired or abandoned runtime. A worker is built
// anew at once, a spare when it is needed.
func (s *Script) replace(rt *runtime) {
	s.pool.slots[rt.slot].Store(nil)
	if rt.slot < s.pool.workers && !s.closed.Load() {
		s.build(rt.slot)
	}
}

// grow starts to build one more runtime if more requests wait than are being built.
func (s *Script) grow() {
	if s.pool.building.Load() < s.pool.waiting.Load() {
		s.addRuntime()
	}
}

// addRuntime starts to build one more runtime, where a slot is empty.
func (s *Script) addRuntime() bool {
	for i := range s.pool.slots {
		if s.pool.slots[i].Load() == nil && s.build(i) != nil {
			return true
		}
	}
	return false
}

// buildWorkers builds the runtimes that are always there, at load.
func (s *Script) buildWorkers() error {
	for i := range s.pool.workers {
		rt := s.build(i)
		if err := <-rt.built; err != nil {
			return err
		}
	}
	return nil
}

// build fills an empty slot with a new runtime, on a goroutine of its own: the
// top level of the script may be slow or hang. To the watchdog the top level is a
// call like any other. Nil if the slot is not empty. The outcome goes to rt.built.
func (s *Script) build(slot int) *runtime {
	rt := &runtime{script: s, slot: slot, built: make(chan error, 1)}
	if !s.pool.slots[slot].CompareAndSwap(nil, rt) {
		return nil
	}
	s.pool.building.Add(1)
	s.tasks.add()
	s.watch()
	go s.finishBuild(rt)
	return rt
}

func (s *Script) finishBuild(rt *runtime) {
	err := rt.prepare()
	rt.ticket.open()
	if err == nil {
		err = rt.runTopLevel()
	}
	switch {
	case err == nil && rt.ticket.end():
	case rt.ticket.retire():
		s.pool.slots[rt.slot].Store(nil)
		if err == nil {
			err = s.ranPast("the top level", "")
		}
	default: // abandoned: the watchdog has accounted for it
		return
	}
	s.built(rt, err)
}

// built accounts for a build that ended or was abandoned.
func (s *Script) built(rt *runtime, err error) {
	rt.built <- err
	s.pool.building.Add(-1)
	s.pool.wake()
	s.tasks.done()
}
