package scripting

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dop251/goja"
)

// A Stage makes up what tests written in JavaScript ask for. Its errors are thrown
// in the test.
type Stage interface {
	// Request makes a request.
	Request(Staged) (Request, error)
	// Clusters are the clusters when these are down: names, and cluster/host:port.
	Clusters(down []string) (Clusters, error)
}

// Staged is what a test says of a request. All but the line may be empty.
type Staged struct {
	Line     string // such as "GET /x"
	Headers  [][2]string
	Host     string
	IP       string
	ID       string
	Listener string
	Subject  string // of the client's certificate
}

// A TestResult is what became of one test.
type TestResult struct {
	Name         string
	File         string       // that the place is in: the file of tests, or one that it imports
	Line, Column int          // of the failure, else of the test; 0 where there is no place
	Failure      *TestFailure // nil: it passed
	Reached      []string     // clusters that the script decided for
	Took         time.Duration
}

// A TestFailure is why a test did not pass.
type TestFailure struct {
	Check         string // the matcher, such as toBe; "" where it was not one that failed
	Expected, Got string
}

// longestTest bounds a test that asks the script again and again: each call of
// route has the script's own deadline.
const longestTest = 10 * time.Second

// RunTests runs a file of tests in a runtime of the script that has served nothing
// yet: test(name, function), expect, request, context, and the script's own route,
// which throws where a request would have failed by its decision. A call of route,
// and whatever a test does between two, has the script's deadline. Each result is
// told in turn. A file that does not load is a [*LoadError]. When ctx is done no
// further test begins.
func (s *Script) RunTests(ctx context.Context, file Source, stage Stage, tell func(TestResult)) error {
	src, err := newSource(file)
	if err != nil {
		return err
	}
	program, err := src.compileTests()
	if err != nil {
		return err
	}
	run := testRun{script: s, source: src, program: program, stage: stage, tell: tell}
	for done := false; !done; {
		if done, err = run.inRuntime(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A testRun is one run of a file of tests. A test that runs past its deadline
// takes its runtime along: then the file is loaded into another one, and the run
// goes on behind that test.
type testRun struct {
	script  *Script
	source  *source
	program *goja.Program
	stage   Stage
	tell    func(TestResult)
	next    int // the first test that was not run yet
}

// inRuntime runs as many tests as one runtime bears, and reports whether those
// were all.
func (run *testRun) inRuntime(ctx context.Context) (done bool, err error) {
	rt, err := run.runtime()
	if err != nil {
		return false, err
	}
	defer run.script.discard(rt)
	w := &workshop{testRun: run, rt: rt, moments: make(map[*goja.Object]Moment)}
	if err := w.load(); err != nil {
		return false, err
	}
	for ; run.next < len(w.tests); run.next++ {
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		result, alive := w.run(w.tests[run.next])
		run.tell(result)
		if !alive {
			run.next++
			break
		}
	}
	return run.next >= len(w.tests), nil
}

// runtime takes a runtime. The one that a test has spoilt is being replaced: each
// try waits for it a little.
func (run *testRun) runtime() (*runtime, error) {
	for range 1000 {
		if rt := run.script.acquire(); rt != nil {
			run.script.watch()
			return rt, nil
		}
	}
	return nil, fmt.Errorf("%s: no runtime came free for the tests", run.script.source.name)
}

// A workshop is a runtime in which tests run.
type workshop struct {
	*testRun
	rt      *runtime
	tests   []*declared
	moments map[*goja.Object]Moment // of the contexts that were made
	began   time.Time               // of the present test
	reached []string
}

// declared is one call of test.
type declared struct {
	name string
	at   position
	run  goja.Callable
}

//go:embed expect.js
var expectJS string

// load runs the top level of the file, which declares the tests.
func (w *workshop) load() (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = w.loadError(x)
		}
	}()
	w.install()
	w.start()
	if _, err := w.rt.js.RunProgram(w.program); err != nil {
		return w.loadError(err)
	}
	return nil
}

func (w *workshop) loadError(x any) error {
	message, stack := w.rt.describe(x)
	if _, ok := x.(*goja.InterruptedError); ok {
		message = w.script.ranPast("the top level", "").Error()
	}
	return w.source.fault(w.source.find(stack), message)
}

// install puts what tests use among the globals.
func (w *workshop) install() {
	js := w.rt.js
	host := js.NewObject()
	for name, f := range map[string]native{"test": w.declare, "fail": w.fail, "request": w.request, "context": w.context} {
		must(host.Set(name, w.rt.function(name, f)))
	}
	setUp, ok := goja.AssertFunction(must1(js.RunScript("expect.js", expectJS)))
	if !ok {
		panic("expect.js is no function")
	}
	made := must1(setUp(goja.Undefined(), host)).(*goja.Object)
	for _, name := range made.Keys() {
		must(js.Set(name, made.Get(name)))
	}
	must(js.Set("route", w.rt.function("route", w.route)))
}

// must1 is for what can not fail.
func must1[T any](value T, err error) T {
	must(err)
	return value
}

// start gives the runtime the time and the chance of a new test.
func (w *workshop) start() {
	w.rt.end()
	w.rt.dice.seed = testSeed
	w.began, w.reached = time.Now(), nil
}

// testSeed makes Math.random the same in every run.
const testSeed = 1

// declare is host.test.
func (w *workshop) declare(call goja.FunctionCall) goja.Value {
	run, _ := goja.AssertFunction(call.Argument(1))
	w.tests = append(w.tests, &declared{
		name: oneLine(call.Argument(0).String()), at: w.source.find(w.rt.js.CaptureCallStack(0, nil)), run: run,
	})
	return goja.Undefined()
}

// run runs one test, and reports whether the runtime can run another.
func (w *workshop) run(t *declared) (result TestResult, alive bool) {
	w.start()
	result = TestResult{Name: t.name, File: t.at.file, Line: t.at.line, Column: t.at.column}
	alive = w.rt.ticket.renew()
	failure, at := w.failureOf(t)
	if failure != nil && at.line > 0 {
		result.File, result.Line, result.Column = at.file, at.line, at.column
	}
	alive = alive && w.rt.ticket.live() && !w.rt.broken
	result.Failure, result.Reached, result.Took = failure, w.reached, time.Since(w.began)
	return result, alive
}

// failureOf is why a test does not pass, and where in the file of tests.
func (w *workshop) failureOf(t *declared) (failure *TestFailure, at position) {
	defer func() {
		if x := recover(); x != nil {
			failure, at = w.thrown(x)
		}
	}()
	value, err := t.run(goja.Undefined())
	if err != nil {
		return w.thrown(err)
	}
	if object, ok := value.(*goja.Object); ok {
		if _, ok := object.Export().(*goja.Promise); ok {
			return &TestFailure{Expected: "a function that is not async", Got: "a Promise: what comes after an await would never run"}, position{}
		}
	}
	return nil, position{}
}

// thrown turns what a test threw into its failure.
func (w *workshop) thrown(x any) (*TestFailure, position) {
	message, stack := w.rt.describe(x)
	at := w.source.find(stack)
	if _, ok := x.(*goja.InterruptedError); ok {
		message = fmt.Sprintf("ran past its deadline of %v", w.script.options.Timeout)
	}
	if exception, ok := errors.AsType[*goja.Exception](asError(x)); ok {
		if object, ok := exception.Value().(*goja.Object); ok {
			if failed, ok := object.Get("failed").(*goja.Object); ok {
				if failure, ok := failed.Export().(*TestFailure); ok {
					return failure, at
				}
			}
		}
	}
	if at := w.script.source.find(stack); at.line > 0 {
		message = at.String() + ": " + message
	}
	return &TestFailure{Expected: "no exception", Got: message}, at
}

func asError(x any) error {
	err, _ := x.(error)
	return err
}

// fail is host.fail: it throws what a matcher has found.
func (w *workshop) fail(call goja.FunctionCall) goja.Value {
	failure := &TestFailure{Check: call.Argument(0).String(), Expected: shown(call.Argument(1)), Got: shown(call.Argument(2))}
	thrown := w.rt.js.NewGoError(fmt.Errorf("expected %s, got %s", failure.Expected, failure.Got))
	must(thrown.Set("failed", w.rt.js.ToValue(failure)))
	panic(thrown)
}

func shown(v goja.Value) string { return shorten(oneLine(v.String()), maxMessage) }

// request is host.request.
func (w *workshop) request(call goja.FunctionCall) goja.Value {
	words := make([]string, 0, len(call.Arguments))
	for _, argument := range call.Arguments {
		words = append(words, argument.String())
	}
	var pairs []string
	must(w.rt.js.ExportTo(call.Argument(1), &pairs))
	var headers [][2]string
	for i := 0; i+1 < len(pairs); i += 2 {
		headers = append(headers, [2]string{pairs[i], pairs[i+1]})
	}
	made, err := w.stage.Request(Staged{Line: words[0], Headers: headers, Host: words[2], IP: words[3], ID: words[4], Listener: words[5], Subject: words[6]})
	if err != nil {
		w.rt.throw("%s", err.Error())
	}
	v := &view{rt: w.rt}
	v.install()
	v.begin(made)
	return v.handle()
}

// context is host.context: the script's own ctx, with other data where some was given.
func (w *workshop) context(call goja.FunctionCall) goja.Value {
	var down []string
	must(w.rt.js.ExportTo(call.Argument(1), &down))
	clusters, err := w.stage.Clusters(down)
	if err != nil {
		w.rt.throw("%s", err.Error())
	}
	m := Moment{Clusters: clusters}
	if ms := call.Argument(2).ToInteger(); ms != 0 {
		m.Now = time.UnixMilli(ms)
	}
	create := w.rt.builtin("Object", "create")
	made := create(goja.FunctionCall{Arguments: []goja.Value{w.rt.args[1], call.Argument(0)}}).(*goja.Object)
	w.moments[made] = m
	return made
}

// route is the script's own, as tests call it.
func (w *workshop) route(call goja.FunctionCall) goja.Value {
	if time.Since(w.began) > longestTest {
		w.rt.throw("the test takes longer than %v", longestTest)
	}
	w.rt.ticket.renew() // where it is lost the interrupt ends the test
	req, ctx := call.Argument(0), call.Argument(1)
	if goja.IsUndefined(ctx) {
		ctx = w.rt.args[1]
	}
	before, now := w.rt.moment, w.rt.now
	defer func() { w.rt.moment, w.rt.now = before, now }()
	if object, ok := ctx.(*goja.Object); ok {
		if m, ok := w.moments[object]; ok {
			w.rt.moment, w.rt.now = m, m.Now
		}
	}
	value := w.rt.route(goja.FunctionCall{This: goja.Undefined(), Arguments: []goja.Value{req, ctx}})
	d := w.rt.decide(value)
	if d.Err != nil {
		w.rt.throw("%s", d.Err.Error())
	}
	if !slices.Contains(w.reached, d.Cluster) {
		w.reached = append(w.reached, d.Cluster)
	}
	return value
}
