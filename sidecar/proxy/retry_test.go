package proxy_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"outrider/sidecar/cause"
	"outrider/sidecar/cluster"
)

const (
	getRoot   = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	postHello = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	putHello  = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
)

// expectFault wants an answer of the sidecar's own.
func expectFault(t testing.TB, a *answer, status int, typ string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.Header.Get("Proxy-Status"), "error="+typ) {
		t.Fatalf("got %s with Proxy-Status %q and body %q, want %d because of %s",
			a.Status, a.Header.Get("Proxy-Status"), a.body, status, typ)
	}
}

func expectOK(t *testing.T, a *answer) {
	t.Helper()
	if a.StatusCode != http.StatusOK || a.body != "ok" || a.err != nil {
		t.Fatalf("got %s with body %q (%v), want the backend's 200", a.Status, a.body, a.err)
	}
}

func TestARefusedConnectionIsTriedOnAnotherBackend(t *testing.T) {
	for _, request := range []string{getRoot, postHello, putHello} {
		method, _, _ := strings.Cut(request, " ")
		t.Run(method, func(t *testing.T) {
			up, told := newUpstream(t, answers(ok)), new(failures)
			sc := newSidecar(t, at(refusing(t)), to(up), told.option())
			for range 4 {
				expectOK(t, sc.ask(t, request))
			}
			if n := len(told.all()); n == 0 || told.distinct() != 1 {
				t.Errorf("OnFailure was called %d times for %d backends, want one backend", n, told.distinct())
			}
			for _, err := range told.all() {
				if !errors.Is(err, syscall.ECONNREFUSED) || cause.Of(err, 0) != "refused" {
					t.Errorf("OnFailure got %v (%s)", err, cause.Of(err, 0))
				}
			}
			for _, r := range up.requests() {
				if want := strings.Repeat("hello", strings.Count(request, "hello")); r.body != want {
					t.Errorf("the other backend got the body %q, want %q", r.body, want)
				}
			}
		})
	}
}

func TestEachBackendIsTriedAtMostOnce(t *testing.T) {
	told := new(failures)
	sc := newSidecar(t, at(refusing(t), refusing(t), refusing(t)), retries(7), told.option())
	expectFault(t, sc.ask(t, getRoot), http.StatusBadGateway, "connection_refused")
	if n := len(told.all()); n != 3 || told.distinct() != 3 {
		t.Errorf("%d tries on %d backends, want one on each of 3", n, told.distinct())
	}
}

func TestRetriesAreBounded(t *testing.T) {
	for _, bound := range []int{0, 1, 2} {
		told := new(failures)
		sc := newSidecar(t, at(refusing(t), refusing(t), refusing(t), refusing(t)), retries(bound), told.option())
		expectFault(t, sc.ask(t, postHello), http.StatusBadGateway, "connection_refused")
		if n := len(told.all()); n != bound+1 {
			t.Errorf("%d tries, want the first and %d more", n, bound)
		}
	}
}

func TestCountersTellWhoFailedTheClientAndWhoWasReplaced(t *testing.T) {
	sum := func(sc *sidecar) (requests, retried, failures uint64, inFlight int64) {
		for _, b := range sc.cluster.Backends() {
			c := b.Counters()
			requests, retried, failures = requests+c.Requests.Load(), retried+c.Retried.Load(), failures+c.Failures.Load()
			inFlight += c.InFlight.Load()
		}
		return requests, retried, failures, inFlight
	}
	sc := newSidecar(t, at(refusing(t), refusing(t), refusing(t)), retries(7))
	expectFault(t, sc.ask(t, getRoot), http.StatusBadGateway, "connection_refused")
	if requests, retried, failures, inFlight := sum(sc); requests != 3 || retried != 2 || failures != 1 || inFlight != 0 {
		t.Errorf("%d requests, %d retried, %d failures, %d in flight; want 3, 2, 1, 0", requests, retried, failures, inFlight)
	}
	sc = newSidecar(t, at(refusing(t)), to(newUpstream(t, answers(ok))))
	for range 2 {
		expectOK(t, sc.ask(t, getRoot))
	}
	if requests, retried, failures, inFlight := sum(sc); requests != 2+retried || retried == 0 || failures != 0 || inFlight != 0 {
		t.Errorf("%d requests, %d retried, %d failures, %d in flight; want no failures and 2 requests beside the retried", requests, retried, failures, inFlight)
	}
}

