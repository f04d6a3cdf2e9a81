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
//
// What a script keeps in its variables grows from call to call, which no call is
// to blame for. There it looks at what was alive after the last collection of
// garbage: when that has grown as much, the runtimes are worn, and made anew. If it
// was not they that grew, this costs next to nothing, and the new level is the one
// to grow from.
type heap struct {
	growth  uint64 // bytes that the heap may grow during a call, or the live ones over many
	sample  []metrics.Sample
	settled uint64 // live bytes to grow from
}

const (
	mostGrowth  = 128 << 20
	heapInUse   = "/memory/classes/heap/objects:bytes" // live objects, and dead ones that are not swept yet
	heapLive    = "/gc/heap/live:bytes"                // objects that the last collection has left
	memoryShare = 4                                    // the part of the memory limit that a call may take: one in so many
)

var errMemory = errors.New("the call takes too much memory")

func (h *heap) init() {
	h.growth = mostGrowth
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		h.growth = min(h.growth, uint64(limit)/memoryShare)
	}
	h.sample = make([]metrics.Sample, 1)
}

func (h *heap) inUse() uint64 { return h.read(heapInUse) }

func (h *heap) read(name string) uint64 {
	h.sample[0].Name = name
	metrics.Read(h.sample)
	return h.sample[0].Value.Uint64()
}

func (h *heap) hasGrown(since uint64) bool { return h.inUse() > since+h.growth }

// hasSettledHigher reports, once for each growth, that more is alive than there was.
func (h *heap) hasSettledHigher() bool {
	live := h.read(heapLive)
	if h.settled == 0 || live < h.settled {
		h.settled = live
	}
	if live <= h.settled+h.growth {
		return false
	}
	h.settled = live
	return true
}
