package health

import "time"

const (
	firstHold   = time.Second      // how long claims are ignored that a check of ours has refuted
	longestHold = 30 * time.Second // and at most, after doubling again and again
	calm        = time.Minute      // so long after the last hold the next one is short again

	// perPeer is how far apart the looks of many sidecars at one backend are spread,
	// for each of them, and maxSpread the most.
	perPeer   = 200 * time.Microsecond
	maxSpread = 20 * time.Millisecond

	// askSpacing is the shortest time between two checks that claims ask for which
	// raise no doubt.
	askSpacing = time.Second
)

// doubt is what peers' claims do to one target. It holds no claim and no clock: its
// methods are told what is claimed, and when.
//
//	          somebody says down           our check is fine
//	calm ----------------------> doubted --------------------> holding (1, 2, 4 ... 30 s)
//	  ^  nobody says so any more    |                             |  deaf to claims
//	  +-----------------------------+-----------------------------+
type doubt struct {
	since   time.Time // when it was raised; zero: there is none
	asked   time.Time // the last check that a claim asked for
	hold    time.Duration
	deafTo  time.Time // claims count for nothing until then
	refuted bool      // the last doubt was; until nobody says down any more
}

func (d *doubt) raised() bool { return !d.since.IsZero() }

func (d *doubt) deaf(now time.Time) bool { return now.Before(d.deafTo) }

// raise takes a claim that the target is down; it reports whether a check must look.
func (d *doubt) raise(now time.Time) bool {
	if d.deaf(now) {
		return false
	}
	if !d.raised() {
		d.since = now
	}
	d.refuted = false
	return true
}

// settleDown ends the doubt because nobody says down any more.
func (d *doubt) settleDown() { d.since, d.refuted = time.Time{}, false }

// refute ends the doubt: a check of ours that began after it was raised is fine. For
// a while claims count for nothing, each time twice as long.
func (d *doubt) refute(now time.Time) {
	if now.Sub(d.deafTo) > calm {
		d.hold = 0
	}
	d.hold = min(max(2*d.hold, firstHold), longestHold)
	d.deafTo = now.Add(d.hold)
	d.since, d.refuted = time.Time{}, true
}

// confirm takes that our own evidence agrees with the claims: who was right is
// listened to at once the next time.
func (d *doubt) confirm() { d.since, d.refuted, d.hold, d.deafTo = time.Time{}, false, 0, time.Time{} }

// ask reports when a check may begin for which a claim asks that raises no doubt.
func (d *doubt) ask(now time.Time) time.Time {
	if next := d.asked.Add(askSpacing); !d.asked.IsZero() && next.After(now) {
		if d.asked.After(now) {
			return d.asked // it is asked for already
		}
		d.asked = next
		return next
	}
	d.asked = now
	return now
}

// spread is how long to wait before a look that so many peers have reason to take at
// the same time; dice is evenly distributed in [0,1).
func spread(peers int, dice float64) time.Duration {
	return time.Duration(dice * float64(min(time.Duration(peers)*perPeer, maxSpread)))
}
