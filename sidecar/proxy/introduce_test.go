package proxy_test

import (
	"strings"
	"testing"
	"time"

	"outrider/sidecar/cause"
	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
	"outrider/sidecar/proxyproto"
)

// introduced makes the listener wait for PROXY protocol headers.
func introduced(s *setup) { s.awaits = true }

func sendProxy(v proxyproto.Version) option {
	return policy(func(p *cluster.Policy) { p.SendProxy = v })
}

const (
	introduction1 = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
	introduction2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x14\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb\x20\x00\x05\x01\x00\x00\x00\x00"
	local         = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

func TestAClientIsWhoTheProxyProtocolSaysThatItIs(t *testing.T) {
	for name, row := range map[string]struct{ header, ip string }{
		"1":           {introduction1, "192.0.2.1"},
		"1 of IPv6":   {"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1"},
		"1, unknown":  {"PROXY UNKNOWN\r\n", "127.0.0.1"},
		"2":           {introduction2, "192.0.2.1"},
		"2, local":    {local, "127.0.0.1"},
		"2, datagram": {strings.Replace(introduction2, "\x21\x11", "\x21\x12", 1), "127.0.0.1"},
	} {
		for pace, send := range map[string]func(*client, string){
			"at once": func(c *client, s string) { c.send(s) },
			"in two":  func(c *client, s string) { c.send(s[:len(row.header)]).send(s[len(row.header):]) },
			"byte by byte": func(c *client, s string) {
				for i := range s {
					c.send(s[i : i+1])
				}
			},
			"after a moment": func(c *client, s string) {
				c.send(s[:9])
				<-time.After(150 * time.Millisecond) // a task waits for less, and leaves the connection to the poller
				c.send(s[9:])
			},
		} {
			t.Run(name+" "+pace, func(t *testing.T) {
				app, seen := newUpstream(t, answers(ok)), make(chan string, 2)
				s := newSidecar(t, to(app), introduced, trusting, func(s *setup) {
					s.settings.OnDone = func(d *proxy.Summary) { seen <- d.Client() + " " + d.Request.IP() }
				})
				c := dialRaw(t, s.addr)
				send(c, row.header+getRoot)
				expectOK(t, c.response())
				expectOK(t, c.send(getRoot).response())
				for i, r := range app.requests() {
					if got := r.Header.Get("X-Forwarded-For"); got != row.ip {
						t.Errorf("request %d is forwarded for %q", i, got)
					}
					if got := heard(t, seen); got != row.ip+" "+row.ip {
						t.Errorf("request %d is accounted to %q", i, got)
					}
				}
			})
		}
	}
}

func TestWhoIsIntroducedIsTrustedByItsOwnAddress(t *testing.T) {
	for address, want := range map[string]string{"192.0.2.1": "192.0.2.1", "127.0.0.9": "203.0.113.7, 127.0.0.9"} {
		app := newUpstream(t, answers(ok))
		s := newSidecar(t, to(app), introduced, trusting)
		c := dialRaw(t, s.addr).send("PROXY TCP4 " + address + " 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
		expectOK(t, c.response())
		if got := app.requests()[0].Header.Get("X-Forwarded-For"); got != want {
			t.Errorf("from %s it is forwarded for %q, want %q", address, got, want)
		}
	}
}

func TestWhoIsNotIntroducedIsRefusedAndLoggedOnce(t *testing.T) {
	short := func(s *setup) { s.settings.Limits.HeadTimeout = 100 * time.Millisecond }
	for name, row := range map[string]struct {
		says    string
		end     bool
		options []option
		reason  string
	}{
		"a request":             {getRoot, false, []option{trusting}, "no PROXY protocol header: the connection begins with something else"},
		"garbage":               {"PROXY TCP5 ", true, []option{trusting}, "the connection has ended inside its PROXY protocol header"},
		"a broken header":       {"PROXY TCP4 a b 1 2\r\n" + getRoot, false, []option{trusting}, `"a" is no address of that family`},
		"one that is too long":  {"PROXY UNKNOWN " + strings.Repeat("x", 200), false, []option{trusting}, "longer than 107 bytes"},
		"half a header":         {introduction2[:20], true, []option{trusting}, "the connection has ended inside its PROXY protocol header"},
		"half a header, slowly": {introduction2[:20], false, []option{trusting, short}, "its PROXY protocol header is not whole: timeout"},
		"a stranger":            {introduction1 + getRoot, false, nil, "it is none of the trusted_proxies"},
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, answers(ok))
			hook, log := logged()
			s := newSidecar(t, append(row.options, to(app), introduced, log)...)
			for range 2 {
				c := dialRaw(t, s.addr).send(row.says)
				if row.end {
					c.fin()
				}
				c.expectGone()
			}
			until(t, "nobody to be left", func() bool { return s.Clients() == 0 })
			entries := hook.AllEntries()
			if len(entries) != 1 || !strings.Contains(entries[0].Data["reason"].(string), row.reason) ||
				entries[0].Data["client"] != "127.0.0.1" || entries[0].Data["listener"] != "test" {
				t.Errorf("the log says %v", entries)
			}
			if n := s.Counts().Unintroduced; n != 2 || app.accepted() > 0 {
				t.Errorf("%d are counted, and the upstream got %q", n, app.got())
			}
		})
	}
}

