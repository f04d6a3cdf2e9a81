package proxy_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

// told is a Summary as far as it is the same in every run.
type told struct {
	method, host, path string
	status             int
	cluster            string
	retries            int
	outcome            string
	fault              string // its type
	end                string
	received, sent     int64
	routed, connected  bool // whether the step has a duration
	firstByte          bool
}

// book keeps what a sidecar tells of its exchanges.
type book struct {
	mu    sync.Mutex // guards lines
	lines []told
}

func (b *book) option() option {
	return func(s *setup) { s.settings.OnDone, s.settings.Steps = b.add, true }
}

func (b *book) add(s *proxy.Summary) {
	line := told{
		method: string(s.Method()), host: string(s.Host()), path: string(s.Path()), status: s.Status, retries: s.Retries,
		outcome: s.Outcome, end: s.End(), received: s.Received, sent: s.Sent,
		routed: s.Route > 0, connected: s.Connect > 0, firstByte: s.FirstByte > 0,
	}
	if query, has := s.Query(); has {
		line.path += "?" + string(query)
	}
	if s.Cluster != nil {
		line.cluster = s.Cluster.Name()
	}
	if s.Fault != nil {
		line.fault = s.Fault.Type
	}
	if s.Duration <= 0 || s.Route > s.Duration || s.Connect > s.Duration || s.FirstByte > s.Duration {
		line.end += fmt.Sprintf(" but a step of %v, %v, %v takes longer than the whole of %v", s.Route, s.Connect, s.FirstByte, s.Duration)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
}

// await waits for as many lines, and gives them.
func (b *book) await(t *testing.T, n int) []told {
	t.Helper()
	var lines []told
	until(t, fmt.Sprintf("%d lines", n), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		lines = b.lines
		return len(lines) >= n
	})
	return lines
}

const (
	unknown = -1 // bytes that depend on the moment

	cutShort = "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 10\r\n\r\nok"
)

func TestASummaryTellsWhatBecameOfAnExchange(t *testing.T) {
	get := "GET /a?b=c HTTP/1.1\r\nHost: shop:80\r\n\r\n"
	asGet := told{method: "GET", host: "shop:80", path: "/a?b=c", received: int64(len(get)), sent: unknown, routed: true}
	as := func(base told, change func(*told)) told { change(&base); return base }
	forwarded := as(asGet, func(w *told) { w.cluster, w.connected, w.firstByte = "app", true, true })

	rows := []struct {
		name    string
		request string
		play    script // of the backend; nil: there is none
		options []option
		want    told
	}{
		{"an answer", get, answers(ok), nil,
			as(forwarded, func(w *told) { w.status, w.end, w.sent = 200, "done", int64(len(ok)) })},
		{"a body", postHello, answers(ok), nil,
			told{method: "POST", host: "a", path: "/", status: 200, cluster: "app", end: "done", received: int64(len(postHello)),
				sent: int64(len(ok)), routed: true, connected: true, firstByte: true}},
		{"an interim response", get, answers("HTTP/1.1 103 Early Hints\r\n\r\n" + ok), nil,
			as(forwarded, func(w *told) {
				w.status, w.end, w.sent = 200, "done", int64(len("HTTP/1.1 103 Early Hints\r\n\r\n"+ok))
			})},
		{"an answer of the router's", get, nil, []option{routed(asked{route: func(*proxy.Request) proxy.Decision {
			d := says("hi")
			d.Outcome = "canary"
			return d
		}})}, as(asGet, func(w *told) { w.status, w.outcome, w.end = 200, "canary", "done" })},
		{"no decision", get, nil, []option{routed(asked{route: func(*proxy.Request) proxy.Decision {
			return proxy.Decision{Fault: &proxy.Fault{Status: 404, Type: "http_request_denied"}, Outcome: "no-route"}
		}})}, as(asGet, func(w *told) {
			w.status, w.outcome, w.fault, w.end = 404, "no-route", "http_request_denied", "proxy/route"
		})},
		{"a bad head", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", nil, nil,
			told{status: 400, fault: "http_request_error", end: "client/request", sent: unknown}},
		{"no backend", get, nil, nil, as(asGet, func(w *told) {
			w.cluster, w.connected, w.status, w.fault, w.end = "app", true, 503, "destination_unavailable", "backend/connect"
		})},
		{"a refused connection", get, nil, []option{at(refusing(t)), retries(0)}, as(asGet, func(w *told) {
			w.cluster, w.connected, w.status, w.fault, w.end = "app", true, 502, "connection_refused", "backend/connect"
		})},
		{"a silent backend", get, func(c *far) { c.request(); c.await(nil) },
			[]option{policy(func(p *cluster.Policy) { p.Response = 50 * time.Millisecond })}, as(forwarded, func(w *told) {
				w.firstByte, w.status, w.fault, w.end = false, 504, "http_response_timeout", "backend/wait"
			})},
		{"a backend that ends the connection, twice", get, func(c *far) { c.request() }, []option{at(refusing(t))}, as(forwarded, func(w *told) {
			w.firstByte, w.retries, w.status, w.fault, w.end = false, 1, 502, "", ""
		})},
		{"a cut answer", get, answers1(cutShort), nil, as(forwarded, func(w *told) {
			w.status, w.fault, w.end, w.sent = 200, "http_response_incomplete", "backend/answer", int64(len(cutShort))
		})},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			kept := new(book)
			options := append(row.options, kept.option())
			if row.play != nil {
				options = append(options, to(newUpstream(t, row.play)))
			}
			dialRaw(t, newSidecar(t, options...).addr).send(row.request).head()
			got := kept.await(t, 1)[0]
			if row.want.sent == unknown {
				got.sent = unknown
			}
			if row.want.end == "" { // which of two backends came last is a matter of turns
				got.fault, got.end = "", ""
			}
			if got != row.want {
				t.Errorf("told\n%+v, want\n%+v", got, row.want)
			}
		})
	}
}

// answers1 answers one request, and ends the connection.
func answers1(raw string) script {
	return func(c *far) {
		c.request()
		c.write(raw)
	}
}

func TestASummaryTellsWhoLeft(t *testing.T) {
	rows := []struct {
		name   string
		sends  string
		play   func(hold <-chan struct{}) script
		until  string // the client has read this much when it resets
		status int
		end    string
	}{
		{"inside its head", "GET / HT", nil, "", 0, "client/request"},
		{"inside its head, behind the first line", "GET / HTTP/1.1\r\nHos", nil, "", 0, "client/request"},
		{"while the backend thinks", getRoot, func(hold <-chan struct{}) script {
			return func(c *far) { c.request(); c.await(hold) }
		}, "", 0, "client/wait"},
		{"inside the answer", getRoot, func(hold <-chan struct{}) script {
			return func(c *far) { c.request(); c.write(cutShort); c.await(hold) }
		}, cutShort, 200, "client/answer"},
		{"inside its body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello", func(hold <-chan struct{}) script {
			return func(c *far) { c.readUntil("hello"); c.await(hold) }
		}, "", 0, "client/wait"},
		{"a tunnel", upgrading, func(hold <-chan struct{}) script {
			return func(c *far) {
				c.request()
				c.write(upgraded)
				c.await(hold)
			}
		}, upgraded, 101, "client/tunnel"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			kept, hold := new(book), make(chan struct{})
			defer close(hold)
			options := []option{kept.option()}
			var app *upstream
			if row.play != nil {
				app = newUpstream(t, row.play(hold))
				options = append(options, to(app))
			}
			c := dialRaw(t, newSidecar(t, options...).addr).send(row.sends)
			if row.until != "" {
				c.expect(row.until)
			}
			if app != nil {
				until(t, "the request upstream", func() bool { return app.got() != "" })
			}
			c.reset()
			if got := kept.await(t, 1)[0]; got.status != row.status || got.end != row.end {
				t.Errorf("told %+v, want status %d and %q", got, row.status, row.end)
			}
		})
	}
}

func TestATunnelTellsWhatPassedAndThatItsBackendBroke(t *testing.T) {
	kept := new(book)
	app := newUpstream(t, func(c *far) {
		c.request()
		c.write(upgraded + "hello")
		c.readUntil("good day")
		c.reset()
	})
	c := dialRaw(t, newSidecar(t, to(app), kept.option()).addr).send(upgrading)
	c.expect(upgraded + "hello")
	c.send("good day")
	got := kept.await(t, 1)[0]
	if got.end != "backend/tunnel" || got.received != int64(len(upgrading+"good day")) || got.sent != int64(len(upgraded+"hello")) {
		t.Errorf("told %+v", got)
	}
}

// A shutdown ends what does not end by itself: that is nobody else's doing.
func TestASummaryTellsThatTheProxyItselfHasEnded(t *testing.T) {
	kept := new(book)
	app := newUpstream(t, func(c *far) { c.request(); c.await(nil) })
	sc := newSidecar(t, to(app), kept.option())
	dialRaw(t, sc.addr).send(getRoot)
	until(t, "the request upstream", func() bool { return app.got() != "" })
	<-shutDown(t, sc, 50*time.Millisecond)
	if got := kept.await(t, 1)[0]; got.end != "proxy/wait" {
		t.Errorf("told %+v", got)
	}
}

func TestCountsTellOfConnectionsAndRetries(t *testing.T) {
	stale := newUpstream(t, func(c *far) {
		c.request()
		c.write(ok)
		c.request() // and ends the connection on it
	})
	sc := newSidecar(t, at(refusing(t)), to(stale), retries(2))
	for range 4 {
		sc.ask(t, getRoot)
	}
	got := make(map[string]uint64)
	counts := sc.Counts()
	for _, r := range counts.Retries {
		got[r.Reason] = r.Count
	}
	if counts.Accepted != 4 || counts.Refused != 0 || got["connect"] == 0 || got["stale"] == 0 || got["cut"] != 0 {
		t.Errorf("counted %+v", counts)
	}
}
