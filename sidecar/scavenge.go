package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// scavenger gives memory back to the system after a crowd has left. The runtime
// does so in its own time: what is free is known after a collection, which a
// process that allocates next to nothing any more comes to every two minutes, and
// it takes two to empty the pools.
type scavenger struct {
	allocated uint64 // bytes in all, as of the last look
	kept      uint64 // bytes, after the last time
}

const (
	scavengeEvery = 5 * time.Second
	quietBelow    = 4 << 20 // bytes that are allocated from one look to the next
	leastScavenge = 8 << 20 // bytes that it is worth while for
)

// footprint is what the runtime has from the system, in bytes, and has allocated
// in all.
type footprint struct{ held, allocated uint64 }

func currentFootprint() footprint {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	return footprint{
		held:      samples[0].Value.Uint64() - samples[1].Value.Uint64(),
		allocated: samples[2].Value.Uint64(),
	}
}

// run scavenges when it is due, until ctx is done.
func (s *scavenger) run(ctx context.Context) {
	ticker := time.NewTicker(scavengeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if s.due(currentFootprint()) {
			runtime.GC() // pools give up what they keep at the second collection
			debug.FreeOSMemory()
			s.kept = currentFootprint().held
		}
	}
}

// due tells whether it is quiet, and there is much more memory than there was
// the last time. Under load the runtime collects often enough by itself.
func (s *scavenger) due(now footprint) bool {
	quiet := now.allocated-s.allocated < quietBelow
	s.allocated = now.allocated
	s.kept = min(s.kept, now.held)
	return quiet && now.held-s.kept >= max(leastScavenge, s.kept/4)
}
