package http1_test

import (
	"testing"

	"outrider/sidecar/http1"
)

const (
	sampleRequest = "POST /one/two?x=1 HTTP/1.1\r\nHost: [::1]:6188\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n" +
		"X-Some-Header: a value that is rather longer than others\r\nCookie: a=b; c=d\r\n" +
		"Connection: keep-alive, x-a\r\nTransfer-Encoding: chunked\r\n\r\n"
	sampleResponse = "HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\r\n"
	sampleChunks = "1000;x=y\r\n" + kilobyte + kilobyte + kilobyte + kilobyte + "\r\n5\r\nhello\r\n0\r\nA: 1\r\n\r\n"
	kilobyte     = hundred28 + hundred28 + hundred28 + hundred28 + hundred28 + hundred28 + hundred28 + hundred28
	hundred28    = sixteen + sixteen + sixteen + sixteen + sixteen + sixteen + sixteen + sixteen
	sixteen      = "0123456789abcdef"
)

func TestNothingIsAllocatedInSteadyState(t *testing.T) {
	request, response, chunks := []byte(sampleRequest), []byte(sampleResponse), []byte(sampleChunks)
	var req http1.Request
	var resp http1.Response
	var body http1.Body
	out := make([]byte, 0, 1024)
	for name, once := range map[string]func(){
		"request": func() {
			req.Reset()
			mustParse(t, &req, request)
			req.Nominated(request, []byte("X-A"))
			req.Body()
		},
		"request in pieces": func() {
			req.Reset()
			for end := range len(request) {
				if done, err := req.Parse(request[:end], limits()); done || err != nil {
					t.Fatal(done, err)
				}
			}
			mustParse(t, &req, request)
		},
		"response": func() {
			resp.Reset()
			mustParse(t, &resp, response)
		},
		"chunked body": func() {
			body.Start(http1.Framing{Kind: http1.Chunked})
			mustDecode(t, &body, chunks)
		},
		"appending": func() {
			out = http1.AppendStatusLine(out[:0], 200, response[13:15])
			out = http1.AppendFraming(out, http1.Framing{Kind: http1.Length, Length: 1 << 40})
			out, _ = http1.AppendField(out, "X-A", response[:8])
			out, _ = http1.AppendField(out, "X-A", "value")
			out = http1.AppendChunkSize(out, 1<<20)
		},
	} {
		if n := testing.AllocsPerRun(100, once); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

type head interface {
	Parse(buf []byte, lim http1.Limits) (bool, error)
}

func mustParse(tb testing.TB, h head, buf []byte) {
	if done, err := h.Parse(buf, limits()); !done || err != nil {
		tb.Fatal(done, err)
	}
}

func mustDecode(tb testing.TB, b *http1.Body, wire []byte) {
	for !b.Done() {
		_, n, err := b.Next(wire)
		if n == 0 || err != nil {
			tb.Fatal(n, err)
		}
		wire = wire[n:]
	}
}
