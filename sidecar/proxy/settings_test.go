package proxy_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"outrider/sidecar/proxy"
)

// changed are the usual settings with a change.
func changed(change func(*proxy.Settings)) *proxy.Settings {
	s := usualSettings()
	change(&s)
	return &s
}

func TestSettingsChangeForTheNextRequestOfAConnection(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr)
	get := "GET //a HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n"
	expectOK(t, c.send(get).response())
	if head := up.requests()[0].raw; strings.Contains(head, "X-Request-Id: mine") || !strings.Contains(head, "sidecar-under-test") {
		t.Errorf("before: %q", head)
	}
	sc.Set(changed(func(s *proxy.Settings) {
		s.Name, s.Trusted = "renamed", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}))
	expectOK(t, c.send(get).response())
	if head := up.requests()[1].raw; !strings.Contains(head, "X-Request-Id: mine") || !strings.Contains(head, "1.1 renamed") {
		t.Errorf("after: %q", head)
	}
	sc.Set(changed(func(s *proxy.Settings) { s.RefuseAmbiguousPaths, s.Limits.Fields = true, 3 }))
	if a := c.send(get).response(); a.StatusCode != 400 {
		t.Errorf("an ambiguous path is answered %d", a.StatusCode)
	}
	if a := c.send("GET /a HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n").response(); a.StatusCode != 431 {
		t.Errorf("a fourth field is answered %d", a.StatusCode)
	}
}

func TestAListenerTakesNewTerms(t *testing.T) {
	sc := newSidecar(t)
	c := dialRaw(t, sc.addr)
	named := asked{route: func(r *proxy.Request) proxy.Decision { return says(r.Listener()) }}
	for _, name := range []string{"first", "second"} {
		terms := sc.listener.Terms()
		terms.Name, terms.Router = name, named
		sc.listener.Set(terms)
		expectBody(t, c.send(getRoot).response(), name)
	}
}

func TestAListenerThatClosesLetsExchangesEndAndTouchesNoOther(t *testing.T) {
	answer := make(chan struct{})
	up := newWaiting(t, answer)
	sc := newSidecar(t, to(up))
	ln := listen(t)
	other := sc.another(t, ln)
	served := make(chan error, 1)
	go func() { served <- sc.Serve(ln, other) }()
	idle, busy := dialRaw(t, ln.Addr().String()), dialRaw(t, ln.Addr().String()).send(getRoot)
	stays := dialRaw(t, sc.addr)
	up.conn(0)
	until(t, "all clients", func() bool { return sc.Clients() == 3 })
	sc.Close(other)
	idle.expectEnd()
	if err := <-served; err != nil {
		t.Errorf("Serve ends with %v", err)
	}
	if nc, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		_ = nc.Close()
		t.Error("a new connection was accepted")
	}
	close(answer)
	a := busy.response()
	expectOK(t, a)
	if !a.Close {
		t.Error("the response does not say that the connection ends")
	}
	busy.expectEnd()
	sc.reroute(asked{route: func(*proxy.Request) proxy.Decision { return says("still here") }})
	expectBody(t, stays.send(getRoot).response(), "still here")
}

func TestAConnectionThatIsIdleLaterThanItsListenerClosesSoon(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
		c.readUntil("go on")
		c.write("ok")
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
	c.head() // that says nothing of an end
	began := time.Now()
	sc.Close(sc.listener)
	c.send("go on")
	c.expect("okok")
	c.expectEnd()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it lasted for %v", took)
	}
}
