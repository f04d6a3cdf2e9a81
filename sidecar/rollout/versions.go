// Package rollout decides which version of the routing script is active. It
// watches the script's files, builds what they hold, tests it, swaps it in, and
// takes it back when it errs: the last version that worked goes on in every case.
//
// A version is one state of all files: script, imports, data and tests. A new
// version is on probation at first; a request on which it fails meanwhile is
// decided by the version before.
package rollout

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/scripting"
	"outrider/scripting/cases"
	"outrider/scripting/record"
	"outrider/sidecar/mount"
	"outrider/sidecar/watch"
)

// Options do not change while the sidecar runs.
type Options struct {
	Log      logrus.FieldLogger
	Clusters scripting.Clusters
	StateDir string // where the last good version is kept; "" keeps none
}

// Settings are what the configuration says of the script. They are part of a
// version: it runs with those that it was built with.
type Settings struct {
	File           string            // path of the script
	Imports        []string          // directories outside its own that it may import from
	Backtracking   bool              // its regular expressions may need it
	Data           string            // path of the JSON that it sees as ctx.data; "" = none
	Env            map[string]string // what it sees as ctx.env
	Tests          []string          // paths of cases that a version must meet
	Clusters       []cases.Cluster   // as configured, for the tests
	Timeout        time.Duration
	OnError        string // "fail" or a cluster
	DefaultCluster string // "" = none
	Probation      Probation
	Shadow         Shadowing
	Record         int     // how many decisions are kept; 0 keeps none
	MaxMoved       float64 // the share of the recorded requests that a new version may move, 0 to 1
}

// Versions holds the versions of one script. Its methods are safe for concurrent use.
type Versions struct {
	options Options
	log     logrus.FieldLogger
	active  atomic.Pointer[version]
	told    atomic.Pointer[told]
	bell    chan struct{}               // rung when the active version is to be judged
	tasks   sync.WaitGroup              // versions that are being closed
	records atomic.Pointer[record.Ring] // nil: no decision is kept
	shadow  *shadow
	taken   atomic.Uint64 // versions that were taken back

	changing sync.Mutex // one change at a time; guards what is below
	settings Settings
	previous *version
	refused  *refusal
	files    []string   // that the last build read
	seen     watch.Look // of those files, before the last build
}

// told is what Status tells beside the active version itself.
type told struct {
	previous string
	fault    error // why the files are not what is active; nil when they are
}

// A Decision is a version's answer for one request.
type Decision struct {
	scripting.Decision

	Version string
	by      *version
	// Spared is what the version on probation failed with, where the version
	// before has decided in its place.
	Spared *Spared
}

// Spared is a failure that no client has seen.
type Spared struct {
	Version string
	by      *version
	Outcome scripting.Outcome
	Err     error
}

// New makes the version that the files hold active. Where they hold none that
// works, the last good one is taken from the state directory, if there is one.
func New(o Options, s Settings) (*Versions, error) {
	v := &Versions{options: o, log: o.Log, settings: s, bell: make(chan struct{}, 1)}
	v.shadow = newShadow(o)
	v.shadow.want(s)
	v.keepDecisions(s.Record)
	before, err := readKept(o.StateDir)
	if err != nil {
		v.log.Error(err.Error())
	}
	v.refused = before.Refused
	first, fault := v.build(s)
	if fault != nil {
		if first, err = v.revive(before, fault); err != nil {
			return nil, err
		}
	}
	first.since = time.Now()
	v.active.Store(first)
	v.told.Store(&told{fault: fault})
	v.keep()
	v.warnOfMount()
	return v, nil
}

// revive goes on with the last good version where the files hold none that works.
func (v *Versions) revive(before kept, why error) (*version, error) {
	if before.Good == nil {
		return nil, why
	}
	old, err := v.load(v.settings, *before.Good)
	if err != nil {
		return nil, errors.Join(why, fmt.Errorf("state_dir: the last good version does not load any more: %w", err))
	}
	v.log.Errorf("script refused, the last good version %s goes on, of %s: %v", old.hash, before.Good.Kept.Format(time.DateTime), why)
	return old, nil
}

func (v *Versions) warnOfMount() {
	if mount.IsOwn(v.settings.File) {
		v.log.WithField("script", v.settings.File).Warn("the script is mounted as a single file: an editor that replaces it is not seen here; mount its directory instead")
	}
}

