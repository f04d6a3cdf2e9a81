package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

// asked is a Router made of functions.
type asked struct {
	route   func(*proxy.Request) proxy.Decision
	limit   time.Duration
	overdue func() proxy.Decision
}

func (a asked) Route(r *proxy.Request) proxy.Decision { return a.route(r) }
func (a asked) Limit() time.Duration                  { return a.limit }
func (a asked) Overdue() proxy.Decision               { return a.overdue() }

func routed(r proxy.Router) option { return func(s *setup) { s.router = r } }

func says(body string) proxy.Decision {
	return proxy.Decision{Respond: &proxy.Respond{Status: http.StatusOK, Body: body}}
}

// sticky is a Router that is stuck on paths that begin with /stuck, until it is
// released.
type sticky struct {
	asked
	stuck, returned atomic.Int32
	release         chan struct{}
}

func newSticky(t testing.TB, limit time.Duration) (*sticky, option) {
	s := &sticky{release: make(chan struct{})}
	s.asked = asked{limit: limit, overdue: func() proxy.Decision { return says("overdue") }, route: s.decide}
	t.Cleanup(func() {
		until(t, "the stuck routes' return", func() bool { return s.stuck.Load() == s.returned.Load() })
	})
	t.Cleanup(s.let)
	return s, routed(s)
}

func (s *sticky) decide(r *proxy.Request) proxy.Decision {
	path := r.Path()
	if !strings.HasPrefix(path, "/stuck") {
		return says("on time")
	}
	s.stuck.Add(1)
	<-s.release
	defer s.returned.Add(1)
	if r.InTime() {
		panic("a stuck route thinks that it is in time")
	}
	if r.Path() != path || r.Method() != http.MethodGet {
		panic("the request has changed under a stuck route")
	}
	return says("late")
}

// let lets the stuck routes go.
func (s *sticky) let() {
	select {
	case <-s.release:
	default:
		close(s.release)
	}
}

const (
	stuck = "GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n"
	free  = "GET /free HTTP/1.1\r\nHost: a\r\n\r\n"
)

func expectBody(t *testing.T, a *answer, want string) {
	t.Helper()
	if a.StatusCode != http.StatusOK || a.body != want || a.err != nil {
		t.Fatalf("got %s with body %q (%v), want %q", a.Status, a.body, a.err, want)
	}
}

func TestAStuckRouteIsAnsweredWithoutIt(t *testing.T) {
	const limit = 50 * time.Millisecond
	router, option := newSticky(t, limit)
	sc := newSidecar(t, option)
	c := dialRaw(t, sc.addr)
	began := time.Now()
	expectBody(t, c.send(stuck).response(), "overdue")
	if took := time.Since(began); took < limit/2 || took > time.Second {
		t.Errorf("the answer took %v, want about %v", took, limit)
	}
	expectBody(t, c.send(free).response(), "on time")
	expectBody(t, c.send(stuck+free+stuck+free).response(), "overdue")
	for _, want := range []string{"on time", "overdue", "on time"} {
		expectBody(t, c.response(), want)
	}
	router.let()
	until(t, "the late returns", func() bool { return router.returned.Load() == 3 })
	for range 10 {
		expectBody(t, c.send(free).response(), "on time")
	}
	c.fin()
	c.expectEnd()
	sc.rest(t)
}

func TestAStuckRouteLeavesTheBodyToTheOneThatGoesOn(t *testing.T) {
	up := newUpstream(t, answers(ok))
	app := newCluster("late", cluster.Policy{Connect: patience, Response: patience, StreamIdle: patience, UpstreamIdle: patience}, up.addr)
	router, _ := newSticky(t, 50*time.Millisecond)
	router.overdue = func() proxy.Decision { return proxy.Decision{Cluster: app} }
	sc := newSidecar(t, routed(router))
	c := dialRaw(t, sc.addr)
	c.send("GET /stuck HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
	until(t, "a stuck route", func() bool { return router.stuck.Load() == 1 })
	c.send("3\r\ntwo\r\n0\r\n\r\n" + free)
	expectOK(t, c.response())
	expectBody(t, c.response(), "on time")
	if r := up.requests(); len(r) != 1 || r[0].body != "onetwo" || r[0].URL.Path != "/stuck" {
		t.Errorf("the upstream got %q", up.got())
	}
}

// More stuck routes than there are slots are not waited for.
func TestManyStuckRoutesCostTheNextRequestsNothing(t *testing.T) {
	router, option := newSticky(t, 50*time.Millisecond)
	sc := newSidecar(t, option)
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			if a := dialRaw(t, sc.addr).send(stuck).response(); a.body != "overdue" {
				t.Errorf("got %q", a.body)
			}
		})
	}
	clients.Wait()
	if n := router.stuck.Load(); n != 64 {
		t.Fatalf("%d stuck routes, want 64", n)
	}
	c := dialRaw(t, sc.addr)
	for range 100 {
		expectBody(t, c.send(stuck+free).response(), "overdue")
		expectBody(t, c.response(), "overdue")
	}
	if n := router.stuck.Load(); n != 64 {
		t.Errorf("%d stuck routes, want no more than 64", n)
	}
	router.let()
	until(t, "the late returns", func() bool { return router.returned.Load() == 64 })
	expectBody(t, c.send(free).response(), "on time")
}

