package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBadSyntaxIsRefused(t *testing.T) {
	with := func(lines string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n" }
	host := func(v string) string { return "GET / HTTP/1.1\r\nHost:" + v + "\r\n\r\n" }
	line := func(l string) string { return l + "\r\nHost: a\r\n\r\n" }
	refuses(t, []refusal{
		{"a bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
		{"a bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
		{"LF alone everywhere", "GET / HTTP/1.1\nHost: a\n\n", 400},
		{"a bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
		{"a bare LF in front", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"a bare CR in the request line", line("GET /\r HTTP/1.1"), 400},
		{"a bare CR in a value", with("X: a\rb\r\n"), 400},
		{"a bare CR in a name", with("X\rY: b\r\n"), 400},
		{"CR CR LF behind a value", with("X: a\r\r\n"), 400},
		{"CR CR LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400},
		{"a NUL in a value", with("X: a\x00b\r\n"), 400},
		{"a NUL in a name", with("X\x00: a\r\n"), 400},
		{"a NUL in the target", line("GET /\x00 HTTP/1.1"), 400},
		{"a control character in a value", with("X: \x01\r\n"), 400},
		{"a DEL in a value", with("X: \x7f\r\n"), 400},
		{"an escape in a value", with("X: \x1b[2J\r\n"), 400},

		{"a blank before the colon", with("X : a\r\n"), 400},
		{"a tab before the colon", with("X\t: a\r\n"), 400},
		{"a blank in a name", with("X Y: a\r\n"), 400},
		{"an empty name", with(": a\r\n"), 400},
		{"no colon", with("X\r\n"), 400},
		{"a name that is no token", with("X(Y): a\r\n"), 400},
		{"a slash in a name", with("X/Y: a\r\n"), 400},
		{"a name beyond ASCII", with("X\xc3\xa4: a\r\n"), 400},
		{"a folded value", with("X: a\r\n b\r\n"), 400},
		{"a value folded by a tab", with("X: a\r\n\tb\r\n"), 400},
		{"a blank before the first name", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
		{"a line of blanks", with(" \r\n"), 400},

		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two Hosts", with("Host: b\r\n"), 400},
		{"the same Host twice", with("Host: a\r\n"), 400},
		{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"an empty Host", host(""), 400},
		{"a Host of blanks", host("  \t "), 400},
		{"a Host with userinfo", host(" u@a"), 400},
		{"a Host with a path", host(" a/b"), 400},
		{"a Host with a query", host(" a?b"), 400},
		{"a Host with a blank", host(" a b"), 400},
		{"a list of Hosts", host(" a, b"), 400},
		{"a list of Hosts without a blank", host(" a,a"), 400},
		{"an absolute target with a list of hosts", line("GET http://a,b/ HTTP/1.1"), 400},
		{"a Host with a port of letters", host(" a:b"), 400},
		{"a Host with a signed port", host(" a:+80"), 400},
		{"a Host with a port that is too large", host(" a:65536"), 400},
		{"a Host with two ports", host(" a:80:80"), 400},
		{"a Host of a port alone", host(" :80"), 400},
		{"a Host with an open bracket", host(" [::1"), 400},
		{"a Host with brackets around a name", host(" [a]"), 400},
		{"a Host with words behind its bracket", host(" [::1]a"), 400},
		{"a Host beyond ASCII", host(" \xc3\xa4"), 400},
		{"a Host with a scheme", host(" http://a"), 400},
		{"an absolute target without a Host", "GET http://a/ HTTP/1.1\r\n\r\n", 400},
		{"an absolute target and a bad Host", "GET http://a/ HTTP/1.1\r\nHost: u@b\r\n\r\n", 400},
		{"an absolute target and two Hosts", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},

		{"two empty lines in front", "\r\n\r\n" + with(""), 400},
		{"HTTP/0.9", "GET /\r\n", 400},
		{"HTTP/0.9 with fields", line("GET /"), 400},
		{"a blank instead of a version", line("GET / "), 400},
		{"HTTP/1.2", line("GET / HTTP/1.2"), 505},
		{"HTTP/1.9", line("GET / HTTP/1.9"), 505},
		{"HTTP/2.0", line("GET / HTTP/2.0"), 505},
		{"HTTP/0.9 by name", line("GET / HTTP/0.9"), 505},
		{"HTTP/2", line("GET / HTTP/2"), 400},
		{"HTTP/1.10", line("GET / HTTP/1.10"), 400},
		{"HTTP/01.1", line("GET / HTTP/01.1"), 400},
		{"HTTP/1,1", line("GET / HTTP/1,1"), 400},
		{"HTTP/1.", line("GET / HTTP/1."), 400},
		{"a version in lower case", line("GET / http/1.1"), 400},
		{"another protocol", line("GET / ICY/1.1"), 400},
		{"a blank behind the version", line("GET / HTTP/1.1 "), 400},
		{"two blanks behind the method", line("GET  / HTTP/1.1"), 400},
		{"two blanks before the version", line("GET /  HTTP/1.1"), 400},
		{"a tab behind the method", line("GET\t/ HTTP/1.1"), 400},
		{"a tab before the version", line("GET /\tHTTP/1.1"), 400},
		{"a blank in front", line(" GET / HTTP/1.1"), 400},
		{"a blank in the target", line("GET /a b HTTP/1.1"), 400},
		{"a method that is no token", line("G@T / HTTP/1.1"), 400},
		{"no method", line("/ HTTP/1.1"), 400},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},

		{"CONNECT to an authority", line("CONNECT a:443 HTTP/1.1"), 405},
		{"CONNECT to a path", line("CONNECT / HTTP/1.1"), 405},
		{"TRACE", line("TRACE / HTTP/1.1"), 405},
		{"TRACE of everything", line("TRACE * HTTP/1.1"), 405},
		{"an asterisk with GET", line("GET * HTTP/1.1"), 400},
		{"an asterisk with HEAD", line("HEAD * HTTP/1.1"), 400},
		{"an asterisk and more", line("OPTIONS *a HTTP/1.1"), 400},
		{"a fragment", line("GET /a#b HTTP/1.1"), 400},
		{"a fragment in a query", line("GET /a?b#c HTTP/1.1"), 400},
		{"a fragment in an absolute target", line("GET http://a#b HTTP/1.1"), 400},
		{"a target beyond ASCII", line("GET /\xc3\xa4 HTTP/1.1"), 400},
		{"a DEL in the target", line("GET /\x7f HTTP/1.1"), 400},
		{"a target without a slash", line("GET a HTTP/1.1"), 400},
		{"an authority as target", line("GET a:80 HTTP/1.1"), 400},
		{"a query as target", line("GET ?a HTTP/1.1"), 400},
		{"an absolute target with userinfo", line("GET http://u@a/ HTTP/1.1"), 400},
		{"an absolute target with a password", line("GET http://u:p@a/ HTTP/1.1"), 400},
		{"an absolute target without a host", line("GET http:///a HTTP/1.1"), 400},
		{"an absolute target with a bad port", line("GET http://a:b/ HTTP/1.1"), 400},
		{"an absolute target of another scheme", line("GET ftp://a/ HTTP/1.1"), 400},
		{"an absolute target with one slash", line("GET http:/a HTTP/1.1"), 400},
		{"an absolute target with a backslash", line("GET http://a\\b/ HTTP/1.1"), 400},
		{"an unknown expectation", with("Expect: 200-ok\r\n"), 417},

		{"a target that is too long", line("GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1"), 414},
		{"a value that is too long", with("X: " + strings.Repeat("a", 64<<10) + "\r\n"), 431},
		{"a head that is too long", with(strings.Repeat("X: "+strings.Repeat("a", 995)+"\r\n", 66)), 431},
		{"a name without an end", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a", 64<<10), 431},
		{"a request line without an end", strings.Repeat("a", 64<<10), 414},
		{"a field too many", with(strings.Repeat("X: a\r\n", 128)), 431},
	})
}

// The answer to HEAD has no body, so that a client which waits for none is not
// put out of step.
func TestARefusedHEADIsAnsweredWithoutABody(t *testing.T) {
	s := newSidecar(t)
	c := dialRaw(t, s.addr).send("HEAD / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 400 Bad Request\r\n") {
		t.Errorf("got %q", head)
	}
	c.expectEnd()
}

func TestLimitsAreReachedBeforeTheyAreBroken(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app))
	const least = len("GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n")
	for name, request := range map[string]string{
		"64 KiB":     "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 64<<10-least) + "\r\n\r\n",
		"128 fields": "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 127) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got := s.exchange(t, request); got.StatusCode != 200 {
				t.Errorf("got %s", got.Status)
			}
		})
	}
}

// What is no fault, and what becomes of it.
func TestTargetsGoUpstreamAsTheyCame(t *testing.T) {
	rows := []struct{ line, fields, upstream, host string }{
		{"GET / HTTP/1.1", "Host: a\r\n", "GET / HTTP/1.1", "a"},
		{"GET /a/../b//c%2F%2e?x=%20+ HTTP/1.1", "Host: a\r\n", "GET /a/../b//c%2F%2e?x=%20+ HTTP/1.1", "a"},
		{"GET //a/./b/ HTTP/1.1", "Host: a\r\n", "GET //a/./b/ HTTP/1.1", "a"},
		{"GET /..%5c\\..;x=1/%00%zz HTTP/1.1", "Host: a\r\n", "GET /..%5c\\..;x=1/%00%zz HTTP/1.1", "a"},
		{"GET /{a}|b^c`\"<d> HTTP/1.1", "Host: a\r\n", "GET /{a}|b^c`\"<d> HTTP/1.1", "a"},
		{"GET /? HTTP/1.1", "Host: a\r\n", "GET /? HTTP/1.1", "a"},
		{"GET /?a?b=/../http://c HTTP/1.1", "Host: a\r\n", "GET /?a?b=/../http://c HTTP/1.1", "a"},
		{"BREW /pot HTTP/1.1", "Host: a\r\n", "BREW /pot HTTP/1.1", "a"},
		{"get / HTTP/1.1", "Host: a\r\n", "get / HTTP/1.1", "a"},
		{"OPTIONS * HTTP/1.1", "Host: a\r\n", "OPTIONS * HTTP/1.1", "a"},
		{"OPTIONS / HTTP/1.1", "Host: a\r\n", "OPTIONS / HTTP/1.1", "a"},
		{"OPTIONS http://b HTTP/1.1", "Host: a\r\n", "OPTIONS * HTTP/1.1", "b"},
		{"GET http://b HTTP/1.1", "Host: a\r\n", "GET / HTTP/1.1", "b"},
		{"GET http://b:8080/c?d HTTP/1.1", "Host: a\r\n", "GET /c?d HTTP/1.1", "b:8080"},
		{"GET http://b?d HTTP/1.1", "Host: a\r\n", "GET /?d HTTP/1.1", "b"},
		{"GET HTTP://B/ HTTP/1.1", "Host: a\r\n", "GET / HTTP/1.1", "B"},
		{"GET https://b//c/../d HTTP/1.1", "Host: a\r\n", "GET //c/../d HTTP/1.1", "b"},
		{"GET / HTTP/1.1", "hOsT:\t[::1]:80 \r\n", "GET / HTTP/1.1", "[::1]:80"},
		{"GET / HTTP/1.1", "Host: a:\r\n", "GET / HTTP/1.1", "a:"},
		{"\r\nGET / HTTP/1.1", "Host: a\r\n", "GET / HTTP/1.1", "a"},
		{"GET / HTTP/1.0", "Host: a\r\n", "GET / HTTP/1.1", "a"},
	}
	for _, row := range rows {
		t.Run(row.line, func(t *testing.T) {
			app := newUpstream(t, func(c *far) {
				c.readUntil("\r\n\r\n")
				c.write(ok)
			})
			s := newSidecar(t, to(app))
			if got := dialRaw(t, s.addr).send(row.line + "\r\n" + row.fields + "\r\n").response(); got.StatusCode != 200 {
				t.Fatalf("got %s", got.Status)
			}
			want := fmt.Sprintf("%s\r\nHost: %s\r\n", row.upstream, row.host)
			if got := app.got(); !strings.HasPrefix(got, want) || strings.Count(strings.ToLower(got), "\r\nhost:") != 1 {
				t.Errorf("the upstream got %q, want %q first", got, want)
			}
		})
	}
}

// HTTP/1.1 upstream wants a Host (RFC 9112, 3.2) that an older client may leave out.
func TestAHostIsMadeForHTTP10(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app))
	s.exchange(t, "GET / HTTP/1.0\r\n\r\n")
	if got := app.requests()[0].Host; got != s.addr {
		t.Errorf("Host is %q, want the address that the client came to, %s", got, s.addr)
	}
}