// Route asks the active version, and while that one is on probation the version
// before it where it fails. See Count.
func (v *Versions) Route(r scripting.Request) Decision {
	active := v.active.Load()
	on := active.trial.Load()
	if on == nil && v.shadow.on.Load() == nil {
		return active.decided(active.route(r))
	}
	var d Decision
	if on != nil {
		d = v.routeOnTrial(active, on, r)
	} else {
		d = active.decided(active.route(r))
	}
	if d.Spared == nil || d.Spared.Outcome != scripting.Timeout { // after a deadline r may not be read any more
		v.shadow.offer(r, &d.Decision)
	}
	return d
}

func (v *Versions) routeOnTrial(active *version, on *trial, r scripting.Request) Decision {
	began := time.Now()
	before := active.before.Load()
	client, input := clientOf(r), inputOf(r) // after a deadline r may not be read any more
	d := active.route(r)
	if on.observe(client, input, d) {
		v.ring()
	}
	if before == nil || !d.Outcome.Failed() || time.Since(began) > active.settings.Timeout+tardy {
		return active.decided(d)
	}
	old := before.route(r)
	if old.Outcome.Failed() {
		return active.decided(d)
	}
	decided := before.decided(old)
	decided.Spared = &Spared{active.hash, active, d.Outcome, d.Err}
	return decided
}

// tardy is how much later than the deadline an interrupted call may return and
// still have the version before decide in its place.
const tardy = 20 * time.Millisecond

// Limit is how long Route takes at most, unless a call can not be interrupted:
// then nobody waits for it.
func (v *Versions) Limit() time.Duration {
	active := v.active.Load()
	if active.trial.Load() != nil {
		return 2*active.settings.Timeout + patience
	}
	return active.settings.Timeout + patience
}

// patience is how much longer than its own deadline a script may take to give up.
const patience = 40 * time.Millisecond

// ring has Run judge the active version. A request does not wait for that.
func (v *Versions) ring() {
	select {
	case v.bell <- struct{}{}:
	default: // it is rung already
	}
}

// Overdue is the decision in the place of a Route that did not return in time.
func (v *Versions) Overdue() Decision {
	active := v.active.Load()
	err := fmt.Errorf("%s: route did not return within %v", active.name(), v.Limit())
	return active.decided(active.fail(scripting.Timeout, err))
}

// Count counts a decision of Route or Overdue, whichever was followed. Whoever
// asks calls it once for each request.
func (*Versions) Count(d *Decision) {
	d.by.counts[d.Outcome].Add(1)
	if d.Spared != nil {
		d.Spared.by.counts[d.Spared.Outcome].Add(1)
	}
}

// keepDecisions keeps so many from now on, also of those that are kept already.
func (v *Versions) keepDecisions(n int) {
	ring := v.records.Load()
	switch {
	case n == 0:
		v.records.Store(nil)
	case ring == nil:
		v.records.Store(record.NewRing(n))
	case ring.Size() != n:
		v.records.Store(ring.Resized(n))
	}
}

// note keeps a decision of a version.
func (v *Versions) note(hash string, n *scripting.Reading, d scripting.Decision) {
	if ring := v.records.Load(); ring != nil {
		ring.Add(hash, n, d)
	}
}

// Decisions are the last ones, the oldest first. Nil: none are kept.
func (v *Versions) Decisions() []record.Entry {
	if ring := v.records.Load(); ring != nil {
		return ring.Entries()
	}
	return nil
}

// Decision is the last one on the request with this id.
func (v *Versions) Decision(id string) (record.Entry, bool) {
	if ring := v.records.Load(); ring != nil {
		return ring.Find(id)
	}
	return record.Entry{}, false
}

// Close ends what runs for the versions, and waits for it. Run has returned.
func (v *Versions) Close() {
	v.changing.Lock()
	defer v.changing.Unlock()
	v.retire(v.previous)
	v.retire(v.active.Load())
	v.previous = nil
	v.tasks.Wait()
}

// Status is what there is to know of the versions.
type Status struct {
	File        string
	Version     string
	Since       time.Time
	Previous    string // what a rollback would bring back; "" = nothing
	OnProbation bool
	Rollbacks   uint64 // versions that were taken back since the start
	Fault       error  // why the files are not what is active
	Outcomes    map[string]uint64
	Shadow      ShadowStatus
}

// ShadowCounts count what became of the requests that a shadow was asked about.
func (v *Versions) ShadowCounts() *ShadowCounts { return &v.shadow.counts }

// Status is a snapshot. It does not block.
func (v *Versions) Status() Status {
	active, told := v.active.Load(), v.told.Load()
	return Status{
		File: active.settings.File, Version: active.hash, Since: active.since, Previous: told.previous,
		OnProbation: active.trial.Load() != nil, Rollbacks: v.taken.Load(), Fault: told.fault, Outcomes: active.outcomes(), Shadow: v.shadow.status(),
	}
}
