package proxy_test

import (
	"slices"
	"strings"
	"testing"

	"outrider/sidecar/proxy"
)

// deciding makes a router of one decision, for the cluster of the test's upstreams.
func deciding(d proxy.Decision) option {
	return func(s *setup) {
		d.Cluster = newCluster("app", s.policy, s.backends...)
		s.router = decided{d}
	}
}

func TestARouterEditsTheRequest(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app), trusting, deciding(proxy.Decision{
		Path: "/new", RequestHeaders: []proxy.HeaderEdit{
			{Name: "x-a", Values: []string{"edited"}}, {Name: "Cookie"}, {Name: "X-New", Values: []string{"1"}}, {Name: "host", Values: []string{"other.example"}},
			{Name: "X-Forwarded-For"}, {Name: "x-forwarded-proto", Values: []string{"https"}}, {Name: "X-Request-ID", Values: []string{"mine"}},
		},
	}))
	s.exchange(t, "POST /old?b=c HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nCookie: u=1\r\nX-B: 2\r\nX-a: 3\r\nX-Forwarded-For: 192.0.2.1\r\nX-Request-Id: theirs\r\nConnection: X-B\r\nContent-Length: 2\r\n\r\nhi")
	want := "POST /new?b=c HTTP/1.1\r\nHost: other.example\r\nX-Forwarded-Host: a\r\nVia: 1.1 sidecar-under-test\r\n" +
		"x-a: edited\r\nX-New: 1\r\nx-forwarded-proto: https\r\nX-Request-ID: mine\r\nContent-Length: 2\r\n\r\nhi"
	if got := app.requests()[0].raw; got != want {
		t.Errorf("the upstream got\n%q, want\n%q", got, want)
	}
}