func TestAmbiguousPathsAreRefusedWhereThatIsWanted(t *testing.T) {
	strict := func(s *setup) { s.settings.RefuseAmbiguousPaths = true }
	var rows []refusal
	for _, path := range []string{
		"/..", "/.", "/../a", "/a/..", "/a/../b", "/a/./b", "/a/.", "//", "//a", "/a//b", "/a//",
		"/a\\b", "/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/%2e%2e/a", "/%2E./a", "/.%2e", "/a%00",
		"/..;/a", "/..;x=1/a", "/;x=1/a", "/a/;x", "/.;x/a", "/a;/b", "/%", "/%a", "/%zz", "/%g0/a", "/%u002e", "http://a//b", "http://a/b/..",
	} {
		rows = append(rows, refusal{path, "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n", 400})
	}
	for i := range rows {
		rows[i].request = strings.Replace(rows[i].request, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
	}
	refuses(t, rows, strict)

	app := newUpstream(t, func(c *far) { c.readUntil("\r\n\r\n"); c.write(ok) })
	s := newSidecar(t, to(app), strict)
	for _, path := range []string{
		"/", "/a", "/a/", "/a.b/.c/..d/e..", "/a%20b", "/%c3%a4", "/a?b=//../%2f%zz", "/a;b=c", "/...", "/a+b",
	} {
		t.Run(path, func(t *testing.T) {
			if got := s.exchange(t, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); got.StatusCode != 200 {
				t.Errorf("got %s", got.Status)
			}
		})
	}
}

func TestASlowHeadIsAnsweredWith408AndTheEnd(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app), func(s *setup) { s.settings.Limits.HeadTimeout = 50 * time.Millisecond })
	for name, part := range map[string]string{
		"a byte":                  "G",
		"a line":                  "GET / HTTP/1.1\r\n",
		"all but the end":         "GET / HTTP/1.1\r\nHost: a\r\n\r",
		"an empty line and a bit": "\r\nG",
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, s.addr).send(part)
			if got := c.response(); got.StatusCode != 408 || !got.Close {
				t.Errorf("got %s, close %v", got.Status, got.Close)
			}
			c.expectEnd()
		})
	}
	if app.accepted() > 0 {
		t.Errorf("the upstream got %q", app.got())
	}
}

