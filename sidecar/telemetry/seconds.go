package telemetry

import (
	"sync"
	"time"
)

// KeptSeconds is how many of the last seconds are remembered.
const KeptSeconds = 240

// Second is what a cluster did in one second. The quantiles are of the time from the
// first byte of a request to the end of its response; 0: there was no request.
type Second struct {
	Requests, Failed uint64 // Failed were answered with a status from 500 on
	P50, P95, P99    time.Duration
}

// History remembers what each cluster did in each of the last seconds, for those who
// begin to look only now. It reads the counters that there are: requests pay nothing
// for it. It is safe for concurrent use.
type History struct {
	mu     sync.Mutex // guards what follows
	serial uint64     // of the last second; they count from 1
	of     map[string]*past
}

// past is what is remembered of one cluster.
type past struct {
	born             uint64 // the serial of its first second
	requests, failed uint64 // in all, at the end of the last second
	counts           []uint64
	seconds          [KeptSeconds]Second // by serial
}

// NewHistory is one that remembers nothing yet.
func NewHistory() *History { return &History{of: make(map[string]*past)} }

// Tick ends a second. What m counted of clusters that are gone is forgotten.
func (h *History) Tick(m *Metrics) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serial++
	clusters := *m.clusters.Load()
	for name := range h.of {
		if clusters[name] == nil {
			delete(h.of, name)
		}
	}
	for name, s := range clusters {
		p := h.of[name]
		if p == nil {
			p = &past{born: h.serial, counts: make([]uint64, len(s.durations.counts))}
			h.of[name] = p
		}
		p.seconds[h.serial%KeptSeconds] = p.second(m.scale, s)
	}
}

// second is what has come since the last one.
func (p *past) second(on *scale, s *series) Second {
	var requests, failed uint64
	for i := range s.codes {
		n := s.codes[i].Load()
		requests += n
		if i >= codeIndex(500) {
			failed += n
		}
	}
	one := Second{Requests: since(&p.requests, requests), Failed: since(&p.failed, failed)}
	came, all := make([]uint64, len(p.counts)), uint64(0)
	for i := range s.durations.counts {
		came[i] = since(&p.counts[i], s.durations.counts[i].Load())
		all += came[i]
	}
	if all > 0 {
		one.P50, one.P95, one.P99 = on.quantile(came, all, .5), on.quantile(came, all, .95), on.quantile(came, all, .99)
	}
	return one
}

// since takes a counter's new value, and is what it has grown by. One that began
// again has grown by all that it says.
func since(before *uint64, now uint64) uint64 {
	grown := now - *before
	if now < *before {
		grown = now
	}
	*before = now
	return grown
}

// quantile is the duration that a share of all is not longer than, found within its
// bucket as if what is in there were spread evenly.
func (s *scale) quantile(counts []uint64, all uint64, share float64) time.Duration {
	rank, below := share*float64(all), 0.0
	for i, n := range counts {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		lower, upper := int64(0), s.upper[min(i, len(s.upper)-1)]
		if i > 0 {
			lower = s.upper[i-1]
		}
		return time.Duration(lower + int64((rank-below)/float64(n)*float64(upper-lower)))
	}
	return time.Duration(s.upper[len(s.upper)-1])
}

// Since are the seconds of each cluster after the one with a serial, the oldest first,
// and the serial of the last one.
func (h *History) Since(serial uint64) (seconds map[string][]Second, last uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seconds = make(map[string][]Second, len(h.of))
	for name, p := range h.of {
		first := max(serial+1, p.born)
		if h.serial >= KeptSeconds {
			first = max(first, h.serial-KeptSeconds+1)
		}
		for i := first; i <= h.serial; i++ {
			seconds[name] = append(seconds[name], p.seconds[i%KeptSeconds])
		}
	}
	return seconds, h.serial
}
