package health

import (
	"cmp"
	"slices"
	"time"
)

// Hear takes what a peer claims. It is cheap and never blocks.
//
// Down makes a target that is Up a Suspect at once, and a check of ours look at it
// now; only for those that check in the same way, for the others it is a reason to
// look and no more. A check that is fine ends the suspicion, and for a while, longer
// each time, claims that the target is down count for nothing. Up, about one that we
// see down, is a reason to look. Draining, when the address is the peer's own, lets
// the target be picked last; of a cluster this goes for half of the targets at most.
func (m *Monitor) Hear(c Claim) {
	m.mu.Lock()
	defer m.mu.Unlock()

	now := time.Now()
	m.heard.put(c)
	if c.Kind == ByOwner {
		m.settleDrains(now)
	}
	for _, w := range m.at(c.Place, c.Kind) {
		m.hear(w, c, now)
		m.settle(w, "", now)
	}
	m.stir()
}

// Forget takes that a claim is void: its observer has gone, or did not repeat it.
func (m *Monitor) Forget(observer uint64, s Subject) {
	m.mu.Lock()
	defer m.mu.Unlock()

	now := time.Now()
	m.heard.drop(observer, s)
	if s.Kind == ByOwner {
		m.settleDrains(now)
	}
	for _, w := range m.at(s.Place, s.Kind) {
		m.settle(w, "", now)
	}
	m.stir()
}

// Heard is what an observer says of a subject at the moment, if anything.
func (m *Monitor) Heard(observer uint64, s Subject) (Claim, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.heard[s.Place][voice{observer, s.Kind, s.Path}]
	return c, ok
}

// hear lets a claim move the next check of a target.
func (m *Monitor) hear(w *watch, c Claim, now time.Time) {
	if w.target.Checker == nil || c.Kind == ByOwner {
		return
	}
	later := spread(m.peers(), m.rng.Float64())
	switch c.State {
	case ClaimedDown:
		switch {
		case w.state == Down: // we know
		case !counts(c.Subject, w.target.Subject):
			w.look(w.doubt.ask(now).Add(later))
		case w.doubt.raise(now):
			w.look(now.Add(later))
		}
	case ClaimedUp:
		if w.streak.Down {
			w.look(w.doubt.ask(now).Add(later))
		}
	case ClaimedDraining: // of somebody who is not the owner
	}
}

func (m *Monitor) peers() int {
	if m.hearing == nil {
		return 0
	}
	return m.hearing().Peers
}

// indexPlaces notes which targets claims are about.
func (m *Monitor) indexPlaces() {
	m.places = make(map[Place][]*watch)
	for _, w := range m.order {
		if w.target.Subject != (Subject{}) {
			p := w.target.Subject.Place
			p.ServerName = ""
			m.places[p] = append(m.places[p], w)
		}
	}
}

// at are the targets that a claim of a kind about a place is about. A server is
// drained under every name that it has.
func (m *Monitor) at(p Place, kind ClaimKind) []*watch {
	name := p.ServerName
	p.ServerName = ""
	here := m.places[p]
	if kind == ByOwner {
		return here
	}
	var same []*watch
	for _, w := range here {
		if w.target.Subject.ServerName == name {
			same = append(same, w)
		}
	}
	return same
}

// weigh works out what the claims about w amount to now.
func (m *Monitor) weigh(w *watch, now time.Time) {
	if len(m.heard) == 0 && !w.doubt.raised() {
		w.peers = claims{Draining: w.peers.Draining}
		return
	}
	said := w.target.Checker != nil && m.heard.down(w.target.Subject)
	if !said {
		w.doubt.settleDown()
	}
	w.peers.Down = said && !w.doubt.deaf(now)
	w.peers.Doubt = w.doubt.raised()
}

// about is all that is said of a place and of its drain, the latest first.
func (m *Monitor) about(p Place) []Claim {
	all := m.heard.about(p)
	if p.ServerName == "" {
		return all
	}
	p.ServerName = ""
	for _, c := range m.heard.about(p) {
		if c.Kind == ByOwner {
			all = append(all, c)
		}
	}
	return all
}

// describeClaims fills in what peers say, and what is thought of it.
func (m *Monitor) describeClaims(s *Status) {
	if s.Place == (Place{}) {
		return
	}
	s.Claims = m.about(s.Place)
	w := m.watches[s.Key]
	s.Contested = w.target.Checker != nil && w.doubt.refuted && m.heard.down(w.target.Subject)
}

// settleDrains works out anew which targets count as draining: of each cluster half
// at most, those first that were first to be drained.
func (m *Monitor) settleDrains(now time.Time) {
	if len(m.heard) == 0 && !m.anyDrained() {
		return
	}
	of, asking := map[string]int{}, map[string][]drained{}
	for _, w := range m.order {
		name := w.target.Cluster
		of[name]++
		if since := m.drainedSince(w); !since.IsZero() {
			asking[name] = append(asking[name], drained{w, since})
		}
	}
	for _, w := range m.order {
		w.peers.Draining = false
	}
	for name, all := range asking {
		slices.SortFunc(all, func(a, b drained) int {
			return cmp.Or(a.since.Compare(b.since), a.watch.target.Addr.Compare(b.watch.target.Addr))
		})
		for _, d := range all[:min(len(all), of[name]/2)] {
			d.watch.peers.Draining = true
		}
	}
	for _, w := range m.order {
		m.settle(w, "", now)
	}
}

type drained struct {
	watch *watch
	since time.Time
}

func (m *Monitor) anyDrained() bool {
	return slices.ContainsFunc(m.order, func(w *watch) bool { return w.peers.Draining })
}

func (m *Monitor) drainedSince(w *watch) time.Time {
	if w.target.Subject == (Subject{}) {
		return time.Time{}
	}
	return m.heard.draining(w.target.Subject.Place, m.localPeers)
}
