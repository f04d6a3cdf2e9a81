package proxy

import (
	"testing"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// BenchmarkForwarded is what the X-Forwarded fields of a plain client cost.
func BenchmarkForwarded(b *testing.B) {
	x := readExchange(b, "GET /one/two?x=1 HTTP/1.1\r\nHost: 127.0.0.1:6188\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = x.appendForwarded(dst[:0])
	}
}

// BenchmarkUpstreamHead is the whole head that goes upstream, with Via and the request's id.
func BenchmarkUpstreamHead(b *testing.B) {
	x := readExchange(b, "GET /one/two?x=1 HTTP/1.1\r\nHost: 127.0.0.1:6188\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = x.appendRequestHead(dst[:0])
	}
}

// BenchmarkVia is the field, and the look whether the request has been here before.
func BenchmarkVia(b *testing.B) {
	x := readExchange(b, "GET /one/two?x=1 HTTP/1.1\r\nHost: 127.0.0.1:6188\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		if x.req.Via(x.head, x.settings.Name) {
			b.Fatal("a loop")
		}
		dst = x.appendVia(dst[:0])
	}
}

// BenchmarkSummary is what is measured of an exchange for its log line and the counters: six looks at the clock.
func BenchmarkSummary(b *testing.B) {
	x := readExchange(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	x.settings.Steps, x.server.born = true, time.Now()
	b.ReportAllocs()
	for b.Loop() {
		x.started = x.server.clock()
		for p := Routing; p <= Answering; p++ {
			x.reach(p)
		}
		x.summarise()
	}
}

// BenchmarkLimits is what the time limits of an exchange cost: each is a number in a connection.
func BenchmarkLimits(b *testing.B) {
	x := readExchange(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	x.policy = &cluster.Policy{Response: time.Second, StreamIdle: time.Second}
	var client, backend stream.Conn
	b.ReportAllocs()
	for b.Loop() {
		backend.SetReadLimit(x.within(x.policy.Response))
		backend.SetWriteLimit(x.within(x.policy.StreamIdle))
		backend.SetReadLimit(x.policy.StreamIdle)
		client.SetWriteLimit(x.policy.StreamIdle)
		client.SetReadLimit(x.policy.StreamIdle)
	}
}

// BenchmarkRequestID is a request's own id.
func BenchmarkRequestID(b *testing.B) {
	x := readExchange(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		x.makeID()
	}
}

// readExchange is an exchange that has read a request from a client of no special trust.
func readExchange(b *testing.B, head string) *exchange {
	b.Helper()
	x := &exchange{
		server:   &Server{},
		settings: &Settings{Name: "outrider"},
		terms:    &Terms{},
		client:   &client{listener: &Listener{}, ip: "127.0.0.1"},
		policy:   &cluster.Policy{},
		head:     []byte(head),
	}
	if done, err := x.req.Parse(x.head, http1.Limits{Head: 64 << 10, Fields: 128}); !done || err != nil {
		b.Fatal(done, err)
	}
	return x
}