func TestARouteThatReturnsAtItsLimitIsAnsweredOnce(t *testing.T) {
	const limit = 20 * time.Millisecond
	var late, inTime atomic.Int32
	router := asked{limit: limit, overdue: func() proxy.Decision { late.Add(1); return says("answer") }}
	router.route = func(r *proxy.Request) proxy.Decision {
		pause := time.NewTimer(limit + 5*time.Millisecond) // the limit is looked at every 10 to 20 ms
		defer pause.Stop()
		<-pause.C
		if r.InTime() {
			inTime.Add(1)
		}
		return says("answer")
	}
	sc := newSidecar(t, routed(router))
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			c := dialRaw(t, sc.addr)
			for range 20 {
				if a := c.send(free).response(); a.body != "answer" {
					t.Errorf("got %q", a.body)
				}
			}
			c.fin()
			c.expectEnd()
		})
	}
	clients.Wait()
	sc.rest(t)
	if n := late.Load() + inTime.Load(); n != 400 {
		t.Errorf("%d decisions for 400 requests", n)
	}
	if n := late.Load(); n == 0 || n == 400 {
		t.Logf("%d of 400 routes were late: the race was not met", n)
	}
}

func TestTheRouterThatWasAskedDecidesWhenItIsOverdue(t *testing.T) {
	router, option := newSticky(t, 50*time.Millisecond)
	sc := newSidecar(t, option)
	c := dialRaw(t, sc.addr).send(stuck)
	until(t, "a stuck route", func() bool { return router.stuck.Load() == 1 })
	sc.reroute(asked{
		route:   func(*proxy.Request) proxy.Decision { return says("new") },
		overdue: func() proxy.Decision { return says("not asked") },
	})
	expectBody(t, c.response(), "overdue")
	expectBody(t, c.send(stuck).response(), "new")
}

func TestAPanicOfTheRouterIsOneAnswer(t *testing.T) {
	for _, limit := range []time.Duration{0, patience} {
		hook, tapped := logged()
		router := asked{limit: limit, route: func(r *proxy.Request) proxy.Decision {
			if r.Path() == "/stuck" {
				panic("no idea")
			}
			return says("fine")
		}}
		sc := newSidecar(t, routed(router), tapped)
		c := dialRaw(t, sc.addr)
		expectFault(t, c.send(stuck).response(), http.StatusInternalServerError, "proxy_internal_error")
		expectBody(t, c.send(free).response(), "fine")
		e := hook.LastEntry()
		if e == nil || e.Data["panic"] != "no idea" || !strings.Contains(e.Data["stack"].(string), "stuck_test.go") {
			t.Errorf("the log says %v", e)
		}
	}
}

// A panic in what hangs on to an exchange ends its connections, and nothing else.
func TestAPanicIsContainedToItsConnection(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.request()
		<-c.gone
	})
	sc := newSidecar(t, to(up), policy(func(p *cluster.Policy) { p.Response = 50 * time.Millisecond }), func(s *setup) {
		s.options.OnFailure = func(*cluster.Backend, proxy.Failure) { panic("evidence of nothing") }
	})
	bystander := dialRaw(t, sc.addr)
	c := dialRaw(t, sc.addr).send(getRoot)
	if rest, err := c.rest(); rest != "" || err == nil {
		t.Errorf("the client got %q (%v), want a cut", rest, err)
	}
	sc.rest(t)
	until(t, "the end of the connection", func() bool { return sc.Clients() == 1 })
	if n := sc.cluster.Backends()[0].Counters().InFlight.Load(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
	_, _ = io.Copy(io.Discard, up.conn(0).nc)
	up.conn(0).close()
	if a := bystander.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").response(); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("another client got %s", a.Status)
	}
}

func TestABusyRouteDoesNotStallOtherConnections(t *testing.T) {
	spinning, answered := make(chan struct{}), new(atomic.Bool)
	router := asked{limit: patience, overdue: func() proxy.Decision { return says("overdue") }}
	router.route = func(r *proxy.Request) proxy.Decision {
		if r.Path() != "/stuck" {
			return says("on time")
		}
		close(spinning)
		for end := time.Now().Add(patience / 2); !answered.Load(); {
			if time.Now().After(end) {
				return says("in vain")
			}
		}
		return says("at last")
	}
	sc := newSidecar(t, routed(router))
	busy, other := dialRaw(t, sc.addr).send(stuck), dialRaw(t, sc.addr)
	<-spinning
	for range 10 {
		expectBody(t, other.send(free).response(), "on time")
	}
	answered.Store(true)
	expectBody(t, busy.response(), "at last")
}
