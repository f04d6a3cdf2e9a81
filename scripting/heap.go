package scripting

import (
	"errors"
	"math"
	"runtime/debug"
	"runtime/metrics"
)

// A script can make a text longer and longer by +, which no guard sees: in a
// second it would have all memory there is, and Go ends a process that gets none.
// So the watchdog looks at the heap while a call runs, and interrupts the call
// under which it has grown out of proportion. The growth may be another's: calls
// that are over before the next tick, as nearly all are, are never suspected.
type heap struct {
	growth uint64 // bytes that the heap may grow during a call
	sample []metrics.Sample
}

const (
	mostGrowth  = 128 << 20
	heapInUse   = "/memory/classes/heap/objects:bytes" // live objects, and dead ones that are not swept yet
	memoryShare = 4                                    // the part of the memory limit that a call may take: one in so many
)

var errMemory = errors.New("the call takes too much memory")

func (h *heap) init() {
	h.growth = mostGrowth
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		h.growth = min(h.growth, uint64(limit)/memoryShare)
	}
	h.sample = []metrics.Sample{{Name: heapInUse}}
}

func (h *heap) inUse() uint64 {
	metrics.Read(h.sample)
	return h.sample[0].Value.Uint64()
}

func (h *heap) hasGrown(since uint64) bool { return h.inUse() > since+h.growth }
