package rollout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/scripting"
	"outrider/scripting/record"
	"outrider/sidecar/watch"
)

// Shadowing says which script is asked beside the active one. The fields are those
// of script.shadow.
type Shadowing struct {
	File   string  // "" = none
	Sample float64 // of the requests, 0 to 1
}

const (
	shadowQueue = 256         // requests that may wait for the shadow; more are dropped
	shadowTold  = time.Minute // how often the log has the table, when it has changed
)

// A shadow asks a script beside the active one, on a sample of the requests, and
// counts where it would send them. It decides nothing. What it may take of a
// request's time is to copy its head into a queue, which drops when it is full;
// the rest is done by a task of its own.
type shadow struct {
	log     logrus.FieldLogger
	options Options
	on      atomic.Pointer[shadowed] // nil: none
	queue   chan sighting
	counts  ShadowCounts

	mu     sync.Mutex // guards what is below
	wanted Settings
	state  ShadowStatus
}

// ShadowCounts count sampled requests since the start.
type ShadowCounts struct{ Same, Moved, Failed, Dropped atomic.Uint64 }

// shadowed is a shadow's script.
type shadowed struct {
	script *scripting.Script
	sample float64
}

// A sighting is a sampled request, and what was decided on it.
type sighting struct {
	request copied
	decided record.Decision
}

// ShadowStatus is what there is to know of a shadow.
type ShadowStatus struct {
	File    string
	Version string // "" where the file holds none that works
	Fault   error  // why not
	Moves   record.Moves
	Failed  int // requests on which the shadow failed
}

func newShadow(o Options) *shadow {
	return &shadow{log: o.Log, options: o, queue: make(chan sighting, shadowQueue)}
}

// want has the shadow be that of these settings.
func (s *shadow) want(settings Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = settings
}

// offer gives a decided request to the shadow, perhaps.
func (s *shadow) offer(r scripting.Request, d *scripting.Decision) {
	on := s.on.Load()
	if on == nil || d.Outcome == scripting.Timeout || rand.Float64() >= on.sample {
		return
	}
	if len(s.queue) == cap(s.queue) { // before a copy is made in vain
		s.counts.Dropped.Add(1)
		return
	}
	select {
	case s.queue <- sighting{copyOf(r), record.DecisionOf(*d)}:
	default:
		s.counts.Dropped.Add(1)
	}
}

// run serves the shadow until ctx is done. Its file is looked at as often as those
// of the script are polled.
func (s *shadow) run(ctx context.Context) {
	defer s.replace(nil, ShadowStatus{})
	look := time.NewTicker(pollEvery)
	defer look.Stop()
	tell := time.NewTicker(shadowTold)
	defer tell.Stop()
	w := shadowWatch{shadow: s}
	w.look()
	for {
		select {
		case one := <-s.queue:
			s.ask(one)
		case <-look.C:
			w.look()
		case <-tell.C:
			w.tell()
		case <-ctx.Done():
			return
		}
	}
}

// ask has the shadow decide.
func (s *shadow) ask(one sighting) {
	on := s.on.Load()
	if on == nil {
		return
	}
	d := on.script.Route(&one.request)
	s.mu.Lock()
	defer s.mu.Unlock()
	moved := s.state.Moves.Add(one.decided, record.DecisionOf(d), one.request.method+" "+one.request.path)
	switch {
	case d.Outcome.Failed():
		s.state.Failed++
		s.counts.Failed.Add(1)
	case moved:
		s.counts.Moved.Add(1)
	default:
		s.counts.Same.Add(1)
	}
}

// replace puts a script in the place of the one that is asked.
func (s *shadow) replace(next *shadowed, state ShadowStatus) {
	old := s.on.Swap(next)
	s.mu.Lock()
	s.state = state
	s.mu.Unlock()
	if old != nil {
		old.script.Close()
	}
}

func (s *shadow) status() ShadowStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	state.Moves = s.state.Moves.Clone()
	return state
}

// shadowWatch is what the shadow's task remembers.
type shadowWatch struct {
	shadow *shadow
	active Settings
	files  []string
	seen   watch.Look
	told   int // moves and failures
}

// look makes what the shadow's file holds the shadow, when that or the settings
// have changed.
func (w *shadowWatch) look() {
	s := w.shadow
	s.mu.Lock()
	wanted := s.wanted
	s.mu.Unlock()
	wanted.File, wanted.Tests = wanted.Shadow.File, nil
	now := watch.Around(w.files)
	if reflect.DeepEqual(wanted, w.active) && now == w.seen {
		return
	}
	w.active, w.told = wanted, 0
	if wanted.File == "" {
		w.files, w.seen = nil, watch.Around(nil)
		s.replace(nil, ShadowStatus{})
		return
	}
	from, files, err := read(wanted)
	w.files, w.seen = files, watch.Around(files)
	state := ShadowStatus{File: wanted.File, Fault: err}
	var next *shadowed
	if err == nil {
		next, state.Fault = s.load(wanted, from)
	}
	if state.Fault != nil {
		s.log.Errorf("the shadow is refused, nothing is shadowed: %v", state.Fault)
	} else {
		state.Version = from.hash()
		s.log.Infof("shadow %s, version %s, is asked on %g%% of the requests", from.Name, state.Version, 100*next.sample)
	}
	s.replace(next, state)
}

func (s *shadow) load(wanted Settings, from snapshot) (*shadowed, error) {
	options := wanted.scripting(from)
	options.Log, options.Clusters, options.Workers = s.log.WithField("shadow", true), s.options.Clusters, 1
	script, err := scripting.Load(from.source(), options)
	if err != nil {
		return nil, err
	}
	return &shadowed{script, wanted.Shadow.Sample}, nil
}

// tell writes the table to the log when it has changed.
func (w *shadowWatch) tell() {
	state := w.shadow.status()
	if now := state.Moves.Moved + state.Failed; now != w.told {
		w.told = now
		w.shadow.log.Infof("shadow, version %s: %s%s", state.Version, state.Moves.String(), failures(state.Failed))
	}
}

func failures(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; it failed on %d", n)
}

// copied is a request that outlives its exchange.
type copied struct {
	method, path, query, host, scheme, ip, id, listener string
	tls                                                 *scripting.TLS
	names, values                                       []string
}

func copyOf(r scripting.Request) copied {
	c := copied{
		method: r.Method(), path: r.Path(), query: r.RawQuery(), host: r.Host(), scheme: r.Scheme(),
		ip: r.IP(), id: r.ID(), listener: r.Listener(), tls: r.TLS(), names: r.HeaderNames(),
	}
	for _, name := range c.names {
		value, _ := r.Header(name)
		c.values = append(c.values, value)
	}
	return c
}

func (c *copied) Method() string   { return c.method }
func (c *copied) Path() string     { return c.path }
func (c *copied) RawQuery() string { return c.query }
func (c *copied) Host() string     { return c.host }
func (c *copied) Scheme() string   { return c.scheme }
func (c *copied) IP() string       { return c.ip }
func (c *copied) ID() string       { return c.id }
func (c *copied) Listener() string { return c.listener }

func (c *copied) TLS() *scripting.TLS { return c.tls }

func (c *copied) Header(name string) (string, bool) {
	for i, n := range c.names {
		if strings.EqualFold(n, name) {
			return c.values[i], true
		}
	}
	return "", false
}

func (c *copied) HeaderNames() []string { return c.names }