func TestAConnectionThatIsNotMadeInTimeIsAGatewayTimeout(t *testing.T) {
	told := new(failures)
	sc := newSidecar(t, at(deaf(t)), told.option(), policy(func(p *cluster.Policy) { p.Connect = 100 * time.Millisecond }))
	expectFault(t, sc.ask(t, getRoot), http.StatusGatewayTimeout, "connection_timeout")
	if errs := told.all(); len(errs) != 1 || !isTimeout(errs[0]) || cause.Of(errs[0], 0) != "timeout" {
		t.Errorf("OnFailure got %v, want one timeout", errs)
	}
}

func TestATimeoutOfTheConnectionIsTriedOnAnotherBackend(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, at(deaf(t)), to(up), policy(func(p *cluster.Policy) { p.Connect = 100 * time.Millisecond }))
	for range 2 {
		expectOK(t, sc.ask(t, postHello))
	}
}

// once answers one request, and ends the connection in the middle of the next.
func once(end func(c *far)) script {
	return func(c *far) {
		c.request()
		c.write(ok)
		if c.request() != nil {
			end(c)
		}
	}
}

func TestAConnectionThatWentStaleIsReplacedWhereThatDoesNoHarm(t *testing.T) {
	ends := map[string]func(*far){
		"FIN": func(c *far) { c.close() },
		"RST": func(c *far) { c.reset() },
	}
	for name, end := range ends {
		for _, request := range []string{getRoot, putHello} {
			t.Run(name+" "+request[:3], func(t *testing.T) {
				up := newUpstream(t, once(end))
				sc := newSidecar(t, to(up))
				expectOK(t, sc.ask(t, getRoot))
				expectOK(t, sc.ask(t, request))
				if n := up.accepted(); n != 2 {
					t.Errorf("%d connections, want a fresh one after the stale one", n)
				}
			})
		}
		t.Run(name+" POST", func(t *testing.T) {
			up, told := newUpstream(t, once(end)), new(failures)
			sc := newSidecar(t, to(up), told.option())
			expectOK(t, sc.ask(t, getRoot))
			expectFault(t, sc.ask(t, postHello), http.StatusBadGateway, "http_response_incomplete")
			if n := len(up.requests()); n != 2 {
				t.Errorf("the upstream got %d requests: the POST was sent again", n)
			}
			if errs := told.all(); len(errs) != 0 {
				t.Errorf("OnFailure got %v: a used connection that ends says nothing about the backend", errs)
			}
		})
	}
}

// Both idle connections would break the request: so what replaces the first must
// not be the second.
func TestAReplacementOfAStaleConnectionIsFresh(t *testing.T) {
	both := make(chan struct{}, 2)
	up := newUpstream(t, func(c *far) {
		c.request()
		both <- struct{}{}
		until(t, "two requests at a time", func() bool { return len(both) == 2 || c.t.Context().Err() != nil })
		c.write(ok)
		c.request()
	})
	sc := newSidecar(t, to(up))
	first, second := dialRaw(t, sc.addr).send(getRoot), dialRaw(t, sc.addr).send(getRoot)
	expectOK(t, first.response())
	expectOK(t, second.response())
	<-both
	expectOK(t, sc.ask(t, getRoot))
	if n := up.accepted(); n != 3 {
		t.Errorf("%d connections, want a third", n)
	}
}

func TestABackendWithAStaleConnectionIsStillAskedWhenTheOthersFail(t *testing.T) {
	up := newUpstream(t, once(func(c *far) { c.close() }))
	sc := newSidecar(t, to(up), at(refusing(t)), retries(3))
	for range 6 {
		expectOK(t, sc.ask(t, getRoot))
	}
}