func TestARouterRewritesThePathAndKeepsTheQueryUnlessItBringsOne(t *testing.T) {
	for _, c := range []struct{ path, target, want string }{
		{"/new", "/old", "/new"}, {"/new", "/old?", "/new?"}, {"/new", "/old?a=b", "/new?a=b"}, {"/new?c=d", "/old?a=b", "/new?c=d"},
		{"/new?", "/old?a=b", "/new?"}, {"", "/old?a=b", "/old?a=b"}, {"/n", "http://a/old?a=b", "/n?a=b"},
	} {
		app := newUpstream(t, answers(ok))
		s := newSidecar(t, to(app), deciding(proxy.Decision{Path: c.path}))
		s.exchange(t, "GET "+c.target+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if got, _, _ := strings.Cut(app.requests()[0].raw, " HTTP/1.1\r\n"); got != "GET "+c.want {
			t.Errorf("%s of %s: %q, want %s", c.path, c.target, got, c.want)
		}
	}
}

func TestARouterEditsTheResponse(t *testing.T) {
	app := newUpstream(t, answers("HTTP/1.1 200 OK\r\nServer: app\r\nX-A: 1\r\nSet-Cookie: theirs=1\r\nX-Hop: 1\r\nConnection: X-Hop\r\nDate: then\r\nContent-Length: 2\r\n\r\nok"))
	s := newSidecar(t, to(app), deciding(proxy.Decision{ResponseHeaders: []proxy.HeaderEdit{
		{Name: "server"}, {Name: "x-a", Values: []string{"2", "3"}}, {Name: "Set-Cookie", Values: []string{"ours=1", "ours=2"}}, {Name: "X-Hop", Values: []string{"edited"}},
	}}))
	got := fieldsOf(dialRaw(t, s.addr).send(get("")).head())
	want := []string{"Set-Cookie: theirs=1", "Date: then", "x-a: 2", "x-a: 3", "Set-Cookie: ours=1", "Set-Cookie: ours=2", "X-Hop: edited", "Content-Length: 2"}
	if !slices.Equal(got, want) {
		t.Errorf("the client got %q, want %q", got, want)
	}
}

func TestARouterRemovesCookiesThatTheBackendSets(t *testing.T) {
	app := newUpstream(t, answers("HTTP/1.1 200 OK\r\nSet-Cookie: theirs=1\r\nContent-Length: 2\r\n\r\nok"))
	s := newSidecar(t, to(app), deciding(proxy.Decision{ResponseHeaders: []proxy.HeaderEdit{{Name: "set-cookie"}, {Name: "Date", Values: []string{"now"}}}}))
	if got, want := fieldsOf(dialRaw(t, s.addr).send(get("")).head()), []string{"Date: now", "Content-Length: 2"}; !slices.Equal(got, want) {
		t.Errorf("the client got %q, want %q", got, want)
	}
}

func TestWhatARouterMayNotWriteIsRefusedByTheProxyToo(t *testing.T) {
	for name, d := range map[string]proxy.Decision{
		"a name with a blank":   {RequestHeaders: []proxy.HeaderEdit{{Name: "a b", Values: []string{"c"}}}},
		"a value with a line":   {RequestHeaders: []proxy.HeaderEdit{{Name: "a", Values: []string{"b\r\nc: d"}}}},
		"framing":               {RequestHeaders: []proxy.HeaderEdit{{Name: "Content-Length"}}},
		"a response's line":     {ResponseHeaders: []proxy.HeaderEdit{{Name: "a", Values: []string{"b", "c\n"}}}},
		"a response's framing":  {ResponseHeaders: []proxy.HeaderEdit{{Name: "transfer-encoding", Values: []string{"chunked"}}}},
		"Via":                   {RequestHeaders: []proxy.HeaderEdit{{Name: "via"}}},
		"a path with a blank":   {Path: "/a b"},
		"a path with a line":    {Path: "/a\r\nb: c"},
		"a path without slash":  {Path: "a"},
		"a path with a comment": {Path: "/a#b"},
	} {
		app := newUpstream(t, answers(ok))
		s := newSidecar(t, to(app), deciding(d))
		if got := s.exchange(t, get("")); got.StatusCode != 500 {
			t.Errorf("%s: got %s", name, got.Status)
		}
		if n := app.accepted(); n != 0 {
			t.Errorf("%s: the upstream was asked", name)
		}
	}
}

func TestInterimResponsesAreNotEdited(t *testing.T) {
	app := newUpstream(t, answers("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+ok))
	s := newSidecar(t, to(app), deciding(proxy.Decision{ResponseHeaders: []proxy.HeaderEdit{{Name: "Link"}, {Name: "X-A", Values: []string{"1"}}}}))
	c := dialRaw(t, s.addr).send(get(""))
	if got, want := fieldsOf(c.head()), []string{"Link: </a>"}; !slices.Equal(got, want) {
		t.Errorf("the interim response has %q, want %q", got, want)
	}
	if got := fieldsOf(c.head()); !slices.Contains(got, "X-A: 1") {
		t.Errorf("the final response has %q", got)
	}
}

func TestAnUpgradeIsEditedAsAnyResponse(t *testing.T) {
	app := newUpstream(t, answers("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\nServer: app\r\n\r\n"))
	s := newSidecar(t, to(app), deciding(proxy.Decision{ResponseHeaders: []proxy.HeaderEdit{{Name: "Server"}, {Name: "Set-Cookie", Values: []string{"home=one"}}}}))
	got := fieldsOf(dialRaw(t, s.addr).send(get("Connection: Upgrade\r\nUpgrade: raw\r\n")).head())
	if want := []string{"Set-Cookie: home=one", "Connection: Upgrade", "Upgrade: raw"}; !slices.Equal(got, want) {
		t.Errorf("the client got %q, want %q", got, want)
	}
}

func TestRequestsWithOneHashKeyGoToOneBackend(t *testing.T) {
	for _, key := range []string{"ann", "bob", "eve"} {
		apps := []*upstream{newUpstream(t, answers(ok)), newUpstream(t, answers(ok)), newUpstream(t, answers(ok))}
		s := newSidecar(t, to(apps...), deciding(proxy.Decision{HashKey: key}))
		for range 6 {
			s.exchange(t, get(""))
		}
		used := 0
		for _, app := range apps {
			if n := len(app.requests()); n == 6 {
				used++
			} else if n != 0 {
				t.Errorf("%s: a backend got %d requests", key, n)
			}
		}
		if used != 1 {
			t.Errorf("%s: %d backends were used", key, used)
		}
	}
}

func TestAHashKeyWhoseBackendIsGoneIsRetriedElsewhere(t *testing.T) {
	apps := []*upstream{newUpstream(t, answers(ok)), newUpstream(t, answers(ok))}
	s := newSidecar(t, to(apps...), deciding(proxy.Decision{HashKey: "ann"}))
	s.exchange(t, get(""))
	for _, app := range apps {
		if len(app.requests()) == 1 {
			app.close()
		}
	}
	if got := s.exchange(t, get("")); got.StatusCode != 200 {
		t.Errorf("got %s", got.Status)
	}
}
