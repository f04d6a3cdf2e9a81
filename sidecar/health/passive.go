package health

import (
	"fmt"
	"time"
)

// Passive says when requests alone take a target out. The zero value is off.
type Passive struct {
	Failures int           // so many within Window take it out; 0: off
	Window   time.Duration // successes in between take nothing back
	For      time.Duration // how long it is out the first time; then twice as long, and so on
	MaxOut   float64       // the share of a cluster's targets that may be out by this at a time
	On       Kinds         // what counts
}

// Kind sorts what requests run into.
type Kind uint8

// The kinds of failures. Those to connect, and silence, are evidence that a check
// can refute; the others say nothing that a check would show.
const (
	NoConnection Kind = iota // none in time, or no TLS on it
	NoAnswer                 // no response head in time
	CutOff                   // the connection ended inside an exchange
	BadStatus                // a response that counts as a failure
)

// Kinds is a set of kinds, a bit for each.
type Kinds uint8

// KindsOf is the set of these.
func KindsOf(kinds ...Kind) (s Kinds) {
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

func (s Kinds) has(k Kind) bool { return s&(1<<k) != 0 }

const (
	// longestOut bounds the doubling of the time out, where For is not longer.
	longestOut = 5 * time.Minute
	// leastGood is how long a target must have been back, at least, for its next
	// time out to be the first again; twice its last time out, where that is longer.
	leastGood = time.Minute
)

// stage is how far a passive ejection has come.
type stage uint8

const (
	serving stage = iota
	ejected       // out until a time, or until checks saw it down and well again
	trying        // back on trial: the next result decides
)

// ejection is what requests alone have shown of a target: a circuit breaker. A
// plain value but for the slice; its methods work on the time that they are given.
//
//	          Failures within Window            For is over, or acquitted
//	serving ------------------------> ejected ---------------> trying
//	   ^                                 ^                       |  |
//	   |        a good response          |      a failure:       |  |
//	   +---------------------------------|---- twice as long ----+  |
//	                                     +--------------------------+
type ejection struct {
	stage    stage
	until    time.Time   // of ejected
	failures []time.Time // within the window, the oldest first; no more than Passive.Failures
	seen     reasons     // of these
	times    int         // in a row that it was out
	back     time.Time   // when the last trial ended well
	lasted   time.Duration
	told     string // why it is out
}

// fail takes a failure. mayGo asks whether one more target may go out.
func (e *ejection) fail(p Passive, reason string, now time.Time, mayGo func() bool) {
	if p.Failures == 0 || e.stage == ejected {
		return // one that was under way when it went out
	}
	for len(e.failures) > 0 && now.Sub(e.failures[0]) >= p.Window {
		e.failures = e.failures[1:]
	}
	if len(e.failures) == 0 {
		e.seen = nil
	}
	e.failures, e.seen = append(e.failures, now), e.seen.add(reason)
	switch {
	case e.stage == trying:
		e.eject(p, now, fmt.Sprintf("%s on trial", e.seen))
	case len(e.failures) >= p.Failures && mayGo():
		e.eject(p, now, fmt.Sprintf("%s in %v", e.seen, p.Window))
	case len(e.failures) >= p.Failures:
		e.failures = e.failures[1:]
	}
}

func (e *ejection) eject(p Passive, now time.Time, why string) {
	if e.stage == serving && now.Sub(e.back) > max(2*e.lasted, leastGood) {
		e.times = 0
	}
	e.lasted = timeOut(p.For, e.times)
	e.stage, e.until = ejected, now.Add(e.lasted)
	e.told = fmt.Sprintf("%s, for %v", why, e.lasted)
	e.times++
	e.failures, e.seen = nil, nil
}

// timeOut is how long a target is out that was out so many times in a row before.
func timeOut(first time.Duration, before int) time.Duration {
	d := first
	for ; before > 0 && d < longestOut; before-- {
		d *= 2
	}
	return min(d, max(first, longestOut))
}

// succeed takes a good response: it ends a trial, and nothing else.
func (e *ejection) succeed(now time.Time) {
	if e.stage == trying {
		e.stage, e.back = serving, now
	}
}

// wake puts a target whose time out is over on trial.
func (e *ejection) wake(now time.Time) {
	if e.stage == ejected && !now.Before(e.until) {
		e.stage = trying
	}
}

// acquit forgets what requests ran into before checks saw the target down as well,
// and well again since: it has stopped and started, and says nothing of it now.
func (e *ejection) acquit() {
	e.failures, e.seen = nil, nil
	if e.stage == ejected {
		e.stage = trying
	}
}

// due is when wake is to be called; zero: never.
func (e *ejection) due() time.Time {
	if e.stage == ejected {
		return e.until
	}
	return time.Time{}
}

// adopt takes over other settings. What is out stays so until its time is over,
// unless it is all off now.
func (e *ejection) adopt(p Passive) {
	if p.Failures == 0 {
		*e = ejection{}
	}
}

// mayGo tells whether one more of so many may go out, when so many are already.
func (p Passive) mayGo(out, of int) bool { return float64(out+1) <= p.MaxOut*float64(of) }