func TestAnIdleConnectionThatHasEndedIsNotUsed(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.request()
		c.write(ok)
	})
	sc := newSidecar(t, to(up))
	for i := range 3 {
		expectOK(t, sc.ask(t, postHello))
		up.conn(i).expectGone()
	}
	if n := len(up.requests()); n != 3 {
		t.Errorf("the upstream got %d requests, want 3", n)
	}
}

func TestAFreshConnectionThatEndsIsTriedElsewhereOnly(t *testing.T) {
	quits := func(c *far) { c.request() }
	t.Run("no other", func(t *testing.T) {
		up := newUpstream(t, quits)
		sc := newSidecar(t, to(up), retries(3))
		expectFault(t, sc.ask(t, getRoot), http.StatusBadGateway, "http_response_incomplete")
		if n := up.accepted(); n != 1 {
			t.Errorf("%d connections to the only backend, want 1", n)
		}
	})
	t.Run("another", func(t *testing.T) {
		bad, good := newUpstream(t, quits), newUpstream(t, answers(ok))
		sc := newSidecar(t, to(bad, good))
		for range 2 {
			expectOK(t, sc.ask(t, getRoot))
		}
		if n := bad.accepted(); n != 1 {
			t.Errorf("the bad backend was tried %d times, want 1", n)
		}
	})
}

func TestAResponseThatHasBegunIsNeverAskedForAgain(t *testing.T) {
	for _, begun := range []string{"H", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 103 Early Hints\r\n\r\n"} {
		up := newUpstream(t, func(c *far) {
			c.request()
			c.write(begun)
		})
		other := newUpstream(t, answers(ok))
		sc := newSidecar(t, to(up))
		c := dialRaw(t, sc.addr).send(getRoot)
		a := c.response()
		if a.StatusCode == http.StatusEarlyHints {
			a = c.response()
		}
		expectFault(t, a, http.StatusBadGateway, "http_response_incomplete")
		if up.accepted() != 1 || other.accepted() != 0 {
			t.Errorf("after %q the request was sent again", begun)
		}
	}
}

func TestABodyThatIsNotWholeAnyMoreIsNotSentAgain(t *testing.T) {
	const size = 100 << 10 // more than is kept
	up := newUpstream(t, func(c *far) {
		if first := c.request(); first != nil && first.Method == http.MethodGet {
			c.write(ok)
			_, _ = io.CopyN(io.Discard, c.in, size) // and then ends, on the stale connection
			return
		}
		c.write(ok)
	})
	sc := newSidecar(t, to(up))
	expectOK(t, sc.ask(t, getRoot))
	a := sc.ask(t, "PUT / HTTP/1.1\r\nHost: a\r\n"+lengthOf(strings.Repeat("x", size)))
	expectFault(t, a, http.StatusBadGateway, "http_response_incomplete")
	if n := up.accepted(); n != 1 {
		t.Errorf("%d connections, want 1: the body was not whole any more", n)
	}
}

func TestAStreamedBodyThatIsStillWholeIsSentAgain(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		if first := c.request(); first != nil && first.Method == http.MethodGet {
			c.write(ok)
			c.readUntil("one\r\n")
			return
		}
		c.write(ok)
	})
	sc := newSidecar(t, to(up))
	expectOK(t, sc.ask(t, getRoot))
	c := dialRaw(t, sc.addr).send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
	up.conn(0).expectGone()
	c.send("3\r\ntwo\r\n0\r\n\r\n")
	expectOK(t, c.response())
	requests := up.requests()
	if last := requests[len(requests)-1]; last.body != "onetwo" || up.accepted() != 2 {
		t.Errorf("the second connection (of %d) brought %q, want the whole body", up.accepted(), last.body)
	}
}

