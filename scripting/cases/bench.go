package cases

import (
	"io"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"outrider/scripting"
)

// A Subject is a script under test, with what it runs with in production.
type Subject struct {
	Source   scripting.Source
	Options  scripting.Options // what concerns log, clusters and records does not matter: the bench has its own
	Clusters []Cluster         // those of the configuration
	Imports  []string          // directories outside their own that tests may import from
	Files    []string          // that the script was made of, where that is known
}

// A Bench is a loaded script that is asked about made-up requests, one at a time.
type Bench struct {
	script *scripting.Script
	said   lines
}

// NewBench loads a script. What is wrong with it is a [*scripting.LoadError]. The
// caller closes the bench.
func NewBench(s Subject) (*Bench, error) {
	b := new(Bench)
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.AddHook(&b.said)
	s.Options.Log, s.Options.Clusters, s.Options.OnCall = log, NewFleet(s.Clusters), nil
	s.Options.Workers, s.Options.Talkative = 1, true
	script, err := scripting.Load(s.Source, s.Options)
	if err != nil {
		return nil, err
	}
	b.script = script
	return b, nil
}

// Close lets go of the script.
func (b *Bench) Close() { b.script.Close() }

// Version is the script's.
func (b *Bench) Version() string { return b.script.Version() }

// Route asks the script about a request as of that moment. Said is what the script
// has written to its console meanwhile, and what the engine had to warn of.
func (b *Bench) Route(r scripting.Request, at scripting.Moment) (d scripting.Decision, said []string) {
	return b.ask(func() scripting.Decision { return b.script.RouteAt(r, at) })
}

// RouteOnce is Route, see [scripting.Script.RouteOnce].
func (b *Bench) RouteOnce(r scripting.Request, at scripting.Moment) (d scripting.Decision, said []string) {
	return b.ask(func() scripting.Decision { return b.script.RouteOnce(r, at) })
}

func (b *Bench) ask(route func() scripting.Decision) (d scripting.Decision, said []string) {
	b.said.take()
	d = route()
	for tries := 0; d.Outcome == scripting.Busy && tries < mostTries; tries++ {
		d = route()
	}
	return d, b.said.take()
}

// mostTries is how often a script is asked that has no runtime, which it waits for
// for a millisecond each time: the one of the call before may be being replaced.
const mostTries = 1000

// lines keeps what is logged. It implements logrus.Hook.
type lines struct {
	mu   sync.Mutex
	kept []string
}

// Levels implements logrus.Hook.
func (*lines) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (l *lines) Fire(e *logrus.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, e.Level.String()+": "+strings.TrimPrefix(e.Message, "script says: "))
	return nil
}

// take gives away what was logged since the last time.
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.kept
	l.kept = nil
	return kept
}
