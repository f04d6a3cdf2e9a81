package health

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Target is a backend to watch.
type Target struct {
	Key
	Name     string        // for logs and display: "app-b:8080"
	Checker  Checker       // nil: no checks, see Monitor.Observe
	Interval time.Duration // between the starts of two checks
	Timeout  time.Duration // of one check
	Jitter   float64       // part of the interval by which it varies: 0.1 is +-10 %
	Rise     int           // good checks in a row that bring it back; below 1 counts as 1
	Fall     int           // bad results in a row that take it out; below 1 counts as 1
	Passive  Passive       // when requests alone take it out; the zero value: never
	Subject  Subject       // what claims about it are about; the zero value: it is not shared with peers
}

// Options are what a Monitor needs from outside. OnChange, OnLocal and Publish are
// called by Run, one call at a time; they may block for a moment, and they must
// not call Set.
type Options struct {
	OnChange    func(Change)        // a new verdict, in the order of their making
	OnLocal     func(reason string) // a check could not be made for a reason of our own: "too many open files"; at most once a minute; may be nil
	Rand        *rand.Rand          // for the Monitor alone from now on
	Concurrency int                 // checks under way at once; 0 stands for 16

	Publish func(Subject, ClaimState) // what to tell our peers; nil: there are none
	Hearing func() Hearing            // how well they are heard; must not call the Monitor; nil with Publish
	Local   bool                      // the peers are on this host: each may drain what is on loopback
}

// Monitor watches targets: it checks each at its interval, as many at once as
// Concurrency says, counts what the checks and the traffic show, and tells every
// new verdict. All methods may be called from any goroutine.
type Monitor struct {
	onChange   func(Change)
	onLocal    func(string)
	publish    func(Subject, ClaimState)
	hearing    func() Hearing
	localPeers bool
	limit      int
	wake       chan struct{} // holds one: the plan or the queue changed
	firstRound chan struct{}

	delivering sync.Mutex // held during a callback; taken before mu

	mu         sync.Mutex
	rng        *rand.Rand
	watches    map[Key]*watch
	order      []*watch            // as Set gave them
	saidOf     func(Place) []Claim // about, made a function once
	places     map[Place][]*watch  // that share, by their place without the server name
	heard      hearsay
	claims     map[Subject]int // of ours, and how many targets are the reason
	speech     []claimed       // to be published
	silence    string          // why we tell our peers nothing; as of the last time that there was something to tell
	changes    []Change        // to be told
	local      string          // to be told
	localTold  time.Time
	unfinished map[*watch]bool // first checks that readiness waits for; nil before the first Set
	running    int
}

// New makes a Monitor that watches nothing yet.
func New(o Options) *Monitor {
	m := &Monitor{
		onChange:   o.OnChange,
		onLocal:    o.OnLocal,
		publish:    o.Publish,
		hearing:    o.Hearing,
		localPeers: o.Local,
		heard:      hearsay{},
		claims:     map[Subject]int{},
		limit:      o.Concurrency,
		wake:       make(chan struct{}, 1),
		firstRound: make(chan struct{}),
		rng:        o.Rand,
		watches:    map[Key]*watch{},
	}
	m.saidOf = m.about
	if m.limit <= 0 {
		m.limit = 16
	}
	return m
}

// Set replaces the targets. One that stays, by its Key, keeps its state and
// streak, whatever else of it changes; a new one is Up and is checked at once.
// After Set nothing more is told about targets that left, and when one of them
// returns it is new.
func (m *Monitor) Set(targets []Target) {
	m.delivering.Lock()
	defer m.delivering.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()

	m.replace(nil, targets)
}

// SetCluster is Set for the targets of one cluster: those of others stay as they
// are, and cost nothing.
func (m *Monitor) SetCluster(name string, targets []Target) {
	m.delivering.Lock()
	defer m.delivering.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()

	others := make([]*watch, 0, len(m.order)+len(targets))
	for _, w := range m.order {
		if w.target.Cluster != name {
			others = append(others, w)
		}
	}
	m.replace(others, targets)
}

