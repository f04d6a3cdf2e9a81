package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestABadResponseIsA502(t *testing.T) {
	with := func(lines string) string { return "HTTP/1.1 200 OK\r\n" + lines + "\r\nhello" }
	for name, response := range map[string]string{
		"garbage":                         "garbage\r\n\r\n",
		"a body alone":                    "<html>hello</html>\n",
		"another protocol":                "ICY 200 OK\r\n\r\n",
		"an error of another protocol":    "-ERR unknown command 'GET'\r\n",
		"TLS":                             "\x15\x03\x01\x00\x02\x02\x0a",
		"an empty line in front":          "\r\n" + ok,
		"a blank in front":                " " + ok,
		"HTTP/2":                          "HTTP/2 200\r\n\r\n",
		"HTTP/2.0":                        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/0.9":                        "HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.2":                        "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
		"a version in lower case":         "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no status":                       "HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"a status of letters":             "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
		"a status of two digits":          "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"a status of four digits":         "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"a signed status":                 "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n",
		"a status below 100":              "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
		"a status beyond 599":             "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
		"two blanks before the status":    "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
		"a tab before the status":         "HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n",
		"a NUL in the reason":             "HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
		"a CR in the reason":              "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
		"a bare LF behind the status":     "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
		"a bare LF behind a field":        with("Content-Length: 5\nX: y\r\n"),
		"a bare LF at the end":            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
		"LF alone":                        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"a bare CR":                       with("X: a\rb\r\nContent-Length: 5\r\n"),
		"a NUL":                           with("X: a\x00b\r\nContent-Length: 5\r\n"),
		"a blank before a colon":          with("X : a\r\nContent-Length: 5\r\n"),
		"an empty name":                   with(": a\r\nContent-Length: 5\r\n"),
		"no colon":                        with("X\r\nContent-Length: 5\r\n"),
		"a blank in a name":               with("X Y: a\r\nContent-Length: 5\r\n"),
		"a folded field":                  with("X: a\r\n b\r\nContent-Length: 5\r\n"),
		"a folded first field":            with(" X: a\r\nContent-Length: 5\r\n"),
		"two lengths":                     with("Content-Length: 5\r\nContent-Length: 6\r\n"),
		"a list of lengths":               with("Content-Length: 5, 5\r\n"),
		"a signed length":                 with("Content-Length: +5\r\n"),
		"a negative length":               with("Content-Length: -5\r\n"),
		"a length in hexadecimal":         with("Content-Length: 0x5\r\n"),
		"an empty length":                 with("Content-Length:\r\n"),
		"a length that is too large":      with("Content-Length: 99999999999999999999\r\n"),
		"a length and chunks":             with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
		"chunks and a length":             with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
		"an unknown coding":               with("Transfer-Encoding: gzip\r\n"),
		"gzip and chunked":                with("Transfer-Encoding: gzip, chunked\r\n"),
		"identity":                        with("Transfer-Encoding: identity\r\n"),
		"chunked twice":                   with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
		"chunked and a comma":             with("Transfer-Encoding: chunked,\r\n"),
		"chunks in HTTP/1.0":              "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"a head that is too long":         with("X: " + strings.Repeat("a", 64<<10) + "\r\n"),
		"a head with too many fields":     with(strings.Repeat("X: a\r\n", 129)),
		"a 101 that was not asked for":    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"a 101 without words":             "HTTP/1.1 101 Switching Protocols\r\n\r\n" + ok,
		"interim responses without end":   strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100) + ok,
		"an interim response with chunks": "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: gzip\r\n\r\n" + ok,
		"a broken one behind an interim":  "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200\tOK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			play := func(c *far) {
				c.request()
				c.write(ok)
				c.request()
				c.write(response)
				c.awaitClose() // and not before: an end is another fault
			}
			app, other := newUpstream(t, play), newUpstream(t, play)
			s := newSidecar(t, to(app, other))
			c := dialRaw(t, s.addr)
			for range 2 {
				c.send(get("")).response()
			}
			// There are used connections now, and a second backend: this one could
			// be tried again in every way.
			got := c.send(get("")).response()
			for got.StatusCode == 102 || got.StatusCode == 103 {
				got = c.response()
			}
			if got.StatusCode != 502 || !strings.Contains(got.Header.Get("Proxy-Status"), "error=http_protocol_error") {
				t.Fatalf("got %s %v", got.Status, got.Header)
			}
			if asked := len(app.requests()) + len(other.requests()); asked != 3 {
				t.Errorf("a backend that had answered was asked %d times", asked-2)
			}
			// The client did nothing wrong.
			c.send(get("Via: 1.1 sidecar-under-test\r\n"))
			if got := c.response(); got.StatusCode != 508 {
				t.Errorf("then got %s", got.Status)
			}
			over := newSidecar(t, to(newUpstream(t, func(c *far) {
				c.request()
				c.write(response)
				c.awaitClose()
			})))
			got2, _ := ask2(t, newHTTP2Client(t), newRequest2(t, "GET", "http://"+over.addr+"/", nil))
			if got2.StatusCode != 502 || !strings.Contains(got2.Header.Get("Proxy-Status"), "error=http_protocol_error") {
				t.Errorf("over HTTP/2 got %s %v", got2.Status, got2.Header)
			}
		})
	}
}

