package proxy

import (
	"testing"

	"outrider/sidecar/cluster"
	"outrider/sidecar/http1"
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
		server: &Server{options: Options{Name: "outrider"}},
		client: &client{listener: &Listener{}, ip: "127.0.0.1"},
		policy: &cluster.Policy{},
		head:   []byte(head),
	}
	if done, err := x.req.Parse(x.head, http1.Limits{Head: 64 << 10, Fields: 128}); !done || err != nil {
		b.Fatal(done, err)
	}
	return x
}