// Bytes that keep coming do not put the end of the wait off.
func TestADrippingHeadIsSlow(t *testing.T) {
	s := newSidecar(t, func(s *setup) { s.settings.Limits.HeadTimeout = 100 * time.Millisecond })
	c := dialRaw(t, s.addr).send("GET / HTTP/1.1\r\nHost: a\r\nX: ")
	stop := make(chan struct{})
	dripped := make(chan struct{})
	go func() {
		defer close(dripped)
		drops := time.NewTicker(5 * time.Millisecond)
		defer drops.Stop()
		for {
			select {
			case <-drops.C:
				c.write("a")
			case <-stop:
				return
			}
		}
	}()
	got := c.response()
	close(stop)
	<-dripped
	if got.StatusCode != 408 {
		t.Errorf("got %s", got.Status)
	}
}

// Some clients send an empty line behind a body (RFC 9112, 2.2): that is no
// request that is late.
func TestAnEmptyLineAloneIsNoRequest(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app), func(s *setup) { s.settings.Limits.HeadTimeout = 50 * time.Millisecond })
	c := dialRaw(t, s.addr).send(post("Content-Length: 5\r\n", "hello") + "\r\n")
	if got := c.response(); got.body != "ok" {
		t.Errorf("got %s", got.Status)
	}
	c.expectEnd()
}