func TestASilentBackendIsAGatewayTimeoutAndEvidence(t *testing.T) {
	told := new(failures)
	up := newUpstream(t, func(c *far) { _ = c.awaitClose() })
	sc := newSidecar(t, to(up), retries(3), told.option(), policy(func(p *cluster.Policy) { p.Response = 100 * time.Millisecond }))
	c := dialRaw(t, sc.addr)
	for range 2 {
		expectFault(t, c.send(getRoot).response(), http.StatusGatewayTimeout, "http_response_timeout")
	}
	if errs := told.all(); len(errs) != 2 || cause.Of(errs[0], 0) != "timeout" {
		t.Errorf("OnFailure got %v, want a timeout for each request", errs)
	}
	if n := up.accepted(); n != 2 {
		t.Errorf("%d connections, want 2: silence is no reason to ask again, and no connection to use again", n)
	}
}

func TestNoUsableBackendIsServiceUnavailable(t *testing.T) {
	check := func(t *testing.T, sc *sidecar, total string) {
		t.Helper()
		a := sc.ask(t, getRoot)
		expectFault(t, a, http.StatusServiceUnavailable, "destination_unavailable")
		if a.Header.Get("Retry-After") != "1" || !strings.Contains(a.body, "cluster app") || !strings.Contains(a.body, total) {
			t.Errorf("got Retry-After %q and body %q", a.Header.Get("Retry-After"), a.body)
		}
	}
	t.Run("none at all", func(t *testing.T) { check(t, newSidecar(t), "0 of 0") })
	t.Run("all down", func(t *testing.T) {
		up := newUpstream(t, answers(ok))
		sc := newSidecar(t, to(up))
		sc.cluster.SetState(up.addr, cluster.Down)
		check(t, sc, "0 of 1")
		if up.accepted() != 0 {
			t.Error("a backend that is down was asked")
		}
	})
}

func TestWhatTheClientDidIsNoEvidenceAboutTheBackend(t *testing.T) {
	told := new(failures)
	up := newUpstream(t, func(c *far) { _ = c.awaitClose() })
	sc := newSidecar(t, to(up), told.option())
	broken := "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
	c := dialRaw(t, sc.addr).send(broken)
	up.conn(0)
	c.send("no size\r\n")
	expectFault(t, c.response(), http.StatusBadRequest, "http_request_error")
	c = dialRaw(t, sc.addr).send(getRoot)
	up.conn(1)
	c.reset()
	up.conn(1).expectGone()
	until(t, "the end of the exchange", func() bool { return sc.Active() == 0 })
	if errs := told.all(); len(errs) != 0 {
		t.Errorf("OnFailure got %v", errs)
	}
	if counters := sc.cluster.Backends()[0].Counters(); counters.Failures.Load()+counters.Retried.Load() != 0 {
		t.Errorf("%d failures and %d retries are blamed on the backend", counters.Failures.Load(), counters.Retried.Load())
	}
}

// Without a descriptor left no connection can be made; the backend is not to
// blame.
func TestOurOwnTroubleIsNoEvidenceAboutTheBackend(t *testing.T) {
	told := new(failures)
	hook, log := logged()
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up), told.option(), log)
	c := dialRaw(t, sc.addr)
	until(t, "the client", func() bool { return sc.Clients() == 1 })
	restore := exhaustDescriptors(t)
	a := c.send(getRoot).response()
	restore()
	expectFault(t, a, http.StatusBadGateway, "proxy_internal_error")
	if errs := told.all(); len(errs) != 0 {
		t.Errorf("OnFailure got %v", errs)
	}
	if e := hook.LastEntry(); e == nil || e.Data["reason"] != "too many open files" {
		t.Errorf("the log says %v", e)
	}
	expectOK(t, c.send(getRoot).response())
}

// exhaustDescriptors leaves the process no descriptor, until it is restored.
func exhaustDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	next, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Close(next)
	none := syscall.Rlimit{Cur: uint64(next), Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	var taken []int // what has become free below the limit meanwhile
	for {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	restore = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
		for _, fd := range taken {
			_ = syscall.Close(fd)
		}
		taken = nil
	}
	t.Cleanup(restore)
	return restore
}
