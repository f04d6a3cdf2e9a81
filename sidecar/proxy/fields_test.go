package proxy_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

// trusting makes the clients of a test trusted proxies.
func trusting(s *setup) { s.settings.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func forwarding(f proxy.Forwarded) option { return func(s *setup) { s.forwarded = f } }

// get is a request that has these fields.
func get(fields string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }

// fieldsOf are the field lines of a head or a message, without the first line.
func fieldsOf(message string) []string {
	head, _, _ := strings.Cut(message, "\r\n\r\n")
	return strings.Split(head, "\r\n")[1:]
}

// sent is what the upstream gets when a client sends the request.
func sent(t *testing.T, request string, options ...option) *received {
	t.Helper()
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, append([]option{to(app)}, options...)...)
	if got := s.exchange(t, request); got.StatusCode != 200 {
		t.Fatalf("got %s", got.Status)
	}
	r := app.requests()[0]
	goesAlike(t, request, r, options...)
	return r
}

// passed is what a client gets when the upstream sends the response.
func passed(t *testing.T, response string) (head string) {
	t.Helper()
	s := newSidecar(t, to(newUpstream(t, answers(response))))
	head = dialRaw(t, s.addr).send(get("")).head()
	comesAlike(t, response, head)
	return head
}

func TestARequestGoesUpstreamAsItCameButForWhatIsOurs(t *testing.T) {
	r := sent(t, "PUT /a?b HTTP/1.1\r\nUser-Agent:  x \r\nHost: a\r\nX-A: 1\r\nCookie: \"c\"; d=\xe4\r\nX-A:\r\nDATE: x\r\nx-a: 2\r\nContent-Length: 1\r\n\r\nz")
	head, _, _ := strings.Cut(r.raw, "X-Request-Id: ")
	want := "PUT /a?b HTTP/1.1\r\nHost: a\r\n" +
		"User-Agent:  x \r\nX-A: 1\r\nCookie: \"c\"; d=\xe4\r\nX-A:\r\nDATE: x\r\nx-a: 2\r\n" +
		"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: " + scheme() + "\r\nX-Forwarded-Host: a\r\nVia: 1.1 sidecar-under-test\r\n"
	if head != want {
		t.Errorf("the upstream got\n%q, want\n%q", head, want)
	}
}

func TestHopByHopFieldsDoNotGoUpstream(t *testing.T) {
	plain := sent(t, get("")).Header
	for name, fields := range map[string]string{
		"connection options":      "Connection: close\r\n",
		"keep-alive":              "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n",
		"keep-alive alone":        "Keep-Alive: timeout=5\r\n",
		"proxy-connection":        "Proxy-Connection: keep-alive\r\n",
		"TE":                      "Connection: TE\r\nTE: gzip;q=0.5\r\n",
		"TE alone":                "TE: deflate\r\n",
		"nominated":               "Connection: X-A\r\nX-A: 1\r\nx-a: 2\r\n",
		"nominated, before":       "X-A: 1\r\nConnection: x-a\r\n",
		"nominated among others":  "Connection: ,close ,\tX-A\t,, X-B\r\nX-A: 1\r\nX-B: 2\r\n",
		"nominated in two fields": "Connection: X-A\r\nX-A: 1\r\nX-B: 2\r\nCONNECTION: X-B\r\n",
		"nominated cookies":       "Connection: Cookie, Authorization\r\nCookie: a\r\nAuthorization: b\r\n",
		"nominated, with close":   "Connection: close, X-A\r\nX-A: 1\r\n",
		"nominated date":          "Connection: Date\r\nDate: x\r\n",
		"upgrade without option":  "Upgrade: websocket\r\n",
		"h2c":                     "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
		"h2c in capitals":         "Connection: Upgrade\r\nUpgrade: H2C\r\n",
		"h2c among others":        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
		"h2c with a version":      "Connection: Upgrade\r\nUpgrade: h2c-14\r\n",
		"h2c in a second field":   "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
		"h2c in a first field":    "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
		"settings alone":          "HTTP2-Settings: AAMAAABkAAQAAP__\r\n",
		"trailer without trailer": "Trailer: X-A\r\n",
		"a nominated forwarded":   "Connection: Forwarded\r\nForwarded: for=b\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := sent(t, get(fields), trusting).Header
			for _, h := range []http.Header{plain, got} {
				h.Del("X-Request-Id")
			}
			if fmt.Sprint(got) != fmt.Sprint(plain) {
				t.Errorf("the upstream got %v, want %v", got, plain)
			}
		})
	}
}

func TestAnUpgradeOfARequestWithABodyIsNotPassedOn(t *testing.T) {
	r := sent(t, post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", "hello"))
	if r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" || r.body != "hello" {
		t.Errorf("the upstream got %q", r.raw)
	}
}

func TestAllUpgradesThatAreOfferedGoUpstream(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("Upgrade: irc/7, websocket, raw\r\n\r\n")
		c.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nhello")
	})
	s := newSidecar(t, to(up))
	c := dialRaw(t, s.addr).send(get("Connection: Upgrade\r\nUpgrade: irc/7\r\nX-A: b\r\nUpgrade: websocket, raw\r\n"))
	if head := c.head(); !strings.HasSuffix(head, "Connection: Upgrade\r\nUpgrade: raw\r\n\r\n") {
		t.Errorf("client got %q", head)
	}
	c.expect("hello")
}

// Who could take these away from a request could choose what a backend believes.
func TestOurFieldsCanNotBeNominatedAway(t *testing.T) {
	const names = "Host, Content-Length, Transfer-Encoding, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Via, X-Request-Id, Expect, Trailer"
	t.Run("a length", func(t *testing.T) {
		r := sent(t, post("Via: 1.1 b\r\nX-Request-Id: mine\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nContent-Length: 5\r\nConnection: "+names+"\r\n", "hello"), trusting)
		want := []string{
			"Host: a", "Via: 1.1 b", "X-Forwarded-Proto: https", "X-Forwarded-Host: b",
			"X-Forwarded-For: 192.0.2.1, 127.0.0.1", "Via: 1.1 sidecar-under-test", "X-Request-Id: mine", "Content-Length: 5",
		}
		if got := fieldsOf(r.raw); !slices.Equal(got, want) || r.body != "hello" {
			t.Errorf("the upstream got\n%q with %q, want\n%q", got, r.body, want)
		}
	})
	t.Run("chunks", func(t *testing.T) {
		r := sent(t, post("Trailer: X-A\r\nTransfer-Encoding: chunked\r\nConnection: "+names+"\r\n", "5\r\nhello\r\n0\r\nX-A: b\r\n\r\n"))
		if r.body != "hello" || r.Trailer.Get("X-A") != "b" || !strings.Contains(r.raw, "\r\nTransfer-Encoding: chunked\r\n") {
			t.Errorf("the upstream got %q", r.raw)
		}
	})
}

func TestTEGoesUpstreamForTrailersAlone(t *testing.T) {
	for name, row := range map[string]struct {
		fields string
		want   []string
	}{
		"trailers":                 {"TE: trailers\r\n", []string{"TE: trailers", "Connection: TE"}},
		"trailers in capitals":     {"Connection: TE\r\nTE: Trailers\r\n", []string{"TE: trailers", "Connection: TE"}},
		"trailers among others":    {"TE: gzip, trailers\r\n", []string{"TE: trailers", "Connection: TE"}},
		"trailers in another line": {"TE: gzip\r\nTE: trailers\r\n", []string{"TE: trailers", "Connection: TE"}},
		"and an upgrade": {
			"TE: trailers\r\nConnection: Upgrade, TE\r\nUpgrade: websocket\r\n",
			[]string{"TE: trailers", "Connection: Upgrade, TE", "Upgrade: websocket"},
		},
		"another word": {"TE: trailersx\r\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			fields := fieldsOf(sent(t, get(row.fields)).raw)
			after := slices.IndexFunc(fields, func(l string) bool { return strings.HasPrefix(l, "X-Request-Id") })
			if got := fields[after+1:]; !slices.Equal(got, row.want) {
				t.Errorf("behind X-Request-Id the upstream got %q, want %q", got, row.want)
			}
		})
	}
	// A response to HTTP/1.0 is not chunked, so it has no trailers.
	if r := sent(t, "GET / HTTP/1.0\r\nTE: trailers\r\n\r\n"); strings.Contains(r.raw, "railers") {
		t.Errorf("for HTTP/1.0 the upstream got %q", r.raw)
	}
}

func TestForwardingFieldsTellOfTheClient(t *testing.T) {
	const told = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-A: b\r\n" +
		"X-Forwarded-Host: b\r\nX-Forwarded-For: 192.0.2.2, 192.0.2.3\r\nX-Forwarded-For:\r\n"
	ours := []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: " + scheme(), "X-Forwarded-Host: a"}
	for name, row := range map[string]struct {
		fields  string
		options []option
		want    []string
	}{
		"a client that tells nothing":         {"", nil, ours},
		"a client that is not trusted":        {told, nil, ours},
		"a trusted client that tells nothing": {"", []option{trusting}, ours},
		"a trusted client": {told, []option{trusting}, []string{
			"Forwarded: for=192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: b",
			"X-Forwarded-For: 192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1",
		}},
		"a trusted client that tells half": {"X-Forwarded-For: 192.0.2.1\r\n", []option{trusting}, []string{
			"X-Forwarded-For: 192.0.2.1, 127.0.0.1", "X-Forwarded-Proto: " + scheme(), "X-Forwarded-Host: a",
		}},
		"a trusted client where all is replaced": {told, []option{trusting, forwarding(proxy.Replace)}, ours},
		"nothing is added":                       {"", []option{forwarding(proxy.Off)}, nil},
		"nothing is changed": {told, []option{forwarding(proxy.Off)}, []string{
			"X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Forwarded-Proto: https",
			"X-Forwarded-Host: b", "X-Forwarded-For: 192.0.2.2, 192.0.2.3", "X-Forwarded-For:",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, line := range fieldsOf(sent(t, get(row.fields), row.options...).raw) {
				if strings.Contains(strings.ToLower(line), "forwarded") {
					got = append(got, line)
				}
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("the upstream got\n%q, want\n%q", got, row.want)
			}
		})
	}
}

func TestAnAbsoluteTargetReplacesTheHostEverywhere(t *testing.T) {
	r := sent(t, "GET http://b:80/ HTTP/1.1\r\nHost: a\r\n\r\n")
	if r.Host != "b:80" || r.Header.Get("X-Forwarded-Host") != "b:80" || strings.Contains(r.raw, ": a\r\n") {
		t.Errorf("the upstream got %q", r.raw)
	}
}

func TestAPolicysHostReplacesTheClients(t *testing.T) {
	r := sent(t, get(""), func(s *setup) { s.policy.Host = "inner" })
	if r.Host != "inner" || r.Header.Get("X-Forwarded-Host") != "a" {
		t.Errorf("the upstream got %q", r.raw)
	}
}

func TestViaNamesEveryHop(t *testing.T) {
	for _, row := range []struct{ request, want string }{
		{get(""), "1.1 sidecar-under-test"},
		{"GET / HTTP/1.0\r\n\r\n", "1.0 sidecar-under-test"},
		{get("Via: 1.0 b, 2 c (d)\r\n"), "1.0 b, 2 c (d),1.1 sidecar-under-test"},
		{get("Via: 1.1 sidecar-under-test-2\r\n"), "1.1 sidecar-under-test-2,1.1 sidecar-under-test"},
		{get("Via: 1.1 b (sidecar-under-test)\r\n"), "1.1 b (sidecar-under-test),1.1 sidecar-under-test"},
	} {
		if got := strings.Join(sent(t, row.request).Header["Via"], ","); got != row.want {
			t.Errorf("%q: Via is %q, want %q", row.request, got, row.want)
		}
	}
}

func TestARequestThatComesBackIsALoop(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app))
	for _, via := range []string{
		"1.1 sidecar-under-test", "1.0 a, HTTP/1.1 sidecar-under-test", "1.1 a\r\nVia:  1.1  sidecar-under-test (b) , 1.1 c",
		"2\tsidecar-under-test",
	} {
		if got := s.exchange(t, get("Via: "+via+"\r\n")); got.StatusCode != 508 {
			t.Errorf("Via %q: got %s", via, got.Status)
		}
	}
	if app.accepted() > 0 {
		t.Errorf("the upstream got %q", app.got())
	}
}

// A real loop: the sidecar's backend is the sidecar.
func TestALoopIsCutAtItsFirstTurn(t *testing.T) {
	c := newCluster("app", cluster.Policy{Connect: patience, Response: patience, StreamIdle: patience, UpstreamIdle: patience, TLS: trusted()})
	s := newSidecar(t, func(s *setup) { s.router = proxy.Fixed{Cluster: c} })
	c.SetMembers([]cluster.Member{{Addr: netip.MustParseAddrPort(s.addr)}})
	if got := s.exchange(t, get("")); got.StatusCode != 508 {
		t.Errorf("got %s", got.Status)
	}
}

func TestARequestHasOneID(t *testing.T) {
	long := strings.Repeat("x", 128)
	for name, row := range map[string]struct {
		fields string
		keeps  string
		option option
	}{
		"a trusted client's":              {"X-Request-Id: a-B_9!~\r\n", "a-B_9!~", trusting},
		"a trusted client's that is long": {"X-Request-Id: " + long + "\r\n", long, trusting},
		"a trusted client's, in any case": {"x-request-ID: a\r\n", "a", trusting},
		"too long":                        {"X-Request-Id: " + long + "x\r\n", "", trusting},
		"with a blank":                    {"X-Request-Id: a b\r\n", "", trusting},
		"beyond ASCII":                    {"X-Request-Id: \xc3\xa4\r\n", "", trusting},
		"empty":                           {"X-Request-Id:\r\n", "", trusting},
		"not trusted":                     {"X-Request-Id: a\r\n", "", func(*setup) {}},
		"not there":                       {"", "", trusting},
	} {
		t.Run(name, func(t *testing.T) {
			got := sent(t, get(row.fields), row.option).Header["X-Request-Id"]
			if len(got) != 1 || row.keeps != "" && got[0] != row.keeps || row.keeps == "" && len(got[0]) != 16 {
				t.Errorf("the upstream got %q, want %q", got, row.keeps)
			}
		})
	}
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app))
	seen := make(map[string]bool)
	for range 10 {
		s.exchange(t, get(""))
	}
	for _, r := range app.requests() {
		seen[r.Header.Get("X-Request-Id")] = true
	}
	if len(seen) != 10 {
		t.Errorf("10 requests had %d ids", len(seen))
	}
}

