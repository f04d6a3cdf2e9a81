package scripting

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A blocked is a request whose headers do not answer until it is let go: to the
// engine a built-in that no interrupt reaches. It counts what is asked of it.
type blocked struct {
	req
	entered chan struct{}
	let     chan struct{}
	asked   atomic.Int32
}

func newBlocked() *blocked {
	return &blocked{req: *get("/blocked"), entered: make(chan struct{}), let: make(chan struct{})}
}

func (b *blocked) Header(string) (string, bool) {
	b.asked.Add(1)
	close(b.entered)
	<-b.let
	return "", false
}

func (b *blocked) RawQuery() string { b.asked.Add(1); return "" }
func (b *blocked) Host() string     { b.asked.Add(1); return "" }

// stuck routes a request that blocks, on a goroutine of its own.
func (r *rig) stuck(b *blocked) <-chan Decision {
	done := make(chan Decision, 1)
	go func() { done <- r.Route(b) }()
	<-b.entered
	return done
}

func shortDeadline(o *Options) { o.Timeout = 100 * time.Millisecond }
func oneWorker(o *Options)     { o.Workers = 1 }

const readsHeader = `function route(req) {
  if (req.path === '/blocked') { JSON.stringify([req.headers.get('x')]); return req.host; }
  return 'one';
}`

func TestEndlessScriptEndsAtItsDeadline(t *testing.T) {
	s := load(t, `function route(req) {
  let n = 0;
  while (req.path === '/loop') { n++; }
  return 'one';
}`, shortDeadline, onErrorTwo)
	for range 3 {
		began := time.Now()
		d := s.Route(get("/loop"))
		if d.Outcome != Timeout || d.Cluster != "two" || !strings.HasPrefix(d.Err.Error(), "route.js:3:") || !strings.Contains(d.Err.Error(), "ran past its deadline of 100ms") {
			t.Errorf("%+v", d)
		}
		if took := time.Since(began); took < 100*time.Millisecond {
			t.Errorf("interrupted after %v, before the deadline", took)
		}
		if d := s.routeSoon(get("/")); d.Outcome != OK {
			t.Errorf("the next request: %+v", d)
		}
	}
}

// routeSoon routes once a runtime that was thrown away has been replaced.
func (r *rig) routeSoon(request Request) Decision {
	for {
		if d := r.Route(request); d.Outcome != Busy {
			return d
		}
	}
}

func TestWhatComesAfterRouteIsUnderTheDeadlineToo(t *testing.T) {
	for name, body := range map[string]string{
		"thrown toString":    "throw {toString() { for (;;) {} }};",
		"error getter":       "const e = new Error(); Object.defineProperty(e, 'message', {get() { for (;;) {} }}); throw e;",
		"getter":             "return {get cluster() { for (;;) {} }};",
		"list proxy":         "return new Proxy(['one'], {get() { for (;;) {} }});",
		"keys proxy":         "return new Proxy({}, {ownKeys() { for (;;) {} }});",
		"respond getter":     "return {respond: {get body() { for (;;) {} }, status: 200}};",
		"sort comparator":    "return [3, 2, 1].sort(() => { for (;;) {} })[0];",
		"caught":             "for (;;) { try { for (;;) {} } catch (e) {} finally {} }",
		"generator":          "function* g() { for (;;) { yield 1; } } return [...g()];",
		"console":            "console.log({toJSON() { for (;;) {} }});",
		"property key":       "return req.headers[{toString() { for (;;) {} }}];",
		"replace function":   "'x'.replace('x', () => { for (;;) {} });",
		"array of generator": "function* g() { for (;;) { yield 1; } } return Array.from(g());",
	} {
		t.Run(name, func(t *testing.T) {
			s := load(t, route("if (req.path === '/') { "+body+" } return 'one';"), shortDeadline, onErrorTwo, oneWorker)
			if d := s.Route(get("/")); d.Outcome != Timeout || d.Cluster != "two" {
				t.Errorf("%v %v", d.Outcome, d.Err)
			}
			if d := s.routeSoon(get("/next")); d.Outcome != OK {
				t.Errorf("the next request: %+v", d)
			}
		})
	}
}

