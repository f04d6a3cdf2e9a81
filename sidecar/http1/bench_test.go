package http1_test

import (
	"testing"

	"outrider/sidecar/http1"
)

const benchRequest = "GET /one/two?x=1 HTTP/1.1\r\nHost: 127.0.0.1:6188\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n" +
	"X-Some-Header: a value that is rather longer than others\r\nCookie: a=b; c=d\r\n\r\n"

func BenchmarkRequestHead(b *testing.B) {
	buf := []byte(benchRequest)
	var r http1.Request
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		r.Reset()
		mustParse(b, &r, buf)
	}
}

func BenchmarkResponseHead(b *testing.B) {
	buf := []byte(sampleResponse)
	var r http1.Response
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		r.Reset()
		mustParse(b, &r, buf)
	}
}

func BenchmarkChunkedBody(b *testing.B) {
	wire := []byte(sampleChunks)
	var body http1.Body
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		body.Start(http1.Framing{Kind: http1.Chunked})
		mustDecode(b, &body, wire)
	}
}
