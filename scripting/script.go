// Package scripting runs the user's JavaScript, `route(req, ctx)`, for each
// request and turns what it returns into a [Decision].
//
// The script is compiled once and runs on a small pool of runtimes, inline on the
// goroutine of the request. It reads the request lazily through [Request], and has
// no I/O, no timers and no body. One watchdog per script interrupts calls that run
// past their deadline.
package scripting

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"
	"github.com/sirupsen/logrus"
)

// A Request is what a script may read of a request. It is called on the goroutine
// that called [Script.Route], only while that call runs and is in time, and only
// for what the script reads. Strings are immutable copies.
type Request interface {
	Method() string   // as sent
	Path() string     // as received, still percent-encoded, without the query
	RawQuery() string // without the question mark
	Host() string     // lower case, without the port
	Scheme() string   // "http" or "https"
	IP() string       // the client's address
	ID() string       // the request id
	Listener() string // the name of the listener it came in by
	TLS() *TLS        // how the client's connection is encrypted; nil: it is not

	Header(name string) (string, bool) // any case; repeats joined by ", "
	HeaderNames() []string             // lower case, each once
}

// Clusters is the live view of the clusters. It is called from any goroutine and
// must not block.
type Clusters interface {
	Names() []string
	Health(name string) (healthy, total int, ok bool) // backends; !ok: no such cluster
}

// Options say how a script runs.
type Options struct {
	Log            logrus.FieldLogger // console, warnings; required
	Clusters       Clusters           // required
	Timeout        time.Duration      // of one call, also of the top level; 0 is 100 ms
	OnError        string             // "fail" (also "") or the cluster that gets a request whose call failed
	DefaultCluster string             // for a script that returns nothing; "" is 404
	Workers        int                // runtimes that are always there; 0 is GOMAXPROCS
	Talkative      bool               // the console is not rate-limited: for tests
	Version        string             // what this version is called in the log; "" is a hash of its text
	Data           []byte             // JSON, seen as ctx.data; nil: none
	DataName       string             // of its file, for messages
	Env            map[string]string  // seen as ctx.env
	Backtracking   bool               // regular expressions may need it

	// Places has a [Reading] tell where route returned. It makes calls slower, and is
	// for those who explain one.
	Places bool

	// OnCall is told of each call what it read and what came of it, on the
	// goroutine of Route. The reading is valid until it returns. Optional.
	OnCall func(*Reading, Decision)
}

const defaultTimeout = 100 * time.Millisecond

// A Source is a script's text. Name is used in messages: "route.js". Where Code was
// made of other files, Map leads back to them: a source map, revision 3
// (https://tc39.es/ecma426/), with their contents.
type Source struct {
	Name string
	Code []byte
	Map  []byte
}

// A Script is a loaded script, ready to route. Its methods are safe for concurrent use.
type Script struct {
	source  *source
	version string
	program *goja.Program
	empty   *goja.Program // does nothing; see dropJobs
	routeAt position
	places  []position // of the returns, by number; nil: nobody asks
	options Options
	log     logrus.FieldLogger
	notices *notices
	console *limiter

	pool     pool
	watchdog watchdog
	tasks    tasks
	closed   atomic.Bool
	stuck    atomic.Uint64
}

// Load checks and compiles a script and builds its runtimes, which runs its top
// level once in each. A fault of the script is a [*LoadError]. The caller closes
// the script when nobody needs it any more.
func Load(src Source, opts Options) (*Script, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	if err := limitRegexps(opts.Timeout); err != nil {
		return nil, err
	}
	if opts.Data != nil {
		if err := opts.dataset().check(); err != nil {
			return nil, err
		}
	}
	code, err := newSource(src)
	if err != nil {
		return nil, err
	}
	program, findings, err := code.compile(opts.Backtracking, opts.Places)
	if err != nil {
		return nil, err
	}
	s := &Script{
		source:  code,
		version: code.version(),
		program: program,
		routeAt: findings.route,
		places:  findings.places,
		empty:   goja.MustCompile("", "", true),
		options: opts,
		notices: newNotices(),
		console: newConsoleLimiter(opts.Talkative),
	}
	if opts.Version != "" {
		s.version = opts.Version
	}
	s.log = opts.Log.WithFields(logrus.Fields{"script": code.name, "version": s.version})
	s.pool.init(opts.Workers)
	s.watchdog.init(opts.Timeout, len(s.pool.slots))
	if err := s.buildWorkers(); err != nil {
		s.Close()
		return nil, err
	}
	s.warnOfUnknownLiterals(findings.literals)
	for _, w := range findings.warnings {
		s.log.Warnf("%s: %s", s.source.place(w.at), w.message)
	}
	return s, nil
}

