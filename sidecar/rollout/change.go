package rollout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/scripting/record"
	"outrider/sidecar/watch"
)

// pollEvery is how often the files are read, whether or not an event came.
const pollEvery = 500 * time.Millisecond

// Run keeps the version active that the files hold, until ctx is done.
func (v *Versions) Run(ctx context.Context) {
	w, err := watch.New()
	if err != nil {
		v.log.WithError(err).Warn("the file system does not tell of changes: a changed script is seen a little later")
	}
	defer w.Close()
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { v.shadow.run(ctx) })
	p := watch.Patient{Poll: pollEvery}
	for w.Await(ctx, v.bell, p.Within(time.Now())) {
		v.judge()
		if p.Saw(v.look(w), time.Now()) {
			v.takeUp()
		}
	}
}

// look reports what the files hold, and whether that is something new.
func (v *Versions) look(w *watch.Watch) watch.Glance {
	v.changing.Lock()
	defer v.changing.Unlock()
	w.Follow(v.files)
	now := watch.Around(v.files)
	_, err := os.Stat(v.settings.File)
	return watch.Glance{Now: now, Changed: now != v.seen, Missing: errors.Is(err, fs.ErrNotExist)}
}

// takeUp makes what the files hold active, or says why not.
func (v *Versions) takeUp() {
	v.changing.Lock()
	settings := v.settings
	v.changing.Unlock()
	candidate, err := v.prepare(settings, v.build)
	if err != nil {
		active := v.active.Load()
		v.log.WithField("script", active.name()).Errorf("script refused, %s stays: %v", active.hash, err)
		return
	}
	candidate.Activate()
}

// A Candidate is a version that is about to become active. Nothing else changes
// before it is: whoever prepares it activates it, or drops it.
type Candidate struct {
	versions *Versions
	next     *version // nil: the files hold what is active
	settings Settings
	took     time.Duration // to build
	moves    record.Moves
	fault    error // why it is not what the files hold
}

// Prepare builds what the files hold now, to run with these settings. On an error
// nothing has changed, and Status tells of it. Where they hold a version that was
// taken back the active one goes on, with these settings.
func (v *Versions) Prepare(s Settings) (*Candidate, error) {
	var refused *refusal
	c, err := v.prepare(s, func(s Settings) (*version, error) {
		next, err := v.build(s)
		if errors.As(err, &refused) {
			return v.load(s, v.active.Load().snapshot)
		}
		return next, err
	})
	if err == nil && refused != nil {
		c.fault = refused
	}
	return c, err
}

func (v *Versions) prepare(s Settings, build func(Settings) (*version, error)) (*Candidate, error) {
	v.changing.Lock()
	began := time.Now()
	next, err := build(s)
	if err != nil {
		v.tell(err)
		v.changing.Unlock()
		return nil, err
	}
	c := &Candidate{versions: v, next: next, settings: s}
	if err := c.compare(); err != nil {
		v.retire(next)
		v.tell(err)
		v.changing.Unlock()
		return nil, err
	}
	c.took = time.Since(began)
	return c, nil
}

// compare has the candidate decide on the recorded requests.
func (c *Candidate) compare() error {
	v, active := c.versions, c.versions.active.Load()
	if c.next.hash == active.hash {
		if same(c.next.settings, active.settings) {
			v.retire(c.next)
			c.next = nil
		}
		return nil
	}
	c.moves = v.compare(c.next, active)
	if c.moves.Share() > c.settings.MaxMoved {
		return tooManyMoves(c.next.name(), &c.moves, c.settings.MaxMoved)
	}
	return nil
}

func tooManyMoves(name string, moves *record.Moves, most float64) error {
	return fmt.Errorf("%s: %s; script.max_moved is %g%%", name, moves.String(), 100*most)
}

// same reports whether a version would run just so with other settings. The shadow
// is another script's affair, and how many decisions are kept the ring's.
func same(a, b Settings) bool {
	a.Shadow = b.Shadow
	if a.Record > 0 && b.Record > 0 {
		a.Record = b.Record
	}
	return reflect.DeepEqual(a, b)
}

// comparing is how long a candidate may take for the recorded requests.
const comparing = time.Second

// compare makes decisions again by two versions, the last ones first, as far as
// there is time.
func (v *Versions) compare(next, active *version) record.Moves {
	var moves record.Moves
	entries, now := v.Decisions(), v.options.Clusters
	began := time.Now()
	for i := len(entries) - 1; i >= 0 && time.Since(began) < comparing; i-- {
		e := &entries[i]
		if e.Version != active.hash {
			e.Decision = e.Again(active.script, now).Decision
		}
		moves.Note(e, e.Again(next.script, now))
	}
	return moves
}

// Drop lets the candidate go: nothing has changed.
func (c *Candidate) Drop() {
	c.versions.retire(c.next)
	c.versions.changing.Unlock()
}