// A second watchdog that interrupts calls at any moment, much too early: the calls
// that end by timeout must be exactly those that it interrupted.
func TestInterruptNeverHitsALaterCall(t *testing.T) {
	s := load(t, `function route(req) { let n = 0; for (let i = 0; i < 20; i++) n += i; return 'one'; }`)
	stop := make(chan struct{})
	var interrupts, timeouts, others atomic.Int64
	var watchdog, callers sync.WaitGroup
	watchdog.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for i := range s.pool.slots {
				interrupts.Add(s.interruptNow(i))
			}
		}
	})
	for range 4 {
		callers.Go(func() {
			r := get("/")
			for range 3000 {
				switch d := s.Route(r); d.Outcome {
				case OK, Busy:
				case Timeout:
					timeouts.Add(1)
				default:
					others.Add(1)
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	watchdog.Wait()
	if timeouts.Load() != interrupts.Load() || others.Load() != 0 {
		t.Errorf("%d interrupts, %d timeouts, %d other failures", interrupts.Load(), timeouts.Load(), others.Load())
	}
	t.Logf("%d interrupts", interrupts.Load())
}

// interruptNow interrupts the call in a slot as if its deadline had passed.
func (s *Script) interruptNow(slot int) int64 {
	rt := s.pool.slots[slot].Load()
	if rt == nil {
		return 0
	}
	state := rt.ticket.state.Load()
	if phaseOf(state) != running || isBuild(state) {
		return 0
	}
	sight := sighting{rt: rt, state: state}
	s.judge(&sight, time.Now())
	if phaseOf(sight.state) == interrupted {
		return 1
	}
	return 0
}

func TestStuckCallIsGivenUpAndItsRuntimeReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, readsHeader, shortDeadline, oneWorker, onErrorTwo)
		b := newBlocked()
		done := s.stuck(b)
		stuckRuntime := s.pool.slots[0].Load()
		pass(90 * time.Millisecond)
		if s.Stuck() != 0 || s.pool.slots[0].Load() != stuckRuntime {
			t.Error("given up before the deadline")
		}
		pass(100 * time.Millisecond)
		synctest.Wait()
		if s.Stuck() != 1 {
			t.Errorf("Stuck() = %d", s.Stuck())
		}
		if rt := s.pool.slots[0].Load(); rt == nil || rt == stuckRuntime {
			t.Error("the worker was not replaced")
		}
		if d := s.Route(get("/")); d.Outcome != OK {
			t.Errorf("the next request: %+v", d)
		}
		if !strings.Contains(s.messages(), "cannot be interrupted") {
			t.Errorf("nothing was said:\n%s", s.messages())
		}
		close(b.let)
		if d := <-done; d.Outcome != Timeout || d.Cluster != "two" {
			t.Errorf("the stuck call ended with %+v", d)
		}
		if asked := b.asked.Load(); asked != 1 {
			t.Errorf("the request was asked %d times, also after the deadline", asked)
		}
		if d := s.Route(get("/")); d.Outcome != OK || s.Stuck() != 1 {
			t.Errorf("%+v", d)
		}
		s.Close()
	})
}

func TestRequestIsNotReadAfterTheDeadlineByABuiltIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, `function route(req) { return JSON.stringify({a: req.headers, b: req}); }`, shortDeadline, oneWorker)
		b := newBlocked()
		b.header = [][2]string{{"x", "1"}}
		done := s.stuck(b)
		pass(time.Second)
		close(b.let)
		if d := <-done; d.Outcome != Timeout {
			t.Errorf("%+v", d)
		}
		if asked := b.asked.Load(); asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		s.Close()
	})
}

func TestARequestThatGetsNoRuntimeInTimeIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, readsHeader, shortDeadline, oneWorker, onErrorTwo)
		var calls []<-chan Decision
		var requests []*blocked
		for range slotsPerWorker {
			b := newBlocked()
			requests = append(requests, b)
			calls = append(calls, s.stuck(b))
		}
		began := time.Now()
		d := s.Route(get("/"))
		if d.Outcome != Busy || d.Cluster != "two" || d.Err == nil || time.Since(began) != patience {
			t.Errorf("%+v after %v", d, time.Since(began))
		}
		for _, b := range requests {
			close(b.let)
		}
		for _, call := range calls {
			if d := <-call; d.Outcome != UnknownCluster && d.Outcome != BadReturn {
				t.Errorf("%+v", d)
			}
		}
		if d := s.Route(get("/")); d.Outcome != OK {
			t.Errorf("%+v", d)
		}
		s.Close()
	})
}

