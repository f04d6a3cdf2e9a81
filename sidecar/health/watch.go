package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	"outrider/sidecar/cause"
)

const (
	// recheck is the longest wait between a first failure and the check that
	// confirms or refutes it, and the shortest between two checks that traffic
	// asks for: failing requests cause at most ten checks a second.
	recheck = 100 * time.Millisecond

	// penalty is how long a backend without checks stays out before
	// requests may try it again.
	penalty = 5 * time.Second

	// memory is how long a failure counts where no check can refute it. Two
	// failed connections an hour apart are not a dead backend.
	memory = 30 * time.Second
)

// watch is what a Monitor knows of one target. Its methods work on numbers
// alone: the Monitor hands in the time, draws the dice and holds the lock.
type watch struct {
	target  Target
	streak  Streak
	passive ejection
	doubt   doubt
	peers   claims
	bad     reasons     // of the current run of bad results
	mayGo   func() bool // whether one more of the cluster may go out by requests alone

	state State
	since time.Time
	left  time.Time // when it was last Up, while it is not

	lastBad Evidence
	blamed  time.Time // last bad evidence, or the begin of a trial

	checking bool
	spread   bool      // whether the checks left the common start
	due      time.Time // next check, or the end of the penalty; zero for none
	started  time.Time // last check
	ended    time.Time
	again    time.Time // a check is wanted that begins after this; zero: none is
	stopped  bool      // a check failed, and not as many as Rise were fine since
	local    string    // why the last check could not be made

	failing   time.Time // when its present run of bad results began; zero: there is none
	claimed   Subject   // what we tell peers to be down; zero: nothing
	claimedAt time.Time // when we last began to
	confirm   time.Time // when we may say what others have said; zero: there is nothing to confirm
}

func newWatch(t Target, now time.Time) *watch {
	w := &watch{since: now}
	w.adopt(t, now)
	return w
}

// adopt takes over a new description of the target and keeps what is known.
// What is down is looked at again at once: the description may have been wrong.
func (w *watch) adopt(t Target, now time.Time) {
	had := w.target.Checker != nil
	w.target = t
	w.streak = w.streak.With(t.Rise, t.Fall)
	w.passive.adopt(t.Passive)
	switch {
	case t.Checker == nil && !w.streak.Down:
		w.due = time.Time{}
	case t.Checker == nil && (had || w.due.IsZero()):
		w.due = now.Add(penalty)
	case t.Checker == nil:
	case !had || w.state == Down:
		w.hurry(now)
	case !w.due.IsZero():
		w.due = earlier(w.due, now.Add(t.Interval))
	}
}

// hurry moves the next check to now, or as near as the spacing allows.
func (w *watch) hurry(now time.Time) {
	soon := now
	if spaced := w.started.Add(recheck); !w.started.IsZero() && spaced.After(now) {
		soon = spaced
	}
	if w.due.IsZero() {
		w.due = soon
	}
	w.due = earlier(w.due, soon)
}

// begin marks a check as under way.
func (w *watch) begin(now time.Time) {
	w.checking, w.started, w.due, w.again = true, now, time.Time{}, time.Time{}
}

// checked takes the result of a check and plans the next one; dice is evenly
// distributed in [0,1).
func (w *watch) checked(err error, now time.Time, dice float64) {
	w.checking, w.ended = false, now
	w.local = ""
	switch {
	case err == nil:
		w.take(Evidence{OK: true, Source: FromCheck}, now)
		if w.stopped && !w.streak.Down && w.streak.Good >= w.target.Rise {
			w.stopped = false
			w.passive.acquit()
		}
	case cause.Local(err):
		w.local = cause.Of(err, 0)
	default:
		w.stopped = true
		w.take(Evidence{Source: FromCheck, Reason: w.reason(err)}, now)
	}
	w.answerDoubt(err == nil || w.local != "", now)
	w.plan(now, dice)
	if !w.again.IsZero() {
		w.due, w.again = earlier(w.due, w.again), time.Time{}
	}
}

// plan is when the next check is due after one that has ended.
func (w *watch) plan(now time.Time, dice float64) {
	w.due = w.next(now, dice)
	if w.local == "" && w.first() {
		w.due = now.Add(recheck/2 + time.Duration(dice*float64(recheck/2)))
		return
	}
	w.spread = true
}

// answerDoubt ends a doubt that the check has answered: one that was raised before
// it began, and that it did not confirm. A check that could not be made must not
// keep it up.
func (w *watch) answerDoubt(well bool, now time.Time) {
	if well && w.doubt.raised() && !w.started.Before(w.doubt.since) {
		w.doubt.refute(now)
	}
}

// look moves the next check to a time, whatever the spacing. One that is under way
// began too early to tell.
func (w *watch) look(at time.Time) {
	switch {
	case w.checking && w.again.IsZero():
		w.again = at
	case w.checking:
		w.again = earlier(w.again, at)
	case w.due.IsZero():
		w.due = at
	default:
		w.due = earlier(w.due, at)
	}
}

// reason prefers the configured timeout to the one measured.
func (w *watch) reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return cause.Of(context.DeadlineExceeded, w.target.Timeout)
	}
	return cause.Of(err, w.target.Timeout)
}

// first tells whether the last result was a first failure, still to be
// confirmed.
func (w *watch) first() bool { return !w.streak.Down && w.streak.Bad == 1 }