func TestRequestTrailersGoUpstreamWhenAnnouncedAndAllowed(t *testing.T) {
	for name, row := range map[string]struct {
		fields, trailer string
		announced, want string // upstream
	}{
		"announced":               {"Trailer: X-A\r\n", "X-A: b\r\n", "X-A", "X-A: b\r\n"},
		"in another case":         {"Trailer: x-a\r\n", "X-A:b \r\n", "X-A", "X-A: b\r\n"},
		"announced in a list":     {"Trailer: X-A,, X-B\r\n", "X-B: c\r\nX-A: b\r\n", "X-A,X-B", "X-B: c\r\nX-A: b\r\n"},
		"announced in two fields": {"Trailer: X-A\r\nTrailer: X-B\r\n", "X-A: b\r\nX-B: c\r\n", "X-A,X-B", "X-A: b\r\nX-B: c\r\n"},
		"some unannounced":        {"Trailer: X-A\r\n", "X-B: c\r\nX-A: b\r\nX-AA: d\r\n", "X-A", "X-A: b\r\n"},
		"unannounced":             {"", "X-A: b\r\n", "", ""},
		"announced, missing":      {"Trailer: X-A\r\n", "", "X-A", ""},
		"nominated":               {"Trailer: X-A, X-B\r\nConnection: X-A\r\n", "X-A: b\r\nX-B: c\r\n", "X-B", "X-B: c\r\n"},
		"forbidden": {
			"Trailer: X-A\r\nTrailer: Host, Via, Authorization, Cookie, Content-Type, X-Forwarded-For, X-Request-Id, Connection, Range\r\n",
			"Host: b\r\nVia: c\r\nAuthorization: d\r\nCookie: e\r\nContent-Type: f\r\nX-Forwarded-For: g\r\nX-Request-Id: h\r\nConnection: i\r\nRange: j\r\nX-A: b\r\n",
			"X-A", "X-A: b\r\n",
		},
		"framing": {
			"Trailer: X-A\r\nTrailer: Content-Length, Transfer-Encoding\r\n",
			"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n", "X-A", "X-A: b\r\n",
		},
		"forbidden alone": {"Trailer: Content-Length, Cookie\r\n", "Cookie: a\r\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, func(c *far) {
				c.readUntil("0\r\n" + row.want + "\r\n")
				c.write(ok)
			})
			s := newSidecar(t, to(app))
			request := post(row.fields+"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"+row.trailer+"\r\n")
			sent(t, request)
			c := dialRaw(t, s.addr).send(request)
			if got := c.response(); got.StatusCode != 200 {
				t.Fatalf("got %s", got.Status)
			}
			if got := app.got(); !strings.HasSuffix(got, "\r\n\r\n5\r\nhello\r\n0\r\n"+row.want+"\r\n") {
				t.Errorf("the upstream got %q, want trailers %q", got, row.want)
			}
			announced := ""
			if row.announced != "" {
				announced = "\r\nTrailer: " + row.announced + "\r\n"
			}
			if got := app.got(); announced != "" && !strings.Contains(strings.ToLower(got), strings.ToLower(announced)) || announced == "" && strings.Contains(got, "\r\nTrailer:") {
				t.Errorf("the upstream got %q, want the announcement %q", got, row.announced)
			}
		})
	}
}

func TestResponseTrailersGoToTheClientWhenAnnouncedAndAllowed(t *testing.T) {
	for name, row := range map[string]struct{ fields, trailer, want string }{
		"announced":               {"Trailer: X-A\r\n", "X-A: b\r\n", "X-A: b\r\n"},
		"announced in two fields": {"Trailer: X-A\r\nTrailer: x-b\r\n", "X-A: b\r\nX-B: c\r\n", "X-A: b\r\nX-B: c\r\n"},
		"unannounced":             {"", "X-A: b\r\n", ""},
		"nominated":               {"Trailer: X-A, X-B\r\nConnection: X-A\r\n", "X-A: b\r\nX-B: c\r\n", "X-B: c\r\n"},
		"forbidden": {
			"Trailer: Content-Length, Transfer-Encoding, Set-Cookie, Location, Content-Type, Date, X-A\r\n",
			"Content-Length: 1\r\nTransfer-Encoding: x\r\nSet-Cookie: a\r\nLocation: b\r\nContent-Type: c\r\nDate: d\r\nX-A: b\r\n",
			"X-A: b\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, answers("HTTP/1.1 200 OK\r\n"+row.fields+"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"+row.trailer+"\r\n"))
			s := newSidecar(t, to(app))
			c := dialRaw(t, s.addr)
			for range 2 { // the connections go on behind the trailers, both
				c.send(get(""))
				if head := c.head(); !strings.Contains(head, "\r\nTransfer-Encoding: chunked\r\n") {
					t.Fatalf("client got %q", head)
				}
				c.expect("2\r\nok\r\n0\r\n" + row.want + "\r\n")
			}
			if app.accepted() != 1 {
				t.Errorf("%d connections upstream, want 1", app.accepted())
			}
			trailsAlike(t, "HTTP/1.1 200 OK\r\n"+row.fields+"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"+row.trailer+"\r\n", row.want)
		})
	}
}