func TestAnUpgradeIsToWhatWasAskedFor(t *testing.T) {
	const asks = "Connection: Upgrade\r\nUpgrade: websocket, irc/7\r\n"
	switched := func(fields string) string { return "HTTP/1.1 101 Switching Protocols\r\n" + fields + "\r\n" }
	for name, row := range map[string]struct {
		response string
		status   int
		protocol string
	}{
		"the first":          {switched("Connection: upgrade\r\nUpgrade: WebSocket\r\n"), 101, "websocket"},
		"the second":         {switched("Connection: Upgrade\r\nUpgrade: irc/7\r\n"), 101, "irc/7"},
		"both":               {switched("Connection: Upgrade\r\nUpgrade: websocket, irc/7\r\n"), 502, ""},
		"another":            {switched("Connection: Upgrade\r\nUpgrade: h2c\r\n"), 502, ""},
		"none":               {switched("Connection: Upgrade\r\n"), 502, ""},
		"in HTTP/1.0":        {"HTTP/1.0 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 502, ""},
		"without the option": {switched("Upgrade: websocket\r\n"), 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, func(c *far) {
				c.readUntil("\r\n\r\n")
				c.write(row.response)
				c.awaitClose()
			})
			s := newSidecar(t, to(app))
			c := dialRaw(t, s.addr).send(get(asks))
			head := c.head()
			if !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", row.status)) {
				t.Fatalf("client got %q", head)
			}
			if want := "Connection: Upgrade\r\nUpgrade: " + row.protocol + "\r\n\r\n"; row.status == 101 && !strings.HasSuffix(head, want) {
				t.Errorf("client got %q, want %q last", head, want)
			}
		})
	}
}

func TestInterimResponsesAreNotFinal(t *testing.T) {
	const (
		go100 = "HTTP/1.1 100 Continue\r\n\r\n"
		at102 = "HTTP/1.1 102 Processing\r\n\r\n"
		at103 = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
	)
	expecting := post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello")
	for name, row := range map[string]struct{ request, interim, want string }{
		"a 100 that nobody waits for":    {get(""), go100, ""},
		"a 100 that is waited for":       {expecting, go100, go100},
		"a 100 to HTTP/1.0":              {strings.Replace(expecting, "HTTP/1.1", "HTTP/1.0", 1), go100, ""},
		"a 103":                          {get(""), at103, at103},
		"a 103 to HTTP/1.0":              {"GET / HTTP/1.0\r\n\r\n", at103, ""},
		"many":                           {get(""), at102 + at103 + at102 + at103, at102 + at103 + at102 + at103},
		"a 100 among others":             {get(""), at102 + go100 + at103, at102 + at103},
		"a 100 and a 103, when it waits": {expecting, go100 + at103, go100 + at103},
		"an unknown one":                 {get(""), "HTTP/1.1 199 X\r\nA: b\r\n\r\n", "HTTP/1.1 199 X\r\nA: b\r\n\r\n"},
		"a length that means nothing":    {get(""), "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSidecar(t, to(newUpstream(t, answers(row.interim+ok))))
			c := dialRaw(t, s.addr).send(row.request)
			c.expect(row.want)
			if got := c.response(); got.StatusCode != 200 || got.body != "ok" {
				t.Errorf("got %s %q", got.Status, got.body)
			}
		})
	}
}

func TestExpectationsGoUpstreamFromHTTP11Alone(t *testing.T) {
	for version, want := range map[string]string{"HTTP/1.1": "100-continue", "HTTP/1.0": ""} {
		app := newUpstream(t, answers(ok))
		s := newSidecar(t, to(app))
		s.exchange(t, "POST / "+version+"\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\na")
		if got := strings.ToLower(app.requests()[0].Header.Get("Expect")); got != want {
			t.Errorf("%s: Expect is %q upstream, want %q", version, got, want)
		}
	}
}

// Whatever their fields say, these have no body: what follows is the next
// response. The second request shows that nobody is out of step.
func TestSomeResponsesHaveNoBody(t *testing.T) {
	for name, row := range map[string]struct{ method, response, framing string }{
		"HEAD with a length":  {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "Content-Length: 5\r\n"},
		"HEAD with no length": {"HEAD", "HTTP/1.1 200 OK\r\n\r\n", ""},
		"HEAD with chunks":    {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		"HEAD with nothing":   {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "Content-Length: 0\r\n"},
		"204":                 {"GET", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		"204 with a length":   {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""},
		"204 with chunks":     {"GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		"304":                 {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n", ""},
		"304 with a length":   {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "Content-Length: 5\r\n"},
		"304 with chunks":     {"GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		"a length of nothing": {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "Content-Length: 0\r\n"},
		"HEAD of HTTP/1.0":    {"HEAD", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, answers(row.response))
			s := newSidecar(t, to(app))
			c := dialRaw(t, s.addr)
			for range 2 {
				c.send(row.method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
				line, _, _ := strings.Cut(row.response, "\r\n")
				head := c.head()
				_, behind, dated := strings.Cut(head, " GMT\r\n")
				if !strings.HasPrefix(head, "HTTP/1.1"+line[8:]+"\r\nDate: ") || !dated || behind != row.framing+"\r\n" {
					t.Errorf("client got %q, want %q and framing %q", head, line, row.framing)
				}
			}
			if app.accepted() != 1 {
				t.Errorf("%d connections upstream, want 1", app.accepted())
			}
			got2, body := ask2(t, newHTTP2Client(t), newRequest2(t, row.method, "http://"+s.addr+"/", nil))
			if told := got2.Header.Get("Content-Length"); body != "" || !strings.Contains(row.response, " "+got2.Status[:3]+" ") || told != "" && !strings.Contains(row.framing, told) {
				t.Errorf("over HTTP/2 got %s %v %q", got2.Status, got2.Header, body)
			}
		})
	}
}

func TestBodiesAreFramedForTheClientsVersion(t *testing.T) {
	const (
		chunked = "HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n03\r\nllo\r\n0\r\n\r\n"
		length  = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"
		toEnd   = "HTTP/1.1 200 OK\r\nDate: x\r\n\r\nhello"
		toEnd10 = "HTTP/1.0 200 OK\r\nDate: x\r\n\r\nhello"
	)
	for name, row := range map[string]struct{ request, response, want string }{
		"chunks to 1.1": {get("Connection: close\r\n"), chunked,
			"HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
		"chunks to 1.0": {"GET / HTTP/1.0\r\n\r\n", chunked, "HTTP/1.0 200 OK\r\nDate: x\r\nConnection: close\r\n\r\nhello"},
		"chunks to 1.0 that would stay": {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", chunked,
			"HTTP/1.0 200 OK\r\nDate: x\r\nConnection: close\r\n\r\nhello"},
		"a length to 1.1": {get("Connection: close\r\n"), length, "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"a length to 1.0": {"GET / HTTP/1.0\r\n\r\n", length, "HTTP/1.0 200 OK\r\nDate: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"},
		"to the end, to 1.1": {get("Connection: close\r\n"), toEnd,
			"HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		"to the end, from 1.0 to 1.1": {get("Connection: close\r\n"), toEnd10,
			"HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		"to the end, to 1.0": {"GET / HTTP/1.0\r\n\r\n", toEnd, "HTTP/1.0 200 OK\r\nDate: x\r\nConnection: close\r\n\r\nhello"},
		"an empty body to the end": {get("Connection: close\r\n"), "HTTP/1.1 200 OK\r\nDate: x\r\n\r\n",
			"HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"},
		"no reason": {get("Connection: close\r\n"), "HTTP/1.1 200\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 \r\nDate: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		"a reason of words": {get("Connection: close\r\n"), "HTTP/1.1 299 All is \xe4, well\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 299 All is \xe4, well\r\nDate: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, func(c *far) { c.request(); c.write(row.response) })
			s := newSidecar(t, to(app))
			if got, err := dialRaw(t, s.addr).send(row.request).rest(); got != row.want || err != nil {
				t.Errorf("client got\n%q and then %v, want\n%q", got, err, row.want)
			}
		})
	}
}

// A body that ends with its connection needs chunks, so that the client's
// connection need not end with it.
func TestABodyToTheEndLeavesTheClientsConnection(t *testing.T) {
	app := newUpstream(t, func(c *far) { c.request(); c.write("HTTP/1.1 200 OK\r\n\r\nhello") })
	s := newSidecar(t, to(app))
	c := dialRaw(t, s.addr)
	for range 3 {
		c.send(get(""))
		if got := c.response(); got.body != "hello" || got.err != nil || got.Close {
			t.Errorf("got %q, %v, close %v", got.body, got.err, got.Close)
		}
	}
}

func TestAnUpstreamConnectionIsUsedAgainOnlyAfterACleanEnd(t *testing.T) {
	for name, row := range map[string]struct {
		response string
		again    bool
	}{
		"a length":                   {ok, true},
		"chunks":                     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true},
		"204":                        {"HTTP/1.1 204 No Content\r\n\r\n", true},
		"HTTP/1.0 that stays":        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true},
		"HTTP/1.0":                   {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		"close":                      {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
		"close among others":         {"HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 2\r\n\r\nok", false},
		"a byte behind a length":     {ok + "x", false},
		"a response behind a length": {ok + ok, false},
		"an empty line behind":       {ok + "\r\n", false},
		"a byte behind chunks":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx", false},
		"a body behind 204":          {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", false},
		"a body behind 304":          {"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", false},
		"an interim response behind": {ok + "HTTP/1.1 100 Continue\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, answers(row.response))
			s := newSidecar(t, to(app))
			c := dialRaw(t, s.addr)
			for range 2 {
				c.send(get(""))
				if got := c.response(); got.StatusCode > 399 || got.Close || got.body != "ok" && got.body != "" {
					t.Errorf("got %s %q, close %v", got.Status, got.body, got.Close)
				}
			}
			want := 2
			if row.again {
				want = 1
			}
			if got := app.accepted(); got != want {
				t.Errorf("%d connections upstream for 2 requests, want %d", got, want)
			}
		})
	}
}

func TestABodyBehindTheAnswerToHEADGoesNowhere(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app))
	c := dialRaw(t, s.addr).send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.responseTo(http.MethodHead)
	c.send(get(""))
	if got := c.response(); got.body != "ok" || app.accepted() != 2 {
		t.Errorf("got %s %q over %d connections", got.Status, got.body, app.accepted())
	}
}

// Bytes that come when nobody asked belong to no request.
func TestAnUnaskedResponseGoesToNobody(t *testing.T) {
	app := newUpstream(t, func(c *far) {
		c.request()
		c.write(ok)
		<-c.gone
	})
	s := newSidecar(t, to(app))
	c := dialRaw(t, s.addr).send(get(""))
	c.response()
	app.conn(0).write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
	c.send(get(""))
	if got := c.response(); got.body != "ok" || app.accepted() != 2 {
		t.Errorf("got %s %q over %d connections", got.Status, got.body, app.accepted())
	}
}

func TestConnectionsStayAsTheClientsVersionHasIt(t *testing.T) {
	for name, row := range map[string]struct {
		request, connection string
		stays               bool
	}{
		"1.1":                              {get(""), "", true},
		"1.1 with keep-alive":              {get("Connection: keep-alive\r\n"), "", true},
		"1.1 with close":                   {get("Connection: close\r\n"), "close", false},
		"1.1 with close among others":      {get("Connection: keep-alive, CLOSE\r\n"), "close", false},
		"1.1 with close in a second field": {get("Connection: X-A\r\nConnection: close\r\n"), "close", false},
		"1.0":                              {"GET / HTTP/1.0\r\n\r\n", "close", false},
		"1.0 with keep-alive":              {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "keep-alive", true},
		"1.0 with both":                    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "close", false},
		"1.0 with another's":               {"GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", "close", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSidecar(t, to(newUpstream(t, answers(ok))))
			c := dialRaw(t, s.addr).send(row.request)
			head := c.head()
			c.expect("ok")
			var got string
			for _, line := range fieldsOf(head) {
				if v, is := strings.CutPrefix(line, "Connection: "); is {
					got = v
				}
			}
			if got != row.connection {
				t.Errorf("Connection is %q, want %q", got, row.connection)
			}
			if !row.stays {
				c.expectEnd()
				return
			}
			if again := c.send(get("")).response(); again.body != "ok" {
				t.Errorf("then got %s %q", again.Status, again.body)
			}
		})
	}
}

