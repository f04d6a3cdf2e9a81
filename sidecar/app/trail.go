package app

import (
	"sync"
	"sync/atomic"
	"time"

	"outrider/sidecar/admin"
	"outrider/sidecar/proxy"
	"outrider/sidecar/telemetry"
)

// trail remembers what became of the last exchanges, for those who ask about one.
// It takes a lock that nobody waits for, and allocates nothing for a request on
// which all went well.
type trail struct {
	next  atomic.Uint64
	slots []footprint
}

// A footprint is one exchange. Its memory is used again by a later one.
type footprint struct {
	mu     sync.Mutex // guards what follows
	serial uint64     // counts from 1; 0: empty
	id     []byte
	method []byte
	trace  []byte // its id
	path   []byte
	failed []proxy.Failed

	cluster, backend, address, end  string
	rule, outcome, version          string
	status, tries                   int
	took, route, connect, firstByte time.Duration
	fault                           error
	at                              time.Time
}

// maxFootprint is how much of a path is remembered, in bytes.
const maxFootprint = 512

// resized is a trail of so many exchanges, nil for none: this one, where it is.
func (t *trail) resized(size int) *trail {
	switch {
	case size == 0:
		return nil
	case t != nil && len(t.slots) == size:
		return t
	}
	return &trail{slots: make([]footprint, size)}
}

// add remembers an exchange.
func (t *trail) add(s *proxy.Summary) {
	serial := t.next.Add(1)
	f := &t.slots[serial%uint64(len(t.slots))]
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.serial > serial { // who took this slot later was faster
		return
	}
	f.serial, f.at = serial, time.Now()
	f.id = append(f.id[:0], s.ID()...)
	f.trace = append(f.trace[:0], telemetry.TraceID(s.TraceParent())...)
	f.method = append(f.method[:0], s.Method()...)
	path := s.Path()
	f.path = append(f.path[:0], path[:min(len(path), maxFootprint)]...)
	f.cluster, f.backend, f.address, f.end, f.status, f.tries, f.fault = "", "", "", s.End(), s.Status, 0, nil
	f.rule, f.outcome, f.version = s.Rule, s.Outcome, s.Version
	if s.Cluster != nil {
		f.cluster = s.Cluster.Name()
	}
	if s.Backend != nil {
		f.backend, f.address, f.tries = s.Backend.Name(), s.Backend.Address(), s.Retries+1
	}
	if s.Fault != nil {
		f.fault = s.Fault
	}
	f.took, f.route, f.connect, f.firstByte = s.Duration, s.Route, s.Connect, s.FirstByte
	f.failed = append(f.failed[:0], s.Failed...)
}

// passed is an exchange that is over.
type passed struct {
	request                         string
	at                              time.Time // when it began
	cluster, backend, end, trace    string
	status                          int
	fault                           error
	took, route, connect, firstByte time.Duration
	attempts                        []admin.Attempt
}

// find is the last exchange with an id.
func (t *trail) find(id string) (found passed, ok bool) {
	if t == nil {
		return found, false
	}
	last := uint64(0)
	for i := range t.slots {
		f := &t.slots[i]
		f.mu.Lock()
		if f.serial > last && string(f.id) == id {
			last, found = f.serial, f.passed()
		}
		f.mu.Unlock()
	}
	return found, last > 0
}

func (f *footprint) passed() passed {
	p := passed{
		request: string(f.method) + " " + string(f.path), at: f.at.Add(-f.took),
		cluster: f.cluster, backend: f.backend, end: f.end, trace: string(f.trace), status: f.status, fault: f.fault,
		took: f.took, route: f.route, connect: f.connect, firstByte: f.firstByte,
	}
	for _, try := range f.failed {
		name := try.Backend.Name()
		p.attempts = append(p.attempts, admin.Attempt{
			Backend: name, Resolved: resolved(name, try.Backend.Address()), Failure: try.Err.Error(), After: millis(try.After),
		})
	}
	if f.backend != "" && f.fault == nil {
		p.attempts = append(p.attempts, admin.Attempt{Backend: f.backend, Resolved: resolved(f.backend, f.address), After: millis(f.took)})
	}
	return p
}