// replace has targets watched beside those that stay.
func (m *Monitor) replace(staying []*watch, targets []Target) {
	now := time.Now()
	kept := make(map[Key]*watch, len(staying)+len(targets))
	for _, w := range staying {
		kept[w.target.Key] = w
	}
	m.order = staying
	for _, t := range targets {
		if kept[t.Key] != nil {
			continue
		}
		w := m.watches[t.Key]
		if w == nil {
			w = newWatch(t, now)
			w.mayGo = func() bool { return m.mayGo(w) }
		} else {
			w.adopt(t, now)
		}
		kept[t.Key] = w
		m.order = append(m.order, w)
	}
	for _, w := range m.watches {
		if kept[w.target.Key] != w {
			m.retract(w)
		}
	}
	m.watches = kept
	m.indexPlaces()
	m.settleDrains(now)
	for _, w := range m.order {
		m.settle(w, "", now)
	}
	m.changes = slices.DeleteFunc(m.changes, func(c Change) bool { return kept[c.Key] == nil })
	m.awaitFirstRound()
	m.stir()
}

// awaitFirstRound notes at the first Set whose first check readiness waits
// for, and later drops those that left or are not checked any more.
func (m *Monitor) awaitFirstRound() {
	if m.unfinished == nil {
		m.unfinished = make(map[*watch]bool, len(m.order))
		for _, w := range m.order {
			m.unfinished[w] = true
		}
	}
	for w := range m.unfinished {
		if m.watches[w.target.Key] != w || w.target.Checker == nil {
			delete(m.unfinished, w)
		}
	}
	m.closeFirstRound()
}

func (m *Monitor) closeFirstRound() {
	if len(m.unfinished) > 0 {
		return
	}
	select {
	case <-m.firstRound:
	default:
		close(m.firstRound)
	}
}

// FirstRound is closed when every target of the first Set was checked once,
// whatever the check found.
func (m *Monitor) FirstRound() <-chan struct{} { return m.firstRound }

// Observe takes what a request ran into. It is cheap and never blocks, so it
// may be called on every failure. What is the caller's own fault (see cause.Local) is
// no evidence and must not be told.
//
// A failure is one piece towards Fall and starts a check at once, though not
// more than ten a second; only a good check refutes it. A target without checks
// is out for five seconds after Fall failures, then up again on trial: the next
// failure takes it out for as long again. There a success, if anybody cares to
// tell, clears the record, and so do thirty seconds without a failure.
//
// Beside that, and whatever checks say, failures of the kinds in Passive.On are
// counted, and take the target out by themselves. Requests that were under way
// then may still fail; that changes nothing more. The first result after the time
// out decides: a failure takes it out for twice as long, a success, which must be
// told of a target on Trial, brings it back.
func (m *Monitor) Observe(key Key, ev Evidence) {
	m.mu.Lock()
	defer m.mu.Unlock()

	w := m.watches[key]
	if w == nil {
		return
	}
	now, due, out := time.Now(), w.due, w.passive.stage
	w.observe(ev, now)
	if m.settle(w, "", now) || !w.due.Equal(due) || w.passive.stage != out {
		m.stir()
	}
}

// Snapshot is what is known of every target, in the order of Set.
func (m *Monitor) Snapshot() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()

	all := make([]Status, len(m.order))
	for i, w := range m.order {
		all[i] = w.status()
		if len(m.heard) > 0 {
			m.describeClaims(&all[i])
		}
	}
	return all
}

// Run checks and tells until ctx ends, and returns when the last check is over.
func (m *Monitor) Run(ctx context.Context) {
	var checks sync.WaitGroup
	defer checks.Wait()

	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		due := m.plan(time.Now())
		for _, w := range due {
			checks.Go(func() { m.check(ctx, w) })
		}
		m.tell()
		if wait, ok := m.idle(time.Now()); ok {
			alarm.Reset(wait)
		} else {
			alarm.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		case <-alarm.C:
		}
	}
}