func TestALookAtThePortIsNoFaultAndSilenceEnds(t *testing.T) {
	hook, log := logged()
	s := newSidecar(t, introduced, trusting, log, func(s *setup) { s.settings.Limits.HeadTimeout = 100 * time.Millisecond })
	silent := dialRaw(t, s.addr)
	dialRaw(t, s.addr).close()
	silent.expectGone()
	until(t, "nobody to be left", func() bool { return s.Clients() == 0 })
	if entries := hook.AllEntries(); len(entries) != 0 || s.Counts().Unintroduced != 0 {
		t.Errorf("the log says %v", entries)
	}
}

func TestWhoIsAwaitedDoesNotKeepTheSidecar(t *testing.T) {
	s := newSidecar(t, introduced, trusting)
	silent := dialRaw(t, s.addr)
	until(t, "the client to be there", func() bool { return s.Clients() == 1 })
	s.Close(s.listener)
	silent.expectGone()
}

// expectGone reads to the end of a connection that gets no answer.
func (c *client) expectGone() {
	c.t.Helper()
	c.patient()
	if b, err := c.in.ReadByte(); err == nil || cause.Timeout(err) {
		c.t.Errorf("client got %q (%v), want the end", b, err)
	}
}

// introducing answers requests on connections that begin with a header of version 1,
// and tells those.
func introducing(headers chan<- string) script {
	return func(c *far) {
		if _, err := c.in.Peek(1); err == nil {
			headers <- c.readUntil("\r\n")
		}
		for c.request() != nil {
			c.write(ok)
		}
	}
}

func heard(t *testing.T, headers <-chan string) string {
	t.Helper()
	select {
	case h := <-headers:
		return h
	case <-time.After(patience):
		t.Fatal("no connection was introduced")
		return ""
	}
}

func TestABackendIsToldWhoTheClientIs(t *testing.T) {
	headers := make(chan string, 10)
	app := newUpstream(t, introducing(headers))
	s := newSidecar(t, to(app), sendProxy(proxyproto.V1))
	one, two := dialRaw(t, s.addr), dialRaw(t, s.addr)
	for range 2 {
		for _, c := range []*client{one, two} {
			expectOK(t, c.send(getRoot).response())
		}
	}
	if app.accepted() != 2 {
		t.Errorf("%d connections for two clients, each with two requests", app.accepted())
	}
	for _, c := range []*client{one, two} {
		from, at, _ := strings.Cut(strings.ReplaceAll(c.nc.LocalAddr().String()+" "+s.addr, ":", " "), " 127")
		ip, port, _ := strings.Cut(from, " ")
		_, its, _ := strings.Cut(at, " ")
		if got, want := heard(t, headers), "PROXY TCP4 "+ip+" 127.0.0.1 "+port+" "+its+"\r\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWhoWasIntroducedIsIntroducedOn(t *testing.T) {
	headers := make(chan string, 10)
	app := newUpstream(t, introducing(headers))
	s := newSidecar(t, to(app), sendProxy(proxyproto.V1), introduced, trusting)
	for _, header := range []string{introduction2, introduction1, "PROXY TCP4 192.0.2.1 192.0.2.2 56324 444\r\n"} {
		c := dialRaw(t, s.addr).send(header + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		expectOK(t, c.response())
		c.expectEnd() // the connection to the backend was given back before
	}
	if first, other := heard(t, headers), heard(t, headers); first != introduction1 || other != "PROXY TCP4 192.0.2.1 192.0.2.2 56324 444\r\n" {
		t.Errorf("%q, then %q", first, other)
	}
	if len(headers) > 0 {
		t.Error("a connection was not used again for the same client")
	}
}

func TestAConnectionWithoutIntroductionIsNotForThoseWhoNeedOne(t *testing.T) {
	headers := make(chan string, 10)
	app := newUpstream(t, func(c *far) {
		if first, err := c.in.Peek(1); err == nil && first[0] == 'P' {
			headers <- c.readUntil("\r\n")
		}
		for c.request() != nil {
			c.write(ok)
		}
	})
	s := newSidecar(t, to(app))
	c := dialRaw(t, s.addr)
	turn := func(v proxyproto.Version, connections, introductions int) {
		t.Helper()
		next := *s.cluster.Policy()
		next.SendProxy = v
		s.cluster.SetPolicy(&next)
		expectOK(t, c.send(getRoot).response())
		if app.accepted() != connections || len(headers) != introductions {
			t.Errorf("%d connections, %d of them introduced", app.accepted(), len(headers))
		}
	}
	turn(proxyproto.None, 1, 0)
	turn(proxyproto.V1, 2, 1)
	turn(proxyproto.None, 2, 1)
	turn(proxyproto.V1, 2, 1)
}