func TestWaitingRequestTakesTheRuntimeThatComesFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, readsHeader, shortDeadline, oneWorker)
		var requests []*blocked
		for range slotsPerWorker {
			b := newBlocked()
			requests = append(requests, b)
			s.stuck(b)
		}
		waiting := make(chan Decision, 1)
		began := time.Now()
		go func() { waiting <- s.Route(get("/")) }()
		pass(patience / 2)
		close(requests[2].let)
		if d := <-waiting; d.Outcome != OK || time.Since(began) != patience/2 {
			t.Errorf("%+v after %v", d, time.Since(began))
		}
		for i, b := range requests {
			if i != 2 {
				close(b.let)
			}
		}
		s.Close()
	})
}

func TestSparesAreDroppedWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, readsHeader, shortDeadline, oneWorker)
		var requests []*blocked
		for range 3 {
			b := newBlocked()
			requests = append(requests, b)
			s.stuck(b)
		}
		if got := s.filled(); got != 3 {
			t.Errorf("%d runtimes for 3 calls", got)
		}
		for _, b := range requests {
			close(b.let)
		}
		pass(time.Second)
		if got := s.filled(); got != 1 {
			t.Errorf("%d runtimes after a second without calls, want the worker", got)
		}
		if s.watchdog.awake.Load() {
			t.Error("the watchdog is awake without calls")
		}
		if d := s.Route(get("/")); d.Outcome != OK {
			t.Errorf("%+v", d)
		}
		s.Close()
	})
}

func TestSparesThatARunningScriptDoesNotNeedAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, readsHeader, shortDeadline, oneWorker)
		first, second := newBlocked(), newBlocked()
		s.stuck(first)
		s.stuck(second)
		close(first.let)
		close(second.let)
		for range int(2 * idleSpare / (20 * time.Millisecond)) {
			s.Route(get("/"))
			pass(20 * time.Millisecond)
		}
		if got := s.filled(); got != 1 {
			t.Errorf("%d runtimes", got)
		}
		s.Close()
	})
}

func (s *Script) filled() int {
	n := 0
	for i := range s.pool.slots {
		if s.pool.slots[i].Load() != nil {
			n++
		}
	}
	return n
}

func TestRouteAfterCloseStillWorks(t *testing.T) {
	s := load(t, route("for (; req.path === '/loop';) {} return 'one';"), shortDeadline)
	s.Close()
	if d := s.Route(get("/")); d.Outcome != OK {
		t.Errorf("%+v", d)
	}
	if d := s.routeSoon(get("/loop")); d.Outcome != Timeout {
		t.Errorf("%+v", d)
	}
	s.Close()
}

func TestCloseWaitsForTheCallsThatRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, readsHeader, shortDeadline)
		b := newBlocked()
		done := s.stuck(b)
		closed := make(chan struct{})
		go func() { s.Close(); close(closed) }()
		pass(50 * time.Millisecond)
		select {
		case <-closed:
			t.Error("Close did not wait")
		default:
		}
		close(b.let)
		<-done
		<-closed
	})
}

func TestStuckTopLevelDoesNotHoldUpLoading(t *testing.T) {
	_, err := tryLoad(t, `const found = /^(?=(a+)+b)/.test('a'.repeat(60)); function route() {}`,
		func(o *Options) { o.Timeout = 20 * time.Millisecond }, mayBacktrack)
	if err == nil || !strings.HasPrefix(err.Error(), "route.js: the top level of the script is in a built-in that does not end") {
		t.Errorf("%v", err)
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	s := load(t, `let calls = 0; function route(req, ctx) { calls++; return {cluster: ctx.hash(req.path) < 0.5 ? 'one' : 'two', rule: req.path + req.headers.get('x')}; }`)
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			path := "/" + strings.Repeat("x", caller)
			r := get(path).with("x", path)
			for range 2000 {
				d := s.Route(r)
				if d.Outcome == Busy {
					continue
				}
				if d.Outcome != OK || d.Rule != path+path || (d.Cluster == "one") != (hash(path) < 0.5) {
					t.Errorf("%s: %+v", path, d)
					return
				}
			}
		})
	}
	callers.Wait()
}

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }
