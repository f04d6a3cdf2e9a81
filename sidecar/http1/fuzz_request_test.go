package http1_test

import (
	"bytes"
	"net/http"
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"outrider/sidecar/http1"
)

// requestTricks are the ways of request smuggling that are known from the
// literature, to start from.
func requestTricks() []string {
	const get, post = "GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\nHost: a\r\n"
	const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
	return []string{
		sampleRequest + "5;a=b\r\nhello\r\n0\r\nA: 1\r\n\r\n",
		benchRequest,
		get + "\r\n" + smuggled,
		"\r\n" + get + "\r\n",
		"\n" + get + "\r\n",
		"\r\n\r\n" + get + "\r\n",
		post + "Content-Length: 5\r\n\r\nabcde" + smuggled,
		post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + smuggled,
		post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
		post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcdef",
		post + "Content-Length: 5\r\nContent-Length: 05\r\n\r\nabcdef",
		post + "Content-Length: 5, 5\r\n\r\nabcde",
		post + "Content-Length: +5\r\n\r\nabcde",
		post + "Content-Length: -5\r\n\r\nabcde",
		post + "Content-Length: 0x5\r\n\r\nabcde",
		post + "Content-Length: 005\r\n\r\nabcde",
		post + "Content-Length: 5 5\r\n\r\nabcde",
		post + "Content-Length:\r\n\r\nabcde",
		post + "Content-Length : 5\r\n\r\nabcde",
		post + "Content-Length\t: 5\r\n\r\nabcde",
		post + "Content_Length: 5\r\n\r\nabcde",
		post + "Content-Length: 18446744073709551621\r\n\r\nabcde",
		post + "Content-Length: 9223372036854775807\r\n\r\nabcde",
		post + "Content-Length: 1000000000000000000\r\n\r\nabcde",
		post + " Content-Length: 5\r\n\r\nabcde",
		post + "X: x\r\n Content-Length: 5\r\n\r\nabcde",
		post + "X: x\nContent-Length: 5\r\n\r\nabcde",
		post + "X: x\rContent-Length: 5\r\n\r\nabcde",
		post + "X: x\r\n\tContent-Length: 5\r\n\r\nabcde",
		post + "X: x\x00\r\nContent-Length: 5\r\n\r\nabcde",
		post + "X\x00: x\r\n\r\n",
		post + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nabcde\r\n0\r\n\r\n" + smuggled,
		post + "Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n0\r\nA: 1\r\n\r\n" + smuggled,
		post + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\nContent-Length: 1\r\n\r\n" + smuggled,
		post + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nA: 1\n\r\n" + smuggled,
		post + "Transfer-Encoding: chunked\r\n\r\n5;\nabcde\r\n0\r\n\r\n" + smuggled,
		post + "Transfer-Encoding: Chunked \r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nab",
		"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
		get + "Host: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "GET / HTTP/1.1\r\nHost: %61\r\n\r\n",
		"GET http://b/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET HTTPS://[::ffff:1.2.3.4]:8443/p HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://[::1%25lo]/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", "GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%00/%2e%2e;/\\ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /? HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "GET / / HTTP/1.1\r\nHost: a\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / HTTP/0.9\r\n\r\n", "GET /\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		get + "Connection: close, x\r\nExpect: 100-continue\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
		get + "Pragma: no-cache\r\nDate:\t\x80 \r\n!: \r\n\r\n",
		"\x16\x03\x01\x02\x00",
	}
}

// FuzzRequest holds the parser against Go's: what both accept means the same.
func FuzzRequest(f *testing.F) {
	for _, raw := range requestTricks() {
		f.Add([]byte(raw))
	}
	f.Fuzz(compareRequest)
}

func compareRequest(t *testing.T, raw []byte) {
	if len(raw) < 4<<10 {
		sameRequestInPieces(t, raw)
	}
	var ours http1.Request
	done, err := ours.Parse(raw, limits())
	if err != nil {
		return // refusing is always allowed
	}
	br := newReader(raw)
	theirs, theirErr := http.ReadRequest(br.Reader)
	switch {
	case !done && theirErr == nil:
		t.Fatalf("%q: we wait for more, they are content", raw)
	case !done, theirErr != nil && excused(raw, &ours.Head, requestExcuses(&ours)):
		return
	case theirErr != nil:
		t.Fatalf("%q: we accept it, they say %v", raw, theirErr)
	}
	sameRequest(t, &ours, raw, theirs, br)
}

func sameRequest(t rapid.TB, ours *http1.Request, raw []byte, theirs *http.Request, br reader) {
	t.Helper()
	if br.taken() != ours.Size {
		t.Fatalf("%q: our head ends at %d, theirs at %d", raw, ours.Size, br.taken())
	}
	if theirs.Method != string(ours.Method.Of(raw)) || theirs.ProtoMajor != 1 || theirs.ProtoMinor != ours.Minor {
		t.Fatalf("%q: they read %s and %s", raw, theirs.Method, theirs.Proto)
	}
	if theirs.Close == ours.Persistent() {
		t.Fatalf("%q: persistent %v, they close %v", raw, ours.Persistent(), theirs.Close)
	}
	sameTarget(t, ours, raw, theirs)
	sameFields(t, &ours.Head, raw, theirs.Header, "Host")
	sameLength(t, ours.Body(), theirs.ContentLength, theirs.TransferEncoding)
	sameBody(t, ours.Body(), raw[ours.Size:], theirs.Body, func() int { return br.taken() - ours.Size }, &theirs.Trailer)
}

func requestExcuses(r *http1.Request) []excuse {
	badEscape := regexp.MustCompile("%([^0-9A-Fa-f]|.[^0-9A-Fa-f]|.?$)")
	return append(headExcuses(),
		excuse{"one empty line before a request line is to be ignored (RFC 9112, 2.2)", func(raw []byte, _ *http1.Head) bool {
			return bytes.HasPrefix(raw, []byte("\r\n"))
		}},
		excuse{"a percent sign that encodes nothing: the path is sent on as received, and never decoded here", func(raw []byte, _ *http1.Head) bool {
			return badEscape.Match(r.Path.Of(raw))
		}},
	)
}

func TestEveryExcuseIsNeeded(t *testing.T) {
	needed := map[string]bool{}
	var known []excuse
	for _, trick := range requestTricks() {
		raw := []byte(trick)
		var ours http1.Request
		done, err := ours.Parse(raw, limits())
		if _, theirErr := http.ReadRequest(newReader(raw).Reader); !done || err != nil || theirErr == nil {
			continue
		}
		known = requestExcuses(&ours)
		for _, e := range known {
			if e.applies(raw, &ours.Head) {
				needed[e.why] = true
			}
		}
	}
	for _, e := range known {
		if !needed[e.why] {
			t.Errorf("nobody needs: %s", e.why)
		}
	}
	if len(known) == 0 {
		t.Error("there is none")
	}
}
