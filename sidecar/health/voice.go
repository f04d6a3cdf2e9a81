package health

import "time"

// Hearing is how well this sidecar hears its peers.
type Hearing struct {
	Peers int // that are there now
	Most  int // that were there at a time within the last minute
	Score int // memberlist's: 0 is well, 8 as bad as can be
}

const (
	badHearing    = 4
	manyFailures  = 3               // backends
	suddenly      = 5 * time.Second // so close together that one cause of our own is likely
	enoughVoices  = 3               // claims about a place that need no more confirmation
	speechSpacing = time.Second     // the shortest time between two claims of ours that one backend is down

	// Who was told that a backend is down, and finds it so, waits for a random part of
	// these before it says so, too: about as long as news take for every third of
	// the peers. So enoughVoices speak, and not all of them at once.
	perVoice     = 4 * time.Millisecond // for each peer
	longestPause = time.Second
)

// selfDoubt is why a sidecar should not tell what it sees; empty: there is no reason.
// failing are the backends that began to fail for us within a moment, out of so
// many, and agreed tells whether a peer says so of any of them.
func selfDoubt(h Hearing, failing, of int, agreed bool) string {
	switch {
	case h.Score >= badHearing:
		return "this sidecar answers its peers too late"
	case h.Most >= 2 && 2*h.Peers < h.Most:
		return "most peers are gone at once"
	case failing >= manyFailures && 2*failing > of && !agreed:
		return "many backends fail at once, and no peer agrees"
	}
	return ""
}

// claimed is something to tell our peers.
type claimed struct {
	subject Subject
	state   ClaimState
}

// speak tells the peers what w gives reason to: that it is down on the first bad
// result, and that it is up when it has risen again.
func (m *Monitor) speak(w *watch, now time.Time) {
	if m.publish == nil {
		return
	}
	switch bad := w.target.Checker != nil && w.target.Subject != (Subject{}) && (w.streak.Down || w.streak.Bad > 0); {
	case w.claimed == Subject{} && !bad:
		w.confirm = time.Time{}
	case w.claimed == Subject{}:
		if m.maySpeak(w, now) && m.isFirst(w, now) {
			m.claim(w, now)
		}
	case w.claimed.Place != w.target.Subject.Place, w.target.Checker == nil, !bad && w.streak.Good >= w.target.Rise:
		m.retract(w)
	}
}

// claim tells that w is down. What requests ran into is known by nobody's kind of
// check.
func (m *Monitor) claim(w *watch, now time.Time) {
	w.claimed, w.claimedAt = w.target.Subject, now
	if w.lastBad.Source == FromTraffic {
		w.claimed.Kind, w.claimed.Path = ByTraffic, 0
	}
	if m.claims[w.claimed]++; m.claims[w.claimed] == 1 {
		m.speech = append(m.speech, claimed{w.claimed, ClaimedDown})
		m.stir()
	}
}

// retract takes back what was claimed because of w. Another target at the same place
// may still be the reason for it.
func (m *Monitor) retract(w *watch) {
	if w.claimed == (Subject{}) {
		return
	}
	if m.claims[w.claimed]--; m.claims[w.claimed] <= 0 {
		delete(m.claims, w.claimed)
		m.speech = append(m.speech, claimed{w.claimed, ClaimedUp})
		m.stir()
	}
	w.claimed = Subject{}
}

// maySpeak tells whether a claim about w is wanted. If not now, then perhaps after
// the next result.
func (m *Monitor) maySpeak(w *watch, now time.Time) bool {
	if !w.claimedAt.IsZero() && now.Sub(w.claimedAt) < speechSpacing {
		return false
	}
	failing, of, agreed := m.failingWith(w)
	m.silence = selfDoubt(m.hearing(), failing, of, agreed)
	return m.silence == "" && m.heard.downs(w.target.Subject.Place) < enoughVoices
}

// isFirst tells whether nobody else has said so, or else whether it is time to
// confirm it.
func (m *Monitor) isFirst(w *watch, now time.Time) bool {
	if m.heard.downs(w.target.Subject.Place) == 0 {
		return true
	}
	if w.confirm.IsZero() {
		w.confirm = now.Add(confirmPause(m.peers(), m.rng.Float64()))
	}
	return !now.Before(w.confirm)
}

// confirmPause is how long to wait, among so many peers, before a known claim is
// confirmed; dice is evenly distributed in [0,1).
func confirmPause(peers int, dice float64) time.Duration {
	return time.Duration(dice * float64(min(time.Duration(peers)*perVoice, longestPause)))
}

// failingWith counts the places that fail and began to do so about when w did, out of
// those that we could tell of, and whether anybody agrees on one of them.
func (m *Monitor) failingWith(w *watch) (failing, of int, agreed bool) {
	seen := make(map[Place]bool, len(m.order))
	for _, other := range m.order {
		p := other.target.Subject.Place
		if other.target.Checker == nil || p == (Place{}) || seen[p] {
			continue
		}
		seen[p] = true
		of++
		if !other.failing.IsZero() && other.failing.Sub(w.failing).Abs() <= suddenly {
			failing++
			agreed = agreed || m.heard.downs(p) > 0
		}
	}
	return failing, of, agreed
}

// Silence is why this sidecar told its peers nothing the last time that it had seen
// a failure; empty: it told them.
func (m *Monitor) Silence() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.silence
}
