package proxy_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

// hangs takes a request and never answers.
func hangs(c *far) {
	c.request()
	<-c.gone
}

// walksOff ends the connection in place of an answer.
func walksOff(c *far) { c.request() }

// fixed is a router that always decides the same.
func fixed(d proxy.Decision) func(*testing.T) []option {
	return func(*testing.T) []option {
		return []option{func(s *setup) { s.router = decided{d} }}
	}
}

// backed has one backend, and gives up soon.
func backed(addr func(*testing.T) netip.AddrPort) func(*testing.T) []option {
	return func(t *testing.T) []option {
		return []option{at(addr(t)), func(s *setup) { s.policy.Response = 50 * time.Millisecond }}
	}
}

func playing(play script) func(*testing.T) netip.AddrPort {
	return func(t *testing.T) netip.AddrPort { return newUpstream(t, play).addr }
}

// What needs more than one client to be answered (limits.connections, the memory,
// max_in_flight) has tests of its own.
func TestEveryAnswerOfOurOwnHasAProxyStatus(t *testing.T) {
	const (
		invalid  = "error=http_request_error"
		anything = "GET / HTTP/1.1\r\nHost: a\r\n"
	)
	alone := func(*testing.T) []option {
		return []option{limited(func(l *proxy.Limits) { l.HeadTimeout, l.Head, l.Fields = 100*time.Millisecond, 4<<10, 20 })}
	}
	for name, row := range map[string]struct {
		sidecar func(*testing.T) []option
		request string
		status  int
		want    string // in Proxy-Status
	}{
		"two hosts":             {alone, anything + "Host: b\r\n\r\n", 400, invalid},
		"length and chunks":     {alone, anything + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, invalid},
		"TLS":                   {alone, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, invalid},
		"TRACE":                 {alone, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, invalid},
		"CONNECT":               {alone, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405, invalid},
		"half a head":           {alone, anything, 408, invalid},
		"a long target":         {alone, "GET /" + strings.Repeat("a", 5<<10), 414, invalid},
		"an expectation":        {alone, anything + "Expect: more\r\n\r\n", 417, invalid},
		"a large head":          {alone, anything + "X: " + strings.Repeat("a", 5<<10), 431, invalid},
		"many fields":           {alone, anything + strings.Repeat("X: a\r\n", 30) + "\r\n", 431, invalid},
		"a transfer coding":     {alone, anything + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, invalid},
		"HTTP/3 on a line":      {alone, "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, invalid},
		"a loop":                {alone, anything + "Via: 1.1 sidecar-under-test\r\n\r\n", 508, "error=proxy_loop_detected"},
		"no backend":            {alone, getRoot, 503, "error=destination_unavailable"},
		"a route's answer":      {fixed(proxy.Decision{Respond: &proxy.Respond{Status: 418}}), getRoot, 418, "details="},
		"a broken one":          {fixed(proxy.Decision{Respond: &proxy.Respond{Status: 1}}), getRoot, 500, "error=proxy_configuration_error"},
		"a route's fault":       {fixed(proxy.Decision{Fault: &proxy.Fault{Status: 404, Type: "http_request_denied"}}), getRoot, 404, "error=http_request_denied"},
		"OPTIONS that end here": {alone, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", 200, "details="},
		"refused":               {backed(func(t *testing.T) netip.AddrPort { return refusing(t) }), getRoot, 502, "error=connection_refused"},
		"cut":                   {backed(playing(walksOff)), getRoot, 502, "error=http_response_incomplete"},
		"garbage":               {backed(playing(answers("SSH-2.0-x\r\n"))), getRoot, 502, "error=http_protocol_error"},
		"no answer":             {backed(playing(hangs)), getRoot, 504, "error=http_response_timeout"},
		"the request's timeout": {overdueAfter(50 * time.Millisecond), getRoot, 504, "error=http_response_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			got := newSidecar(t, row.sidecar(t)...).exchange(t, row.request)
			status := got.Header.Get("Proxy-Status")
			if got.StatusCode != row.status || !strings.HasPrefix(status, "sidecar-under-test; ") || !strings.Contains(status, row.want) {
				t.Errorf("got %s with Proxy-Status %q, want %d with %s", got.Status, status, row.status, row.want)
			}
		})
	}
}

// overdueAfter has a backend that never answers a request with a timeout.
func overdueAfter(timeout time.Duration) func(*testing.T) []option {
	return func(t *testing.T) []option {
		c := newCluster("app", cluster.Policy{
			Connect: patience, Response: patience, StreamIdle: patience, UpstreamIdle: patience,
		}, newUpstream(t, hangs).addr)
		return []option{func(s *setup) { s.router = decided{proxy.Decision{Cluster: c, Timeout: timeout}} }}
	}
}

func TestAFullClustersAnswerHasAProxyStatus(t *testing.T) {
	up := newUpstream(t, hangs)
	s := newSidecar(t, to(up), func(s *setup) { s.policy.MaxInFlight = 1 })
	dialRaw(t, s.addr).send(getRoot)
	until(t, "the first request is there", func() bool { return len(up.requests()) == 1 })
	expectFault(t, s.exchange(t, getRoot), http.StatusServiceUnavailable, "connection_limit_reached")
}