func TestOurOwnAnswersSayWhoGaveThemAndWhy(t *testing.T) {
	s := newSidecar(t) // a cluster without backends
	for name, row := range map[string]struct {
		request, status, proxyStatus, retryAfter, allow string
	}{
		"no backend": {
			request: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", status: "503 Service Unavailable",
			proxyStatus: `sidecar-under-test; error=destination_unavailable; details="cluster app has no usable backend (0 of 0)"`,
			retryAfter:  "1",
		},
		"not allowed": {
			request: "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", status: "405 Method Not Allowed",
			proxyStatus: `sidecar-under-test; error=http_request_error; details="TRACE is not served"`,
			allow:       "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
		},
		"a loop": {
			request: "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 sidecar-under-test\r\n\r\n", status: "508 Loop Detected",
			proxyStatus: `sidecar-under-test; error=proxy_loop_detected; details="this request has passed sidecar-under-test before: a cluster leads back to this sidecar"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.exchange(t, row.request)
			h := got.Header
			if got.Status != row.status || h.Get("Proxy-Status") != row.proxyStatus || h.Get("Retry-After") != row.retryAfter || h.Get("Allow") != row.allow {
				t.Errorf("got %s %v", got.Status, h)
			}
			if got.ContentLength != int64(len(got.body)) || !strings.HasPrefix(got.body, "outrider: ") {
				t.Errorf("Content-Length %d of %q", got.ContentLength, got.body)
			}
			if _, err := time.Parse(time.RFC1123, h.Get("Date")); err != nil {
				t.Error(err)
			}
		})
	}
}

// A request that was understood, but came to nothing, leaves the connection as
// it was: behind HEAD there is no body, and the next request is served.
func TestOurOwnAnswersKeepTheConnection(t *testing.T) {
	s := newSidecar(t)
	c := dialRaw(t, s.addr)
	c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := c.responseTo("HEAD"); got.StatusCode != 503 || got.ContentLength <= 0 || got.Close {
		t.Errorf("got %s, Content-Length %d, close %v", got.Status, got.ContentLength, got.Close)
	}
	c.send(post("Content-Length: 5\r\n", "hello"))
	if got := c.response(); got.StatusCode != 503 || got.Close {
		t.Errorf("got %s, close %v", got.Status, got.Close)
	}
	c.send("GET / HTTP/1.0\r\n\r\n")
	if got := c.response(); got.Proto != "HTTP/1.0" || got.StatusCode != 503 || !got.Close {
		t.Errorf("got %s %s, close %v", got.Proto, got.Status, got.Close)
	}
	c.expectEnd()
}