// next is when the check after the last one is due: an interval behind its
// start, varied by the jitter. The first time it is anywhere within the
// interval, so that targets which were all checked at the start go apart.
func (w *watch) next(now time.Time, dice float64) time.Time {
	wait := float64(w.target.Interval) * (1 + w.target.Jitter*(2*dice-1))
	if !w.spread {
		wait = float64(w.target.Interval) * dice
	}
	due := w.started.Add(max(time.Duration(wait), min(recheck, w.target.Interval)))
	if due.Before(now) {
		return now
	}
	return due
}

// observe takes what a request ran into, as evidence of both sorts.
func (w *watch) observe(ev Evidence, now time.Time) {
	switch {
	case ev.OK:
		w.passive.succeed(now)
	case w.streak.Down: // it is out already, and a check can bring it back
	case w.target.Passive.On.has(ev.Kind):
		w.passive.fail(w.target.Passive, ev.Reason, now, w.mayGo)
		if w.passive.stage == ejected && w.target.Checker != nil {
			w.verify(now) // one that has stopped is to be seen while it is down
		}
	}
	if ev.OK || ev.Kind == NoConnection || ev.Kind == NoAnswer {
		w.observeReach(ev, now)
		return
	}
	w.lastBad = ev
}

// observeReach takes whether a request reached the target. With checks a failure is one piece of
// evidence and starts a check; a success tells nothing that the checks do not.
// Without checks failures are all there is: they count for as long as memory
// says, and a success takes them back.
func (w *watch) observeReach(ev Evidence, now time.Time) {
	if w.target.Checker != nil {
		if !ev.OK {
			w.take(ev, now)
			w.verify(now)
		}
		return
	}
	if w.streak.Down {
		return // a request that was under way; the penalty runs already
	}
	if !ev.OK && now.Sub(w.blamed) > memory {
		w.forgive()
	}
	w.take(ev, now)
	if w.streak.Down {
		w.due = now.Add(penalty)
	}
}

// verify looks at the target now, unless somebody is looking.
func (w *watch) verify(now time.Time) {
	if !w.checking {
		w.hurry(now)
	}
}

// forgive starts with a clean record.
func (w *watch) forgive() {
	w.streak.Bad, w.bad = 0, nil
}

// try lets requests have another go at a target without checks: its next
// failure takes it out again.
func (w *watch) try(now time.Time) {
	w.streak = w.streak.OnTrial()
	w.bad, w.blamed, w.due = nil, now, time.Time{}
}

// take adds one piece of evidence.
func (w *watch) take(ev Evidence, now time.Time) {
	if ev.OK {
		w.bad, w.failing = nil, time.Time{}
	} else {
		w.lastBad, w.blamed = ev, now
		if w.failing.IsZero() {
			w.failing = now
		}
		if !w.streak.Down {
			w.bad = w.bad.add(ev.Reason)
		}
	}
	w.streak = w.streak.Next(ev.OK)
}

// settle brings the state up to the verdict and tells what changed.
func (w *watch) settle(reason string, about func(Place) []Claim, now time.Time) (Change, bool) {
	to := verdict(w.streak, w.passive.stage, w.peers)
	if to == w.state {
		return Change{}, false
	}
	if to != Up || w.state == Suspect {
		reason = w.why(to, about(w.target.Subject.Place))
	}
	if to == Down && w.passive.stage != ejected {
		w.doubt.confirm()
	}
	c := Change{w.target.Key, w.target.Name, w.state, to, reason, now.Sub(w.since)}
	if w.state == Trial && to == Up {
		c.After = now.Sub(w.left)
	}
	if w.state == Up {
		w.left = now
	}
	w.state, w.since = to, now
	return c, true
}

// why is what led to a state, where what was heard may have had its part.
func (w *watch) why(to State, heard []Claim) string {
	switch {
	case to == Draining:
		return firstOf(heard, ClaimedDraining, "%s asks for no new requests")
	case to == Suspect:
		return firstOf(heard, ClaimedDown, "%s says down")
	case to == Up && w.doubt.refuted:
		return "our own check is fine"
	case to == Up:
		return "nobody says down any more"
	case w.passive.stage == ejected && !w.streak.Down:
		return w.passive.told
	case to == Down && !w.streak.Down:
		return w.seen() + firstOf(heard, ClaimedDown, ", and %s says down")
	}
	return w.seen()
}

// seen is what our own evidence is. That of a target on trial is what took it out.
func (w *watch) seen() string {
	if len(w.bad) == 0 {
		return w.lastBad.Reason
	}
	return w.bad.String()
}

// firstOf names who made the latest claim of a state.
func firstOf(heard []Claim, s ClaimState, form string) string {
	for _, c := range heard {
		if c.State == s {
			return fmt.Sprintf(form, c.Peer)
		}
	}
	return ""
}

func (w *watch) status() Status {
	s := Status{
		Key: w.target.Key, Name: w.target.Name,
		State: w.state, Since: w.since,
		Reason: w.lastBad.Reason, Source: w.lastBad.Source,
		LastCheck: w.ended, LastLocal: w.local,
		Streak: w.streak, Until: w.passive.due(),
		Place: w.target.Subject.Place, Claimed: w.claimed != Subject{}, DeafUntil: w.doubt.deafTo,
	}
	if w.passive.stage == ejected {
		s.Reason, s.Source = w.passive.told, FromTraffic
	}
	return s
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
