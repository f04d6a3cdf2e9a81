package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// shutDown begins to end the sidecar, with so much time for what is under way.
func shutDown(t *testing.T, sc *sidecar, grace time.Duration) (over <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	t.Cleanup(cancel)
	done := make(chan struct{})
	go func() {
		defer close(done)
		sc.Shutdown(ctx)
	}()
	return done
}

func TestShutdownClosesIdleConnectionsAtOnce(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up))
	fresh, used := dialRaw(t, sc.addr), dialRaw(t, sc.addr)
	expectOK(t, used.send(getRoot).response())
	until(t, "both clients", func() bool { return sc.Clients() == 2 })
	sc.rest(t)
	over := shutDown(t, sc, patience)
	fresh.expectEnd()
	used.expectEnd()
	<-over
	up.conn(0).expectGone()
	if nc, err := net.Dial("tcp", sc.addr); err == nil {
		_ = nc.Close()
		t.Error("a new connection was accepted")
	}
}

func TestShutdownLetsExchangesEnd(t *testing.T) {
	answer := make(chan struct{})
	up := newWaiting(t, answer)
	sc := newSidecar(t, to(up))
	idle := dialRaw(t, sc.addr)
	busy := dialRaw(t, sc.addr).send(getRoot + getRoot)
	up.conn(0)
	until(t, "both clients", func() bool { return sc.Clients() == 2 })
	over := shutDown(t, sc, patience)
	idle.expectEnd()
	close(answer)
	a := busy.response()
	expectOK(t, a)
	if !a.Close {
		t.Error("the response does not say that the connection ends")
	}
	busy.expectEnd()
	<-over
	up.conn(0).expectGone()
	if n := len(up.requests()); n != 1 {
		t.Errorf("the upstream got %d requests, want only the one that was under way", n)
	}
}

func TestDrainAsksClientsToLeaveAndLetsThemComeBack(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up))
	old := dialRaw(t, sc.addr)
	expectOK(t, old.send(getRoot).response())
	sc.Drain()
	for _, c := range []*client{old, dialRaw(t, sc.addr)} {
		a := c.send(getRoot).response()
		if expectOK(t, a); !a.Close {
			t.Error("the response does not say that the connection ends")
		}
		c.expectEnd()
	}
}

// A client that was answered a moment ago may have its next request on the way. This
// machine may be busy for longer than a moment, so there are some tries.
func TestShutdownAnswersWhatWasOnItsWay(t *testing.T) {
	up := newUpstream(t, answers(ok))
	for range 10 {
		sc := newSidecar(t, to(up))
		used, fresh := dialRaw(t, sc.addr), dialRaw(t, sc.addr)
		expectOK(t, used.send(getRoot).response())
		until(t, "both clients", func() bool { return sc.Clients() == 2 })
		over := shutDown(t, sc, patience)
		until(t, "nobody is let in any more", func() bool {
			nc, err := net.Dial("tcp", sc.addr)
			if err == nil {
				_ = nc.Close()
			}
			return err != nil
		})
		first, errFirst := used.send(getRoot).rest()
		second, errSecond := fresh.send(getRoot).rest()
		<-over
		last := func(answer string) bool {
			return strings.Contains(answer, "200 OK") && strings.Contains(answer, "Connection: close")
		}
		if errFirst == nil && errSecond == nil && last(first) && last(second) {
			return
		}
		t.Logf("they got %q (%v) and %q (%v)", first, errFirst, second, errSecond)
	}
	t.Error("whoever was about to send is not answered")
}

func TestShutdownLetsABodyEnd(t *testing.T) {
	rest := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
		c.await(rest)
		c.write("ok")
	})
	sc := newSidecar(t, to(up))
	idle := dialRaw(t, sc.addr)
	until(t, "the client", func() bool { return sc.Clients() == 1 })
	c := dialRaw(t, sc.addr).send(getRoot)
	c.head()
	over := shutDown(t, sc, patience)
	idle.expectEnd()
	close(rest)
	c.expect("okok")
	c.expectEnd() // its head could not say so any more
	<-over
}

func TestShutdownLetsATunnelLiveUntilItEnds(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write(upgraded)
		c.readUntil("more")
		c.write("answer")
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send(upgrading)
	c.head()
	over := shutDown(t, sc, patience)
	until(t, "nobody is let in any more", func() bool {
		nc, err := net.Dial("tcp", sc.addr)
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	})
	c.send("more").expect("answer")
	select {
	case <-over:
		t.Error("the sidecar has ended before the tunnel")
	default:
	}
	c.close()
	<-over
}

func TestShutdownCutsOffWhatTakesTooLong(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		switch head := c.readUntil("\r\n\r\n"); {
		case strings.Contains(head, "Upgrade"):
			c.write(upgraded)
		case strings.Contains(head, "/body"):
			c.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
		}
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up))
	requests := map[string]string{
		"a response head": getRoot,
		"a body":          "GET /body HTTP/1.1\r\nHost: a\r\n\r\n",
		"an upload":       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello",
		"a tunnel":        upgrading,
		"a head":          "GET / HTTP/1.1\r\nHost",
	}
	clients := make(map[string]*client)
	for name, request := range requests {
		clients[name] = dialRaw(t, sc.addr).send(request)
	}
	clients["a body"].head()
	clients["a tunnel"].head()
	until(t, "all of them", func() bool { return up.accepted() == 4 && sc.Active() == 5 })
	<-shutDown(t, sc, 100*time.Millisecond)
	for name, c := range clients {
		if rest, err := c.rest(); strings.HasPrefix(rest, "HTTP/1.1 2") {
			t.Errorf("who waited for %s got %q and then %v", name, rest, err)
		}
	}
	for i := range up.accepted() {
		up.conn(i).expectGone()
	}
	if sc.Clients() != 0 || sc.Active() != 0 {
		t.Errorf("there are still %d clients and %d exchanges", sc.Clients(), sc.Active())
	}
}

func TestShutdownDoesNotWaitForAStuckRoute(t *testing.T) {
	router, option := newSticky(t, 20*time.Millisecond)
	sc := newSidecar(t, option)
	c := dialRaw(t, sc.addr)
	expectBody(t, c.send(stuck).response(), "overdue")
	over := shutDown(t, sc, 50*time.Millisecond)
	c.expectEnd()
	<-over
	router.let()
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("a sidecar at work", func(t *testing.T) {
		up := newUpstream(t, answers(ok))
		sc := newSidecar(t, to(up), at(refusing(t)))
		for range 3 {
			c := dialRaw(t, sc.addr).send(getRoot + postHello)
			expectOK(t, c.response())
			expectOK(t, c.response())
		}
		echo := newSidecar(t, at(serving(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })))
		a := echo.ask(t, "POST / HTTP/1.1\r\nHost: a\r\n"+lengthOf(strings.Repeat("x", 1<<20)))
		if len(a.body) != 1<<20 {
			t.Errorf("%d bytes came back", len(a.body))
		}
	})
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
