package http1_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"outrider/sidecar/http1"
)

func responseTricks() []string {
	const ok = "HTTP/1.1 200 OK\r\n"
	return []string{
		sampleResponse + "hello, world",
		ok + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: 1\r\n\r\n" + ok,
		ok + "\r\nuntil close",
		"HTTP/1.0 200 OK\r\n\r\nuntil close",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nab",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
		ok + "Content-Length: 5\r\nContent-Length: 05\r\n\r\nabcdef",
		ok + "Content-Length: 5, 5\r\n\r\nabcde",
		ok + "Content-Length: +5\r\n\r\nabcde",
		ok + "Content-Length: 9999999999999999999\r\n\r\nabcde",
		ok + "Content-Length : 5\r\n\r\nabcde",
		ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\nTrailer: A, Content-Length\r\n\r\n0\r\nA: 1\r\n\r\n",
		ok + "Connection: close, x\r\n\r\nabc",
		ok + "X: x\r\n y\r\n\r\n", ok + " X: x\r\n\r\n", ok + "X: x\n\n", ok + "X: \x00\r\n\r\n", ok + "Pragma: no-cache\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n" + ok + "\r\n",
		"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nabcde",
		"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nabcde",
		"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\nabcde",
		"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\nabcde",
		"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 200\tOK\r\n\r\n",
		"HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 999 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.2 200 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "<html>",
		"HTTP/1.1 200 O\x00K\r\n\r\n", "HTTP/1.1 200 O\rK\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n",
	}
}

// FuzzResponse holds the parser against Go's: what both accept means the same.
func FuzzResponse(f *testing.F) {
	for _, raw := range responseTricks() {
		f.Add([]byte(raw), false)
		f.Add([]byte(raw), true)
	}
	f.Fuzz(compareResponse)
}

func compareResponse(t *testing.T, raw []byte, toHead bool) {
	if len(raw) < 4<<10 {
		sameResponseInPieces(t, raw)
	}
	var ours http1.Response
	done, err := ours.Parse(raw, limits())
	if err != nil {
		return // refusing is always allowed
	}
	br := newReader(raw)
	theirs, theirErr := http.ReadResponse(br.Reader, &http.Request{Method: map[bool]string{false: "GET", true: "HEAD"}[toHead]})
	switch {
	case !done && theirErr == nil:
		t.Fatalf("%q: we wait for more, they are content", raw)
	case !done, theirErr != nil && excused(raw, &ours.Head, headExcuses()):
		return
	case theirErr != nil:
		t.Fatalf("%q: we accept it, they say %v", raw, theirErr)
	}
	sameResponse(t, &ours, toHead, raw, theirs, br)
}

func sameResponse(t rapid.TB, ours *http1.Response, toHead bool, raw []byte, theirs *http.Response, br reader) {
	t.Helper()
	if br.taken() != ours.Size {
		t.Fatalf("%q: our head ends at %d, theirs at %d", raw, ours.Size, br.taken())
	}
	status := strconv.Itoa(ours.Status) + " " + string(ours.Reason.Of(raw))
	if strings.TrimRight(theirs.Status, " ") != strings.TrimRight(status, " ") || theirs.StatusCode != ours.Status ||
		theirs.ProtoMajor != 1 || theirs.ProtoMinor != ours.Minor {
		t.Fatalf("%q: we read %q, they %s %q", raw, status, theirs.Proto, theirs.Status)
	}
	framing := ours.Body(toHead)
	if closes := !ours.Persistent() || framing.Kind == http1.UntilClose; theirs.Close != closes {
		t.Fatalf("%q: we close %v, they %v", raw, closes, theirs.Close)
	}
	if theirs.Close {
		sameFields(t, &ours.Head, raw, theirs.Header, "Connection")
	} else {
		sameFields(t, &ours.Head, raw, theirs.Header)
	}
	if http1.BodyAllowed(ours.Status, toHead) {
		sameLength(t, framing, theirs.ContentLength, theirs.TransferEncoding)
	}
	sameBody(t, framing, raw[ours.Size:], theirs.Body, func() int { return br.taken() - ours.Size }, &theirs.Trailer)
}
