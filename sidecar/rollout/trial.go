package rollout

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"outrider/scripting"
)

// Probation says when a new version is trusted, and when it is taken back. The
// fields are those of script.rollback.
type Probation struct {
	ErrorRate float64       // the share of failed calls above which a version is taken back, 0 to 1
	MinErrors int           // failed calls, of two clients at least, that take it back
	Window    time.Duration // the least time that it is on probation
}

const (
	trialCalls  = 1000 // calls after which probation may end
	minTimeouts = 3    // calls past the deadline that take a version back, whoever they were for
	worse       = 2    // times the rate of the version before that a version must exceed to be taken back
)

// A trial is the probation of one version. It counts the calls and judges them.
type trial struct {
	rules  Probation
	began  time.Time
	before float64 // the share of failed calls of the version before

	mu       sync.Mutex // guards what is below
	calls    int
	errors   int // among them
	timeouts int // among the errors
	example  error
	clients  some // of all calls
	guilty   some // the clients whose calls failed
	inputs   some // the requests that failed
}

// some are up to two different things: to tell one from several is all that is
// asked of it.
type some struct {
	first uint64
	count int
}

func (s *some) add(hash uint64) {
	if s.count == 0 {
		s.first = hash
	}
	if s.count == 0 || s.count == 1 && s.first != hash {
		s.count++
	}
}

func newTrial(rules Probation, began time.Time, before float64) *trial {
	return &trial{rules: rules, began: began, before: before}
}

// observe notes a call, for a client and a request that are given as hashes. It
// reports whether the version is to be taken back.
func (t *trial) observe(client, input uint64, d scripting.Decision) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	t.clients.add(client)
	if !toBlame(d.Outcome) {
		return false
	}
	t.errors++
	if d.Outcome == scripting.Timeout {
		t.timeouts++
	}
	if t.example == nil {
		t.example = d.Err
	}
	t.guilty.add(client)
	t.inputs.add(input)
	return t.rule()
}

// toBlame reports whether a failed call is the version's own fault: that no
// runtime came free may be another's.
func toBlame(o scripting.Outcome) bool { return o.Failed() && o != scripting.Busy }

// rule is what takes a version back. One client alone, with its bad cookie, proves nothing
// against a version, however often it asks; unless nobody else asks at all, as
// behind a balancer that hides them: then two different requests do.
func (t *trial) rule() bool {
	several := t.guilty.count > 1 || t.clients.count == 1 && t.inputs.count > 1
	enough := t.errors >= t.rules.MinErrors && several || t.timeouts >= minTimeouts
	rate := float64(t.errors) / float64(t.calls)
	return enough && rate > t.rules.ErrorRate && rate > worse*t.before
}

// isOver reports whether the version has proved itself.
func (t *trial) isOver(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls >= trialCalls && t.hasLasted(now)
}

func (t *trial) hasLasted(now time.Time) bool { return now.Sub(t.began) >= t.rules.Window }

// isGuilty reports whether the version is to be taken back.
func (t *trial) isGuilty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rule()
}

// reason is what the trial has found.
func (t *trial) reason() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Errorf("%d of %d calls failed, the first with: %w", t.errors, t.calls, t.example)
}

//nolint:gochecknoglobals // a process-wide random seed, never changed
var seed = maphash.MakeSeed()

// clientOf tells clients apart, by address and by what they prove who they are with.
func clientOf(r scripting.Request) uint64 {
	cookie, _ := r.Header("cookie")
	authorization, _ := r.Header("authorization")
	return sumOf(r.IP(), cookie, authorization)
}

func inputOf(r scripting.Request) uint64 {
	return sumOf(r.Method(), r.Host(), r.Path(), r.RawQuery())
}

func sumOf(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, part := range parts {
		_, _ = h.WriteString(part)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}