func TestHopByHopFieldsDoNotGoToTheClient(t *testing.T) {
	const kept = "Server: x\r\nVia: 1.1 b\r\nX-Request-Id: c\r\nSet-Cookie: d\r\nset-cookie:  e\r\nDate: f\r\n"
	want := passed(t, "HTTP/1.1 200 OK\r\n"+kept+lengthOf("ok"))
	if want != "HTTP/1.1 200 OK\r\n"+kept+"Content-Length: 2\r\n\r\n" {
		t.Fatalf("client got %q", want)
	}
	for name, fields := range map[string]string{
		"close":                   "Connection: close\r\n",
		"keep-alive":              "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n",
		"nominated":               "Connection: X-A\r\nX-A: 1\r\n",
		"nominated and close":     "Connection: X-A, close\r\nX-A: 1\r\n",
		"close and nominated":     "Connection: close, X-A\r\nX-A: 1\r\n",
		"nominated in two fields": "X-A: 1\r\nConnection: x-a\r\nConnection: X-B\r\nX-B: 2\r\n",
		"upgrade":                 "Connection: Upgrade\r\nUpgrade: h2c\r\n",
		"upgrade alone":           "Upgrade: websocket\r\n",
		"settings":                "HTTP2-Settings: x\r\n",
		"TE":                      "TE: trailers\r\n",
		"trailer without chunks":  "Trailer: X-A\r\n",
		"nominated framing":       "Connection: Content-Length, Date\r\n",
		"nominated, known":        "Connection: Forwarded, X-Forwarded-For\r\nForwarded: x\r\nX-Forwarded-For: y\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got := passed(t, "HTTP/1.1 200 OK\r\n"+fields+kept+lengthOf("ok")); got != want {
				t.Errorf("client got %q, want %q", got, want)
			}
		})
	}
}

// An interim response is a head like any other.
func TestHopByHopFieldsAreNotInInterimResponses(t *testing.T) {
	got := passed(t, "HTTP/1.1 103 Early Hints\r\nConnection: close, X-A\r\nX-A: 1\r\nKeep-Alive: x\r\nLink: b\r\nUpgrade: h2c\r\nTrailer: c\r\n\r\n"+ok)
	if want := "HTTP/1.1 103 Early Hints\r\nLink: b\r\n\r\n"; got != want {
		t.Errorf("client got %q, want %q", got, want)
	}
}

// An application behind a gateway of CGI's kind sees one variable for both.
func TestForwardingFieldsInDisguiseDoNotGoUpstream(t *testing.T) {
	r := sent(t, get("X_Forwarded_For: 10.0.0.1\r\nX-Forwarded_For: 10.0.0.2\r\nx_forwarded_proto: https\r\nX_FORWARDED_HOST: evil\r\nX_Request_Id: mine\r\nX_Forwarded_Foo: stays\r\nuser_id: stays\r\n"), trusting)
	for _, name := range []string{"X_Forwarded_For", "X-Forwarded_for", "x_forwarded_proto", "X_FORWARDED_HOST", "X_Request_Id"} {
		if strings.Contains(strings.ToLower(r.raw), strings.ToLower(name)) {
			t.Errorf("%s went upstream: %q", name, r.raw)
		}
	}
	for _, line := range []string{"X_Forwarded_Foo: stays\r\n", "user_id: stays\r\n"} {
		if !strings.Contains(r.raw, line) {
			t.Errorf("%q did not go upstream: %q", line, r.raw)
		}
	}
}