// Activate swaps the candidate in.
func (c *Candidate) Activate() {
	v := c.versions
	defer v.changing.Unlock()
	v.settings = c.settings
	v.shadow.want(c.settings)
	v.keepDecisions(c.settings.Record)
	defer v.tell(c.fault)
	if c.fault != nil {
		v.log.WithField("script", v.active.Load().name()).Errorf("script refused, %s stays: %v", v.active.Load().hash, c.fault)
	}
	if c.next == nil {
		return
	}
	v.activate(c.next)
	v.log.WithFields(logrus.Fields{"script": c.next.name(), "version": c.next.hash}).
		Infof("script %s active in %d ms%s", c.next.hash, c.took.Milliseconds(), c.details())
}

// details are what else there is to say, in parentheses.
func (c *Candidate) details() string {
	var all []string
	if n := c.next.tests; n > 0 {
		all = append(all, fmt.Sprintf("%d tests", n))
	}
	if c.moves.Compared > 0 {
		all = append(all, c.moves.String())
	}
	if all == nil {
		return ""
	}
	return " (" + strings.Join(all, "; ") + ")"
}

// tell has Status tell why the files are not what is active, if so.
func (v *Versions) tell(fault error) {
	t := &told{fault: fault}
	if v.previous != nil {
		t.previous = v.previous.hash
	}
	v.told.Store(t)
}

// activate swaps versions. The new one is on probation, unless it is the old one
// with other settings: then the one before that stays the one before.
func (v *Versions) activate(next *version) {
	old := v.active.Load()
	next.since = time.Now()
	if next.hash == old.hash {
		next.trial.Store(old.trial.Load())
		next.before.Store(old.before.Load())
		v.active.Store(next)
		v.retire(old)
		return
	}
	v.refused = nil
	next.trial.Store(newTrial(next.settings.Probation, next.since, old.errorRate()))
	next.before.Store(old)
	v.active.Store(next)
	old.before.Store(nil)
	v.retire(v.previous)
	v.previous = old
}

func (v *Versions) retire(old *version) {
	if old != nil {
		v.tasks.Go(old.script.Close)
	}
}

// judge takes the active version back where its probation says so, or where its
// calls do not end; and trusts it where its probation is over.
func (v *Versions) judge() {
	v.changing.Lock()
	defer v.changing.Unlock()
	active := v.active.Load()
	on := active.trial.Load()
	switch {
	case active.isStuck() && v.previous == nil:
		v.quarantine(active)
	case active.isStuck():
		v.takeBack(errStuck)
	case on == nil:
	case on.isGuilty():
		v.takeBack(on.reason())
	default:
		v.trust(active, on)
	}
}

// trust keeps a version over restarts when it has lasted, and ends its probation
// when that is over.
func (v *Versions) trust(active *version, on *trial) {
	if !active.kept && on.hasLasted(time.Now()) {
		v.keep()
	}
	if on.isOver(time.Now()) {
		active.trial.Store(nil)
	}
}

var (
	errStuck      = fmt.Errorf("more than %d of its calls are in built-ins that do not end", maxStuck)
	errByHand     = errors.New("by hand")
	errNoPrevious = errors.New("there is no version before this one since the start")
)

func (v *Versions) quarantine(active *version) {
	if active.quarantined.Swap(true) {
		return
	}
	v.tell(errStuck)
	v.log.WithFields(logrus.Fields{"script": active.name(), "version": active.hash}).
		Errorf("script %s is not asked any more, script.on_error decides until the files change: %v", active.hash, errStuck)
}

// Rollback makes the version before active again. What the files hold is refused
// until they change.
func (v *Versions) Rollback() error {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.previous == nil {
		return errNoPrevious
	}
	v.takeBack(errByHand)
	return nil
}

// takeBack makes the version before active. It is trusted: it was active before.
func (v *Versions) takeBack(why error) {
	bad, good := v.active.Load(), v.renewed(v.previous)
	good.trial.Store(nil)
	v.taken.Add(1)
	v.active.Store(good)
	v.previous = nil
	v.refused = &refusal{Hash: bad.hash, Why: why.Error()}
	v.tell(v.refused)
	v.keep()
	v.log.WithFields(logrus.Fields{"script": bad.name(), "version": good.hash}).
		Errorf("script %s taken back, %s is active again: %v", bad.hash, good.hash, why)
	bad.before.Store(nil)
	v.retire(bad)
}

// renewed is the version with the settings of now. Should it not load by them, it
// goes on with its own.
func (v *Versions) renewed(old *version) *version {
	if same(old.settings, v.settings) {
		return old
	}
	fresh, err := v.load(v.settings, old.snapshot)
	if err != nil {
		v.log.WithFields(logrus.Fields{"script": old.name(), "version": old.hash}).Errorf("it goes on with the settings of before: %v", err)
		return old
	}
	fresh.since = old.since
	v.retire(old)
	return fresh
}

// keep writes the active version to the state directory.
func (v *Versions) keep() {
	active := v.active.Load()
	active.kept = true
	good := active.snapshot
	good.Kept = time.Now()
	if err := (kept{Good: &good, Refused: v.refused}).write(v.options.StateDir); err != nil {
		v.log.Error(err.Error())
	}
}