// plan ends the penalties that are over and gives the checks to begin now,
// those that waited longest first.
func (m *Monitor) plan(now time.Time) []*watch {
	m.mu.Lock()
	defer m.mu.Unlock()

	var due []*watch
	for _, w := range m.order {
		w.passive.wake(now)
		m.settle(w, "", now)
		switch {
		case w.due.IsZero() || w.due.After(now) || w.checking:
		case w.target.Checker != nil:
			due = append(due, w)
		default:
			w.try(now)
			m.settle(w, "on trial", now)
		}
	}
	slices.SortStableFunc(due, func(a, b *watch) int { return a.due.Compare(b.due) })
	due = due[:min(len(due), m.limit-m.running)]
	for _, w := range due {
		w.begin(now)
	}
	m.running += len(due)
	return due
}

// idle is how long there is nothing to begin; not ok means until stirred.
func (m *Monitor) idle(now time.Time) (wait time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()

	full := m.running == m.limit
	soonest := func(due time.Time) {
		if left := max(due.Sub(now), 0); !ok || left < wait {
			wait, ok = left, true
		}
	}
	for _, w := range m.order {
		if due := w.passive.due(); !due.IsZero() {
			soonest(due)
		}
		if w.confirm.After(now) {
			soonest(w.confirm)
		}
		if w.due.IsZero() || w.checking || (full && w.target.Checker != nil) {
			continue
		}
		soonest(w.due)
	}
	return wait, ok
}

// mayGo tells whether one more target of the cluster may go out by requests
// alone. One on trial still counts as out.
func (m *Monitor) mayGo(w *watch) bool {
	out, of := 0, 0
	for _, other := range m.order {
		if other.target.Cluster != w.target.Cluster {
			continue
		}
		of++
		if other.passive.stage != serving {
			out++
		}
	}
	return w.target.Passive.mayGo(out, of)
}

// check does one check of w and takes note of what it showed. A result that
// comes when nobody is interested any more is dropped.
func (m *Monitor) check(ctx context.Context, w *watch) {
	m.mu.Lock()
	target := w.target
	m.mu.Unlock()

	var err error
	if target.Checker != nil {
		limited, cancel := context.WithTimeout(ctx, target.Timeout)
		err = target.Checker.Check(limited, target.Addr)
		cancel()
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	m.stir()
	if ctx.Err() != nil {
		return
	}
	m.note(w, err)
	delete(m.unfinished, w)
	m.closeFirstRound()
}

func (m *Monitor) note(w *watch, err error) {
	now := time.Now()
	if m.watches[w.target.Key] != w {
		return
	}
	if w.target.Checker == nil { // switched off meanwhile
		w.checking = false
		return
	}
	w.checked(err, now, m.rng.Float64())
	m.settle(w, "", now)
	if w.local != "" && now.Sub(m.localTold) >= time.Minute {
		m.local, m.localTold = w.local, now
	}
}

// settle queues the change if the verdict on w is a new one, and what there is to
// tell the peers.
func (m *Monitor) settle(w *watch, reason string, now time.Time) bool {
	m.weigh(w, now)
	c, changed := w.settle(reason, m.saidOf, now)
	if changed {
		m.changes = append(m.changes, c)
	}
	m.speak(w, now)
	return changed
}

// tell calls back with all that is queued.
func (m *Monitor) tell() {
	for {
		m.delivering.Lock()
		m.mu.Lock()
		local, next, more := m.local, Change{}, len(m.changes) > 0
		speech := m.speech
		m.local, m.speech = "", nil
		if more {
			next = m.changes[0]
			m.changes = m.changes[1:]
		}
		m.mu.Unlock()

		if local != "" && m.onLocal != nil {
			m.onLocal(local)
		}
		for _, s := range speech {
			m.publish(s.subject, s.state)
		}
		if more {
			m.onChange(next)
		}
		m.delivering.Unlock()
		if !more {
			return
		}
	}
}

// stir makes Run look again.
func (m *Monitor) stir() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
