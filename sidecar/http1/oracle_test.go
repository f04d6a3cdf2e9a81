package http1_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"outrider/sidecar/http1"
)

// reader counts what Go's parser takes out of raw.
type reader struct {
	*bufio.Reader
	raw  []byte
	rest *bytes.Reader
}

func newReader(raw []byte) reader {
	rest := bytes.NewReader(raw)
	return reader{bufio.NewReaderSize(rest, 128<<10), raw, rest}
}

func (r reader) taken() int { return len(r.raw) - r.rest.Len() - r.Buffered() }

// excuse is a reason to accept what net/http refuses.
type excuse struct {
	why     string
	applies func(raw []byte, h *http1.Head) bool
}

// excused tells whether one of the excuses applies.
func excused(raw []byte, h *http1.Head, excuses []excuse) bool {
	return slices.ContainsFunc(excuses, func(e excuse) bool { return e.applies(raw, h) })
}

// The reasons that requests and responses share.
func headExcuses() []excuse {
	return []excuse{
		{"the same Content-Length twice, once with more leading zeros: it is one number, and is sent on as one", func(raw []byte, h *http1.Head) bool {
			spelled := map[string]bool{}
			for _, f := range h.Fields {
				if f.ID == http1.ContentLength {
					spelled[string(f.Value.Of(raw))] = true
				}
			}
			return len(spelled) > 1
		}},
		{"Trailer announces a field that no trailer may have: an announcement means nothing, and the field is judged when it comes", func(raw []byte, h *http1.Head) bool {
			for _, f := range h.Fields {
				if f.ID != http1.Trailer {
					continue
				}
				for token := range http1.Tokens(f.Value.Of(raw)) {
					switch strings.ToLower(string(token)) {
					case "trailer", "content-length", "transfer-encoding":
						return true
					}
				}
			}
			return false
		}},
	}
}

// sameFields fails unless Go found the same field lines, but for those that it
// takes out or puts in.
func sameFields(t rapid.TB, h *http1.Head, buf []byte, theirs http.Header, changed ...string) {
	t.Helper()
	ours := http.Header{}
	for _, f := range h.Fields {
		ours.Add(string(f.Name.Of(buf)), string(f.Value.Of(buf)))
	}
	theirs = theirs.Clone()
	if theirs.Get("Cache-Control") == "no-cache" && ours.Get("Cache-Control") == "" && ours.Get("Pragma") == "no-cache" {
		theirs.Del("Cache-Control") // Go derives it from Pragma
	}
	for _, name := range append(changed, "Transfer-Encoding", "Content-Length", "Trailer") {
		ours.Del(name)
		theirs.Del(name)
	}
	if !maps.EqualFunc(ours, theirs, slices.Equal) {
		t.Fatalf("%q\nour fields   %q\ntheir fields %q", buf, ours, theirs)
	}
}

// sameLength fails unless Go frames the body alike: its length is -1 for chunked
// and for until-close.
func sameLength(t rapid.TB, f http1.Framing, length int64, coding []string) {
	t.Helper()
	want := f.Length
	if f.Kind == http1.Chunked || f.Kind == http1.UntilClose {
		want = -1
	}
	if length != want || (len(coding) > 0) != (f.Kind == http1.Chunked) {
		t.Fatalf("we frame %+v, they %d %q", f, length, coding)
	}
}

// sameBody fails unless Go takes the same body out of the bytes behind a head,
// or both refuse it.
func sameBody(t rapid.TB, f http1.Framing, wire []byte, theirs io.Reader, taken func() int, trailer *http.Header) {
	t.Helper()
	got := take(t, f, wire, atOnce)
	var b http1.Body
	b.Start(f)
	whole := got.done || f.Kind == http1.UntilClose
	data, err := io.ReadAll(theirs)
	switch {
	case got.err == nil && !whole && err == nil:
		t.Fatalf("%q: we wait for more, they are content with %q", wire, data)
	case whole && err != nil && blankBeforeExtension(wire):
		return // Go refuses what RFC 9112, 7.1.1 wants to be tolerated
	case whole && err != nil:
		t.Fatalf("%q: we take %q, they say %v", wire, got.data, err)
	case !whole:
		return // refused or cut: nobody acts on it
	}
	if string(data) != got.data {
		t.Fatalf("%q\nour body   %q\ntheir body %q", wire, got.data, data)
	}
	if n := taken(); n != got.size {
		t.Fatalf("%q: our body ends at %d, theirs at %d", wire, got.size, n)
	}
	sameTrailers(t, got.trailers, *trailer)
}

func blankBeforeExtension(wire []byte) bool {
	return bytes.Contains(wire, []byte(" ;")) || bytes.Contains(wire, []byte("\t;"))
}

func sameTrailers(t rapid.TB, ours []string, theirs http.Header) {
	t.Helper()
	want := http.Header{}
	for _, field := range ours {
		name, value, _ := strings.Cut(field, "=")
		want.Add(name, value)
	}
	got := http.Header{}
	for name, values := range theirs {
		if values != nil { // nil is announced, but did not come
			got[name] = values
		}
	}
	if !maps.EqualFunc(want, got, slices.Equal) {
		t.Fatalf("our trailers %q\ntheir trailers %q", want, got)
	}
}

// sameTarget fails unless Go splits the target alike.
func sameTarget(t rapid.TB, r *http1.Request, buf []byte, theirs *http.Request) {
	t.Helper()
	path, err := url.PathUnescape(string(r.Path.Of(buf)))
	if err != nil {
		t.Fatalf("%q: %v", buf, err)
	}
	ours := fmt.Sprintf("%q %q %q %q", r.Target.Of(buf), path, r.Query.Of(buf), r.Authority.Of(buf))
	want := fmt.Sprintf("%q %q %q %q", theirs.RequestURI, theirs.URL.Path, theirs.URL.RawQuery, theirs.Host)
	hasQuery := theirs.URL.ForceQuery || theirs.URL.RawQuery != ""
	if ours != want || r.HasQuery != hasQuery {
		t.Fatalf("%q\nour target   %s\ntheir target %s", buf, ours, want)
	}
}
