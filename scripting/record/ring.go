// Package record keeps the last decisions of a script, with all that each one
// depended on, and makes them again: by another version, at another time, on
// another machine.
//
// Only what a script read is kept, and of what looks like a credential only a
// hash: see the documentation of scripts for what that means for a replay.
package record

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"outrider/scripting"
)

// A Ring holds the last decisions. Its methods are safe for concurrent use.
type Ring struct {
	redactor redactor
	next     atomic.Uint64
	slots    []slot
}

// A slot holds one decision. What it is made of is used again by the next.
type slot struct {
	mu       sync.Mutex
	serial   uint64 // counts from 1; 0: empty
	version  string
	reading  scripting.Reading
	decision Decision
}

// NewRing makes a ring of so many decisions, at least one.
func NewRing(size int) *Ring {
	return &Ring{redactor: newRedactor(), slots: make([]slot, max(size, 1))}
}

// Add keeps a decision of a version.
func (r *Ring) Add(version string, n *scripting.Reading, d scripting.Decision) {
	serial := r.next.Add(1)
	s := &r.slots[serial%uint64(len(r.slots))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serial > serial { // who took this slot later was faster
		return
	}
	s.serial, s.version = serial, version
	s.decision = DecisionOf(d)
	old := s.reading
	s.reading = *n
	s.reading.ID = append(old.ID[:0], n.ID...)
	s.reading.Headers = append(old.Headers[:0], n.Headers...)
	s.reading.Cookies = append(old.Cookies[:0], n.Cookies...)
	s.reading.Clusters = append(old.Clusters[:0], n.Clusters...)
	r.redact(&s.reading)
}

func (r *Ring) redact(n *scripting.Reading) {
	for i := range n.Headers {
		n.Headers[i].Value = r.redactor.header(n.Headers[i].Name, n.Headers[i].Value)
	}
	for i := range n.Cookies {
		n.Cookies[i].Value = r.redactor.cookie(n.Cookies[i].Name, n.Cookies[i].Value)
	}
	n.RawQuery = r.redactor.query(n.RawQuery)
}

// Size is how many decisions the ring keeps.
func (r *Ring) Size() int { return len(r.slots) }

// Resized is a ring for so many decisions that goes on with the last of this one's.
// They move: what is still added to this one is lost.
func (r *Ring) Resized(size int) *Ring {
	next := &Ring{redactor: r.redactor, slots: make([]slot, max(size, 1))}
	last := r.next.Load()
	next.next.Store(last)
	for i := range r.slots {
		next.take(&r.slots[i], last)
	}
	return next
}

// take moves a decision here, unless there is no place for one that old.
func (r *Ring) take(from *slot, last uint64) {
	from.mu.Lock()
	defer from.mu.Unlock()
	if from.serial == 0 || from.serial > last || last-from.serial >= uint64(len(r.slots)) {
		return
	}
	to := &r.slots[from.serial%uint64(len(r.slots))]
	to.serial, to.version, to.reading, to.decision = from.serial, from.version, from.reading, from.decision
	from.serial, from.reading = 0, scripting.Reading{}
}

// Entries are the decisions, the oldest first.
func (r *Ring) Entries() []Entry {
	type numbered struct {
		serial uint64
		entry  Entry
	}
	var all []numbered
	for i := range r.slots {
		s := &r.slots[i]
		s.mu.Lock()
		if s.serial > 0 {
			all = append(all, numbered{s.serial, s.entry()})
		}
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b numbered) int { return int(a.serial) - int(b.serial) })
	entries := make([]Entry, len(all))
	for i := range all {
		entries[i] = all[i].entry
	}
	return entries
}

// Find is the decision on the request with this id, the last one if there are several.
func (r *Ring) Find(id string) (Entry, bool) {
	var found Entry
	last := uint64(0)
	for i := range r.slots {
		s := &r.slots[i]
		s.mu.Lock()
		if s.serial > last && string(s.reading.ID) == id {
			last, found = s.serial, s.entry()
		}
		s.mu.Unlock()
	}
	return found, last > 0
}

// entry is a copy that shares nothing with the slot.
func (s *slot) entry() Entry {
	n := &s.reading
	e := Entry{ID: string(n.ID), At: n.Now, Version: s.version, Seed: n.Seed, Decision: s.decision}
	for _, p := range []struct {
		bit  scripting.Properties
		from string
		to   **string
	}{
		{scripting.ReadMethod, n.Method, &e.Read.Method}, {scripting.ReadPath, n.Path, &e.Read.Path},
		{scripting.ReadHost, n.Host, &e.Read.Host}, {scripting.ReadScheme, n.Scheme, &e.Read.Scheme},
		{scripting.ReadIP, n.IP, &e.Read.IP}, {scripting.ReadListener, n.Listener, &e.Read.Listener},
	} {
		if n.Has&p.bit != 0 {
			*p.to = &p.from
		}
	}
	if n.Has&scripting.ReadQuery != 0 {
		e.Read.Query, e.Read.QueryHidden = shown(n.RawQuery), strings.Contains(n.RawQuery, hashed)
	}
	if n.Has&scripting.ReadTLS != 0 {
		e.Read.TLS, e.Read.Cleartext = n.TLS, n.TLS == nil
	}
	e.Read.Now = n.Has&scripting.ReadNow != 0
	e.Read.Headers, e.Read.Cookies = fieldsOf(n.Headers), fieldsOf(n.Cookies)
	if n.Has&scripting.ReadHeaderNames != 0 {
		e.Read.HeaderNames = append([]string{}, n.HeaderNames...)
	}
	if n.Has&scripting.ReadCookieNames != 0 {
		e.Read.CookieNames = append([]string{}, n.CookieNames...)
	}
	for _, c := range n.Clusters {
		e.Clusters = append(e.Clusters, Health{Name: c.Name, Healthy: c.Healthy, Total: c.Total, Missing: !c.Known})
	}
	return e
}

func fieldsOf(values []scripting.NamedValue) []Field {
	var fields []Field
	for _, v := range values {
		fields = append(fields, Field{
			Name: strings.ToLower(v.Name), Absent: !v.Present, Hidden: isHashed(v.Value), Value: *shown(v.Value),
		})
	}
	return fields
}