func TestPipelinedRequestsWithBodiesAreAnsweredInOrder(t *testing.T) {
	app := newUpstream(t, func(c *far) {
		for r := c.request(); r != nil; r = c.request() {
			c.write("HTTP/1.1 200 OK\r\n" + lengthOf(r.RequestURI+r.body))
		}
	})
	s := newSidecar(t, to(app))
	var all strings.Builder
	for i := range 100 {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		case 1:
			fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", i)
		case 2:
			fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n0\r\n\r\n", i)
		}
	}
	c := dialRaw(t, s.addr).send(all.String())
	c.fin()
	for i := range 100 {
		want := fmt.Sprintf("/%d%s", i, []string{"", "x", "y"}[i%3])
		if got := c.response(); got.body != want {
			t.Fatalf("answer %d is %s %q, want %q", i, got.Status, got.body, want)
		}
	}
	c.expectEnd()
}

// What was sent behind the last request is not served.
func TestNothingIsServedBehindClose(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app))
	for _, last := range []string{get("Connection: close\r\n"), "GET / HTTP/1.0\r\n\r\n"} {
		c := dialRaw(t, s.addr).send(last + strings.Repeat(smuggled, 3000))
		if got := c.response(); got.body != "ok" {
			t.Errorf("got %s", got.Status)
		}
		c.expectEnd() // and no reset, which could destroy the answer
	}
	if strings.Contains(app.got(), "smuggled") {
		t.Errorf("the upstream got %q", app.got())
	}
}

func TestAResponseHasADate(t *testing.T) {
	for name, row := range map[string]struct{ fields, want string }{
		"the upstream's": {"date: yesterday\r\n", "yesterday"},
		"ours":           {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSidecar(t, to(newUpstream(t, answers("HTTP/1.1 200 OK\r\n"+row.fields+lengthOf("")))))
			dates := s.exchange(t, get("")).Header["Date"]
			if len(dates) != 1 || row.want != "" && dates[0] != row.want {
				t.Fatalf("got %q", dates)
			}
			if at, err := http.ParseTime(dates[0]); row.want == "" && (err != nil || time.Since(at).Abs() > time.Minute) {
				t.Errorf("got %q", dates)
			}
		})
	}
}