func (o Options) complete() (Options, error) {
	if o.Log == nil || o.Clusters == nil {
		return o, errors.New("load script: Options.Log and Options.Clusters are required")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Timeout < time.Millisecond {
		return o, fmt.Errorf("load script: a timeout of %v is too short, the least is 1ms", o.Timeout)
	}
	if o.Workers <= 0 {
		o.Workers = goruntime.GOMAXPROCS(0)
	}
	if o.OnError == "fail" {
		o.OnError = ""
	}
	for role, name := range map[string]string{"on_error": o.OnError, "default_cluster": o.DefaultCluster} {
		if _, _, ok := o.Clusters.Health(name); name != "" && !ok {
			return o, fmt.Errorf("load script: %s names the cluster %q, which does not exist%s", role, name, didYouMean(name, o.Clusters.Names()))
		}
	}
	return o, nil
}

// Route asks the script where r goes. It runs on the caller's goroutine, which
// waits at most 25 ms for a runtime and then at most the timeout, with one
// exception: a built-in of the engine that computes for long cannot be
// interrupted. Then Route returns only when that built-in does. The runtime has
// been given up and replaced by then, and r is not called any more after the
// deadline, so a caller that must go on may do so from another goroutine and drop
// the late decision.
func (s *Script) Route(r Request) Decision { return s.RouteAt(r, Moment{}) }

// RouteAt is Route at another moment than the present.
func (s *Script) RouteAt(r Request, m Moment) Decision { return s.route(r, m, false) }

// RouteOnce is RouteAt, by a runtime that is thrown away afterwards. A script that
// is asked in no other way decides every time in a runtime that has served nothing
// yet.
func (s *Script) RouteOnce(r Request, m Moment) Decision { return s.route(r, m, true) }

func (s *Script) route(r Request, m Moment, once bool) Decision {
	rt := s.acquire()
	if rt == nil {
		return s.fail(Busy, fmt.Errorf("%s: no runtime came free within %v", s.source.name, patience))
	}
	s.watch()
	decision := rt.call(r, m)
	if once && s.spend(rt) || !once && s.release(rt) {
		return decision
	}
	if decision.Outcome == Timeout || errors.Is(decision.Err, errMemory) { // says where in the script
		return decision
	}
	return s.fail(Timeout, s.ranPast("route", ""))
}

func (s *Script) ranPast(what, where string) error {
	if where == "" {
		where = s.source.name
	}
	return fmt.Errorf("%s: %s ran past its deadline of %v", where, what, s.options.Timeout)
}

// fail applies on_error.
func (s *Script) fail(outcome Outcome, err error) Decision {
	return Decision{Cluster: s.options.OnError, Outcome: outcome, Err: err}
}

// Version is what the options call it, or a short hash of the script's text.
func (s *Script) Version() string { return s.version }

// Stuck counts the calls so far that no interrupt could stop. Each one held its
// goroutine, and one core, until the built-in it was in returned.
func (s *Script) Stuck() uint64 { return s.stuck.Load() }

// Close ends the script's own goroutines and waits for them; it first waits for
// the calls that run, at most their timeout. A call that begins later (a request
// may hold on to a script that a reload has replaced) still works.
func (s *Script) Close() {
	s.closed.Store(true)
	s.tasks.wait()
}

// tasks counts goroutines. Unlike a sync.WaitGroup it may be added to while
// somebody waits for zero.
type tasks struct {
	mu    sync.Mutex
	count int
	zero  chan struct{} // closed at zero; nil when nobody waits
}

func (t *tasks) add() {
	t.mu.Lock()
	t.count++
	t.mu.Unlock()
}

func (t *tasks) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count--
	if t.count == 0 && t.zero != nil {
		close(t.zero)
		t.zero = nil
	}
}

func (t *tasks) wait() {
	t.mu.Lock()
	if t.count == 0 {
		t.mu.Unlock()
		return
	}
	if t.zero == nil {
		t.zero = make(chan struct{})
	}
	zero := t.zero
	t.mu.Unlock()
	<-zero
}
