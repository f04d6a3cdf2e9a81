package scripting

import (
	"errors"
	"time"

	"github.com/dop251/goja"
)

// maxCallStack is how deep calls may nest in JavaScript. Recursion through
// built-ins takes far more time per level than a plain call.
const maxCallStack = 256

// A native is a function of the engine, or of the script, called directly.
type native = func(goja.FunctionCall) goja.Value

// A runtime is one JavaScript world: the engine, the script's globals, and the
// host objects `req` and `ctx`. Whoever holds its ticket is alone in it.
type runtime struct {
	script *Script
	slot   int
	built  chan error // the outcome of the build, once
	ticket ticket

	js      *goja.Runtime
	route   native
	args    [2]goja.Value // req, ctx
	view    view          // what the current call has read of its request
	moment  Moment        // what the current call sees in the place of the present
	now     time.Time     // the start of the current call as the script sees it; zero until it asks
	dice    dice          // Math.random of the current call
	onCall  func(*Reading, Decision)
	notes   *Reading // what the current call has read; nil: nobody wants to know
	reading Reading  // where notes are made
	jobs    jobs
	broken  bool // the engine itself failed; not to be used again

	interned map[string]goja.Value
	freezer  native // Object.freeze
	toJSON   native // JSON.stringify

	rangeError *goja.Object // the constructor
	yes, no    goja.Value
}

// prepare builds the world, without the script.
func (rt *runtime) prepare() (err error) {
	defer rt.recoverLoad(&err)
	rt.js = goja.New()
	rt.js.SetMaxCallStackSize(maxCallStack)
	rt.js.SetTimeSource(rt.clock)
	rt.js.SetRandSource(rt.dice.roll)
	rt.js.SetAsyncContextTracker(&rt.jobs)
	rt.freezer = rt.builtin("Object", "freeze")
	rt.rangeError = rt.global("RangeError")
	rt.yes, rt.no = rt.js.ToValue(true), rt.js.ToValue(false)
	parse := rt.builtin("JSON", "parse")
	rt.installGuards()
	rt.toJSON = rt.builtin("JSON", "stringify")
	rt.installAbsent()
	rt.installConsole()
	rt.installRequest()
	rt.installGlobals()
	rt.installPassing()
	rt.args[1] = rt.newContext(parse)
	return nil
}

// runTopLevel runs the script once, which defines its route.
func (rt *runtime) runTopLevel() (err error) {
	defer rt.recoverLoad(&err)
	if _, err := rt.js.RunProgram(rt.script.program); err != nil {
		return rt.loadError(err)
	}
	rt.now = time.Time{}
	rt.route, err = rt.script.findRoute(rt)
	return err
}

func (rt *runtime) recoverLoad(err *error) {
	if x := recover(); x != nil {
		*err = rt.loadError(x)
	}
}

// call routes one request: it runs the script and reads what it returned, all
// under the same ticket, since reading a result may run the script's code too.
func (rt *runtime) call(r Request, m Moment) (decision Decision) {
	rt.moment, rt.now, rt.dice.seed = m, m.Now, m.Seed
	rt.listen(r)
	rt.view.begin(r)
	rt.args[0] = rt.view.handle()
	defer func() {
		if x := recover(); x != nil {
			decision = rt.failure(x)
		}
		rt.tell(decision)
		rt.view.end()
		rt.end()
		rt.dropJobs()
	}()
	return rt.decide(rt.route(goja.FunctionCall{This: goja.Undefined(), Arguments: rt.args[:]}))
}

// builtin is a function of a global object, taken before the script can change it.
func (rt *runtime) builtin(object, name string) native {
	return rt.js.GlobalObject().Get(object).(*goja.Object).Get(name).Export().(native)
}

// end forgets the moment of the call.
func (rt *runtime) end() {
	rt.now, rt.dice.seeded, rt.moment = time.Time{}, false, Moment{}
}

// clusters is how the clusters are, to the current call.
func (rt *runtime) clusters() Clusters {
	if rt.moment.Clusters != nil {
		return rt.moment.Clusters
	}
	return rt.script.options.Clusters
}

// health is that of a cluster, to the current call.
func (rt *runtime) health(name string) (healthy, total int, ok bool) {
	healthy, total, ok = rt.clusters().Health(name)
	if rt.notes != nil {
		rt.notes.cluster(ClusterHealth{name, healthy, total, ok})
	}
	return healthy, total, ok
}

// clock is what Date sees: one time for the whole call.
func (rt *runtime) clock() time.Time {
	if rt.now.IsZero() {
		rt.now = time.Now()
	}
	return rt.now
}

// throw throws a TypeError in the script.
func (rt *runtime) throw(format string, args ...any) {
	panic(rt.js.NewTypeError(append([]any{format}, args...)...))
}

// jobs notices that a call left promise callbacks behind. They never run: a
// decision is made when route returns.
type jobs struct{ pending bool }

func (j *jobs) Grab() any { j.pending = true; return nil }
func (*jobs) Resumed(any) {}
func (*jobs) Exited()     {}

var errDropJobs = errors.New("promise callbacks do not run in a routing script")

// dropJobs empties the engine's queue of promise callbacks, which it does when an
// interrupted call unwinds. The ticket is still held: no other interrupt is lost,
// because a runtime that the watchdog interrupts is thrown away in any case.
func (rt *runtime) dropJobs() {
	if !rt.jobs.pending || rt.broken {
		return
	}
	rt.jobs.pending = false
	rt.js.Interrupt(errDropJobs)
	if _, err := rt.js.RunProgram(rt.script.empty); err == nil {
		rt.broken = true
	}
}
