package http2

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"outrider/sidecar/http1"
)

// drawnHeader holds fields as net/http lets them pass from a stream, and worse.
func drawnHeader(t *rapid.T) http.Header {
	name := rapid.SampledFrom([]string{"Accept", "Content-Length", "Transfer-Encoding", "Connection", "Host", "X-A", "Te", "Cookie", "Upgrade", "X-A: b", "X\r\nY", ""})
	value := rapid.StringOf(rapid.RuneFrom([]rune("ab 0:,;=\t\r\n\x00é%")))
	header := http.Header{}
	for range rapid.IntRange(0, 5).Draw(t, "fields") {
		n := name.Draw(t, "name")
		v := value.Draw(t, "value")
		if n == "Content-Length" {
			v = rapid.SampledFrom([]string{"0", "5", "05", "+5", "6", "5, 5", "-1", ""}).Draw(t, "length")
		}
		header[n] = append(header[n], v)
	}
	return header
}

// What is written is one message, with the fields that were given and no other, and
// the body is the one that was given; or it is refused.
func TestARequestIsWrittenWholeOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 40_000).Draw(t, "body")
		r := &http.Request{
			Method:     rapid.SampledFrom([]string{"GET", "POST", "CONNECT", "G T", "GET / HTTP/1.1\r\nX: ", ""}).Draw(t, "method"),
			RequestURI: rapid.SampledFrom([]string{"/", "*", "/a?b=c", "/ HTTP/1.1\r\nX: y", "http://other/", "//a", "/\x00", ""}).Draw(t, "path"),
			Host:       rapid.SampledFrom([]string{"a", "a:80", "", "a\r\nX: y"}).Draw(t, "host"),
			Header:     drawnHeader(t),
			Body:       io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		}
		if rapid.Bool().Draw(t, "no length") {
			r.ContentLength = -1
		}
		head, chunked, err := appendRequest(nil, r)
		if err != nil {
			return
		}
		var parsed http1.Request
		done, err := parsed.Parse(head, http1.Limits{Head: 1 << 20, Fields: 1000})
		if err != nil {
			return // the engine refuses it: it is two-faced, such as by two hosts
		}
		if !done || parsed.Size != len(head) {
			t.Fatalf("%q is not one head", head)
		}
		given := 0
		for name, values := range r.Header {
			if name != "Host" && name != "Content-Length" {
				given += len(values)
			}
		}
		own := 0
		for _, f := range parsed.Fields {
			switch f.ID {
			case http1.Host, http1.ContentLength, http1.TransferEncoding, http1.Connection, http1.Trailer:
				own++
			default:
				if name := string(f.Name.Of(head)); !slices.ContainsFunc(r.Header[name], func(v string) bool { return strings.Trim(v, " \t") == string(f.Value.Of(head)) }) {
					t.Fatalf("%q has a field %s that nobody gave", head, name)
				}
			}
		}
		if len(parsed.Fields)-own != given {
			t.Fatalf("%q has %d fields, of %v", head, len(parsed.Fields)-own, r.Header)
		}
		var text bytes.Buffer
		if err := writeBody(&text, r.Body, chunked, func() http.Header { return nil }); err != nil {
			t.Fatal(err)
		}
		got := requestBody{from: bufio.NewReaderSize(&text, 2*http1.MaxPending)}
		got.state.Start(parsed.Body())
		if r.ContentLength == 0 {
			return
		}
		if whole, err := io.ReadAll(&got); err != nil || !bytes.Equal(whole, body) || text.Len() > 0 {
			t.Fatalf("%d of %d bytes came, %d are left: %v", len(whole), len(body), text.Len(), err)
		}
	})
}

func TestAResponseIsWrittenWholeOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 40_000).Draw(t, "body")
		r := &http.Response{
			StatusCode: rapid.SampledFrom([]int{200, 204, 304, 404, 599}).Draw(t, "status"), Header: drawnHeader(t),
			Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		}
		if rapid.Bool().Draw(t, "no length") {
			r.ContentLength = -1
		}
		if rapid.Bool().Draw(t, "trailers") {
			r.Trailer = http.Header{"X-Sum": {"1"}}
		}
		head, chunked, err := appendResponse(nil, r, false)
		if err != nil {
			return
		}
		text := bytes.NewBuffer(head)
		if http1.BodyAllowed(r.StatusCode, false) {
			if err := writeBody(text, r.Body, chunked, func() http.Header { return r.Trailer }); err != nil {
				t.Fatal(err)
			}
		} else {
			body = nil
		}
		from := bufio.NewReader(text)
		got, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		whole, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(whole, body) || from.Buffered() > 0 || got.StatusCode != r.StatusCode || !got.Close {
			t.Fatalf("%q: %d of %d bytes came, %d are left: %v", head, len(whole), len(body), from.Buffered(), err)
		}
		if hasBody := http1.BodyAllowed(r.StatusCode, false) && r.ContentLength != 0; hasBody && r.Trailer != nil && got.Trailer.Get("X-Sum") != "1" {
			t.Fatalf("the trailers are %v", got.Trailer)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add("GET", "/a", "shop", "X-A", "b", int64(-1))
	f.Add("POST", "*", "a\r\nb", "Content-Length", "5", int64(5))
	f.Fuzz(func(t *testing.T, method, path, host, name, value string, length int64) {
		r := &http.Request{Method: method, RequestURI: path, Host: host, Header: http.Header{name: {value}}, ContentLength: length}
		head, _, err := appendRequest(nil, r)
		if err != nil {
			return
		}
		var parsed http1.Request
		if done, err := parsed.Parse(head, http1.Limits{Head: 1 << 20, Fields: 1000}); err == nil && (!done || parsed.Size != len(head)) {
			t.Errorf("%q is not one head", head)
		}
	})
}
