package http1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"outrider/sidecar/http1"
)

// outcome is all that a parser says about some bytes.
type outcome struct {
	done    bool
	err     error
	meaning string
}

func requestOutcome(r *http1.Request, done bool, err error, buf []byte) outcome {
	if !done {
		return outcome{done: done, err: err}
	}
	return outcome{done, err, fmt.Sprintf("%+v %d %q", meaningOf(r, buf), r.Size, fieldsOf(&r.Head, buf))}
}

func responseOutcome(r *http1.Response, done bool, err error, buf []byte) outcome {
	if !done {
		return outcome{done: done, err: err}
	}
	return outcome{done, err, fmt.Sprintf("%d %d %q %v %v %d %q", r.Minor, r.Status, r.Reason.Of(buf),
		r.Body(false), r.Persistent(), r.Size, fieldsOf(&r.Head, buf))}
}

func fieldsOf(h *http1.Head, buf []byte) (all []string) {
	for _, f := range h.Fields {
		all = append(all, fmt.Sprintf("%s=%s", f.Name.Of(buf), f.Value.Of(buf)))
	}
	return all
}

// sameInPieces fails unless a head means the same when it arrives byte by byte,
// in buffers that are never the same, as when it arrives at once. It returns what
// it means.
func sameInPieces(t rapid.TB, raw []byte) (request, response outcome) {
	t.Helper()
	return sameRequestInPieces(t, raw), sameResponseInPieces(t, raw)
}

func sameRequestInPieces(t rapid.TB, raw []byte) outcome {
	t.Helper()
	var whole, pieces http1.Request
	done, err := whole.Parse(raw, limits())
	atOnce := requestOutcome(&whole, done, err, raw)
	for end := range len(raw) + 1 {
		buf := append([]byte(nil), raw[:end]...)
		if done, err = pieces.Parse(buf, limits()); done || err != nil {
			break
		}
	}
	if got := requestOutcome(&pieces, done, err, raw); got != atOnce {
		t.Fatalf("%q\nat once      %+v\nbyte by byte %+v", raw, atOnce, got)
	}
	return atOnce
}

func sameResponseInPieces(t rapid.TB, raw []byte) outcome {
	t.Helper()
	var whole, pieces http1.Response
	done, err := whole.Parse(raw, limits())
	atOnce := responseOutcome(&whole, done, err, raw)
	for end := range len(raw) + 1 {
		buf := append([]byte(nil), raw[:end]...)
		if done, err = pieces.Parse(buf, limits()); done || err != nil {
			break
		}
	}
	if got := responseOutcome(&pieces, done, err, raw); got != atOnce {
		t.Fatalf("%q\nat once      %+v\nbyte by byte %+v", raw, atOnce, got)
	}
	return atOnce
}

// headFields are lines that any head may have.
func headFields(t *rapid.T) string {
	name := rapid.StringMatching("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}").Filter(func(name string) bool {
		switch strings.ToLower(name) {
		case "host", "expect", "content-length", "transfer-encoding":
			return false
		}
		return true
	})
	value := rapid.StringMatching("[ \t]*[\t -~\u0080-\u00ff]{0,40}[ \t]*")
	var b strings.Builder
	for range rapid.IntRange(0, 10).Draw(t, "fields") {
		fmt.Fprintf(&b, "%s:%s\r\n", name.Draw(t, "name"), value.Draw(t, "value"))
	}
	b.WriteString(rapid.SampledFrom([]string{
		"", "Content-Length: 5\r\n", "content-length:0\r\n", "Transfer-Encoding: chunked\r\n",
	}).Draw(t, "framing"))
	return b.String()
}

func TestEveryPrefixOfARequestIsIncomplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SampledFrom([]string{"", "\r\n"}).Draw(t, "before") +
			rapid.SampledFrom([]string{"GET", "HEAD", "POST", "M-SEARCH", "!"}).Draw(t, "method") +
			rapid.SampledFrom([]string{" /", " http://h:1/", " HTTPS://[::1]?"}).Draw(t, "start") +
			rapid.StringMatching(`[!"$-~]{0,30}`).Draw(t, "target") +
			" HTTP/1.1\r\nHost: a\r\n" + headFields(t) + "\r\n"
		for end := range len(raw) {
			var r http1.Request
			if done, err := r.Parse([]byte(raw[:end]), limits()); done || err != nil {
				t.Fatalf("%q: done %v, %v", raw[:end], done, err)
			}
		}
		if got := sameRequestInPieces(t, []byte(raw)); !got.done {
			t.Fatalf("%q: %+v", raw, got)
		}
	})
}

func TestEveryPrefixOfAResponseIsIncomplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringMatching("HTTP/1[.]1 [1-5][0-9]{2}( [\t -~\u0080-\u00ff]{0,20})?\r\n").Draw(t, "line") + headFields(t) + "\r\n"
		for end := range len(raw) {
			var r http1.Response
			if done, err := r.Parse([]byte(raw[:end]), limits()); done || err != nil {
				t.Fatalf("%q: done %v, %v", raw[:end], done, err)
			}
		}
		if got := sameResponseInPieces(t, []byte(raw)); !got.done {
			t.Fatalf("%q: %+v", raw, got)
		}
	})
}

func TestHeadsMeanTheSameHoweverTheyArrive(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		"GET", "POST", " ", "/", "*", "HTTP/1.1", "HTTP/1.0", "\r\n", "\r", "\n", "Host: a\r\n", "X", ":", "\t", "\x00", "200",
		"Content-Length: 5\r\n", "Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n", "Expect: x\r\n",
		"GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n",
	})
	rapid.Check(t, func(t *rapid.T) {
		sameInPieces(t, []byte(strings.Join(rapid.SliceOfN(pieces, 0, 20).Draw(t, "raw"), "")))
	})
}

func TestLimitsHoldHoweverAHeadArrives(t *testing.T) {
	small := http1.Limits{Head: 60, Fields: 3}
	const frame = "GET / HTTP/1.1\r\nHost: a\r\n"
	for size := range 70 {
		raw := frame + "X: " + strings.Repeat("x", size) + "\r\n\r\n"
		want := error(nil)
		if len(raw) > small.Head {
			want = http1.ErrHeadTooLarge
		}
		var r http1.Request
		for end := range len(raw) + 1 {
			done, err := r.Parse([]byte(raw[:end]), small)
			if err == nil && !done {
				continue
			}
			if !errors.Is(err, want) || end != min(len(raw), small.Head) {
				t.Fatalf("%d bytes of %d: done %v, %v", end, len(raw), done, err)
			}
			break
		}
	}
}
