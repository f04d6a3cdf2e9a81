package http1_test

import (
	"errors"
	"strings"
	"testing"

	"outrider/sidecar/http1"
)

func limits() http1.Limits { return http1.Limits{Head: 64 << 10, Fields: 128} }

// requestHead is what a request head means, spelled out.
type requestHead struct {
	method, target, path, query, authority string
	form                                   http1.Form
	minor                                  int
	framing                                http1.Framing
	closes, upgrades, expects, nominates   bool
}

func meaningOf(r *http1.Request, buf []byte) requestHead {
	return requestHead{
		method:    string(r.Method.Of(buf)),
		target:    string(r.Target.Of(buf)),
		path:      string(r.Path.Of(buf)),
		query:     string(r.Query.Of(buf)),
		authority: string(r.Authority.Of(buf)),
		form:      r.Form,
		minor:     r.Minor,
		framing:   r.Body(),
		closes:    !r.Persistent(),
		upgrades:  r.Upgrade,
		expects:   r.ExpectContinue,
		nominates: r.Nominates,
	}
}

// get is the head that most rows vary.
func get(vary func(*requestHead)) requestHead {
	h := requestHead{method: "GET", target: "/", path: "/", authority: "a", minor: 1}
	if vary != nil {
		vary(&h)
	}
	return h
}

func length(n int64) http1.Framing { return http1.Framing{Kind: http1.Length, Length: n} }

func TestRequestHeadsMeanWhatTheySay(t *testing.T) {
	for _, row := range []struct {
		name, raw string
		want      requestHead
	}{
		{"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", get(nil)},
		{"one empty line before it", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", get(nil)},
		{"no blank behind the colon", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", get(nil)},
		{"blanks and tabs around a value", "GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n", get(nil)},
		{"a field without a value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t\r\n\r\n", get(nil)},
		{"a tab and 8-bit text inside a value", "GET / HTTP/1.1\r\nHost: a\r\nX: 1234567\tb\xff\x80c\r\n\r\n", get(nil)},
		{"any case of a field name", "GET / HTTP/1.1\r\nhOsT: a\r\n\r\n", get(nil)},
		{"a query", "GET /p?q=1?2 HTTP/1.1\r\nHost: a\r\n\r\n", get(func(h *requestHead) {
			h.target, h.path, h.query = "/p?q=1?2", "/p", "q=1?2"
		})},
		{"a path that stays as received", "GET //x/../%2e%zz\\;a{|}\"<>^` HTTP/1.1\r\nHost: a\r\n\r\n", get(func(h *requestHead) {
			h.target = "//x/../%2e%zz\\;a{|}\"<>^`"
			h.path = h.target
		})},
		{"a method that nobody knows", "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", get(func(h *requestHead) { h.method = "M-SEARCH" })},
		{"a host with a port", "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", get(func(h *requestHead) { h.authority = "a:80" })},
		{"a host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", get(func(h *requestHead) { h.authority = "a:" })},
		{"an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", get(func(h *requestHead) { h.authority = "[::1]:80" })},
		{"the absolute form goes before Host", "GET http://b:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n", get(func(h *requestHead) {
			h.target, h.path, h.query, h.authority, h.form = "http://b:1/p?q", "/p", "q", "b:1", http1.Absolute
		})},
		{"the absolute form goes before Host wherever it stands", "GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n", get(func(h *requestHead) {
			h.target, h.path, h.authority, h.form = "HTTPS://b", "", "b", http1.Absolute
		})},
		{"the absolute form with a query alone", "GET http://b?/q HTTP/1.1\r\nHost: a\r\n\r\n", get(func(h *requestHead) {
			h.target, h.path, h.query, h.authority, h.form = "http://b?/q", "", "/q", "b", http1.Absolute
		})},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", get(func(h *requestHead) {
			h.method, h.target, h.path, h.form = "OPTIONS", "*", "*", http1.Asterisk
		})},
		{"1.0 without a host", "GET / HTTP/1.0\r\n\r\n", get(func(h *requestHead) { h.authority, h.minor, h.closes = "", 0, true })},
		{"1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", get(func(h *requestHead) { h.authority, h.minor = "", 0 })},
		{"1.0 knows no 100-continue", "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", get(func(h *requestHead) {
			h.authority, h.minor, h.closes = "", 0, true
		})},
		{"100-continue", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n", get(func(h *requestHead) { h.expects = true })},
		{"close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, CLOSE\r\n\r\n", get(func(h *requestHead) { h.closes = true })},
		{"upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: ,\t,upgrade,\r\n\r\n", get(func(h *requestHead) { h.upgrades = true })},
		{"nominated fields", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: x-a\r\n\r\n", get(func(h *requestHead) {
			h.closes, h.nominates = true, true
		})},
		{"as many connection options as can be", "GET / HTTP/1.1\r\nHost: a\r\nConnection: " + strings.Repeat("a,", 511) + "\r\nConnection: ,a\r\n\r\n", get(func(h *requestHead) {
			h.nominates = true
		})},
		{"a length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", get(func(h *requestHead) { h.framing = length(5) })},
		{"a length of zero", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", get(func(h *requestHead) {
			h.framing = http1.Framing{Declared: true}
		})},
		{"a length with leading zeros is not octal", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0010\r\n\r\n", get(func(h *requestHead) {
			h.framing = length(10)
		})},
		{"the same length twice", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n", get(func(h *requestHead) {
			h.framing = length(5)
		})},
		{"the greatest length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", get(func(h *requestHead) {
			h.framing = length(999999999999999999)
		})},
		{"chunked", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tChunked \r\n\r\n", get(func(h *requestHead) {
			h.framing = http1.Framing{Kind: http1.Chunked}
		})},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r http1.Request
			buf := []byte(row.raw + "what follows")
			done, err := r.Parse(buf, limits())
			if !done || err != nil {
				t.Fatalf("done %v, %v", done, err)
			}
			if r.Size != len(row.raw) {
				t.Errorf("size %d, want %d", r.Size, len(row.raw))
			}
			if got := meaningOf(&r, buf); got != row.want {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
		})
	}
}

func refuses(t *testing.T, raw string, want error) {
	t.Helper()
	var r http1.Request
	for range 2 { // asking again does not help
		if done, err := r.Parse([]byte(raw), limits()); done || !errors.Is(err, want) {
			t.Fatalf("%q: done %v, error %v, want %v", raw, done, err, want)
		}
	}
	if _, ok := errors.AsType[*http1.Error](want); !ok {
		t.Errorf("%v tells no status", want)
	}
}

func TestRequestLinesThatBreakTheGrammarAreRefused(t *testing.T) {
	const rest = "\r\nHost: a\r\n\r\n"
	for _, row := range []struct {
		name, line string
		want       error
	}{
		{"TLS", "\x16\x03\x01\x02", http1.ErrTLS},
		{"a bare LF before it", "\nGET / HTTP/1.1", http1.ErrBareLF},
		{"two empty lines before it", "\r\n\r\nGET / HTTP/1.1", http1.ErrRequestLine},
		{"a bare CR before it", "\rGET / HTTP/1.1", http1.ErrRequestLine},
		{"a blank before it", " GET / HTTP/1.1", http1.ErrNotHTTP},
		{"a blank behind an empty line", "\r\n GET / HTTP/1.1", http1.ErrRequestLine},
		{"a NUL", "\x00", http1.ErrNotHTTP},
		{"a bare LF behind it", "GET / HTTP/1.1\nHost: a", http1.ErrBareLF},
		{"HTTP/0.9", "GET /", http1.ErrHTTP09},
		{"HTTP/0.9 with a blank", "GET / ", http1.ErrRequestLine},
		{"a method alone", "GET", http1.ErrRequestLine},
		{"a method and a blank", "GET ", http1.ErrRequestLine},
		{"no target", "GET  HTTP/1.1", http1.ErrRequestLine},
		{"two blanks behind the method", "GET  / HTTP/1.1", http1.ErrRequestLine},
		{"two blanks behind the target", "GET /  HTTP/1.1", http1.ErrRequestLine},
		{"a blank behind the version", "GET / HTTP/1.1 ", http1.ErrRequestLine},
		{"a tab for a blank", "GET\t/ HTTP/1.1", http1.ErrMethod},
		{"a tab behind the target", "GET /\tHTTP/1.1", http1.ErrTarget},
		{"a bare CR for a blank", "GET\r/ HTTP/1.1", http1.ErrMethod},
		{"a bare CR in the version", "GET / HTTP/1.1\rX", http1.ErrRequestLine},
		{"a blank in the target", "GET /a b HTTP/1.1", http1.ErrRequestLine},
		{"a NUL in the method", "GE\x00T / HTTP/1.1", http1.ErrMethod},
		{"a slash in the method", "GET/1 / HTTP/1.1", http1.ErrMethod},
		{"a colon in the method", "GET: / HTTP/1.1", http1.ErrMethod},
		{"a NUL in the target", "GET /\x00 HTTP/1.1", http1.ErrTarget},
		{"a DEL in the target", "GET /\x7f HTTP/1.1", http1.ErrTarget},
		{"an 8-bit byte in the target", "GET /\xc3\xa9 HTTP/1.1", http1.ErrTarget},
		{"a fragment", "GET /a#b HTTP/1.1", http1.ErrTarget},
		{"a fragment in the absolute form", "GET http://a#b HTTP/1.1", http1.ErrTarget},
		{"a lower case protocol", "GET / http/1.1", http1.ErrRequestLine},
		{"a protocol of another name", "GET / HTTPS/1.1", http1.ErrRequestLine},
		{"a version without a minor", "GET / HTTP/1", http1.ErrRequestLine},
		{"a version of two digits", "GET / HTTP/1.10", http1.ErrRequestLine},
		{"a version with a sign", "GET / HTTP/+1.1", http1.ErrRequestLine},
		{"HTTP/1.2", "GET / HTTP/1.2", http1.ErrVersion},
		{"HTTP/0.9 by name", "GET / HTTP/0.9", http1.ErrVersion},
		{"HTTP/2", "PRI * HTTP/2.0", http1.ErrHTTP2},
		{"CONNECT", "CONNECT a:443 HTTP/1.1", http1.ErrConnect},
		{"CONNECT to a path", "CONNECT /a HTTP/1.1", http1.ErrConnect},
		{"TRACE", "TRACE / HTTP/1.1", http1.ErrTrace},
		{"* without OPTIONS", "GET * HTTP/1.1", http1.ErrTargetForm},
		{"OPTIONS *?x", "OPTIONS *?x HTTP/1.1", http1.ErrTargetForm},
		{"OPTIONS */", "OPTIONS */ HTTP/1.1", http1.ErrTargetForm},
		{"no slash", "GET a HTTP/1.1", http1.ErrTargetForm},
		{"a query alone", "GET ?a HTTP/1.1", http1.ErrTargetForm},
		{"the authority form without CONNECT", "GET a:80 HTTP/1.1", http1.ErrTargetForm},
		{"a backslash for the slash", "GET \\a HTTP/1.1", http1.ErrTargetForm},
		{"another scheme", "GET ftp://a/ HTTP/1.1", http1.ErrTargetForm},
		{"a scheme without slashes", "GET http:a HTTP/1.1", http1.ErrTargetForm},
		{"a scheme with backslashes", "GET http:\\\\a/ HTTP/1.1", http1.ErrTargetForm},
		{"a scheme alone", "GET http:// HTTP/1.1", http1.ErrTargetForm},
		{"an empty authority", "GET http:///p HTTP/1.1", http1.ErrAuthority},
		{"an empty authority before a query", "GET http://?p HTTP/1.1", http1.ErrAuthority},
		{"an authority of a port alone", "GET http://:80/ HTTP/1.1", http1.ErrAuthority},
		{"userinfo in the absolute form", "GET http://b@a/ HTTP/1.1", http1.ErrAuthority},
		{"a backslash in the authority", "GET http://a\\@b/ HTTP/1.1", http1.ErrAuthority},
		{"a port too many", "GET http://a:1:2/ HTTP/1.1", http1.ErrAuthority},
		{"a port out of range", "GET http://a:65536/ HTTP/1.1", http1.ErrAuthority},
		{"a port of six digits", "GET http://a:000080/ HTTP/1.1", http1.ErrAuthority},
		{"a port with a sign", "GET http://a:+80/ HTTP/1.1", http1.ErrAuthority},
		{"percent-encoding in the authority", "GET http://%61/ HTTP/1.1", http1.ErrAuthority},
	} {
		t.Run(row.name, func(t *testing.T) { refuses(t, row.line+rest, row.want) })
	}
}

func TestFieldsThatBreakTheGrammarAreRefused(t *testing.T) {
	const before, behind = "POST / HTTP/1.1\r\nHost: a\r\n", "\r\n\r\n"
	for _, row := range []struct {
		name, line string
		want       error
	}{
		{"no colon", "X", http1.ErrFieldName},
		{"no name", ": x", http1.ErrFieldName},
		{"a blank before the colon", "Content-Length : 5", http1.ErrFieldName},
		{"a tab before the colon", "Transfer-Encoding\t: chunked", http1.ErrFieldName},
		{"a blank in the name", "Content Length: 5", http1.ErrFieldName},
		{"a NUL in the name", "X\x00: x", http1.ErrFieldName},
		{"a bare CR in the name", "X\rY: x", http1.ErrFieldName},
		{"a bare LF in the name", "X\nY: x", http1.ErrBareLF},
		{"an 8-bit byte in the name", "X\x80: x", http1.ErrFieldName},
		{"a folded line", "X: x\r\n y", http1.ErrFold},
		{"a line folded with a tab", "X: x\r\n\ty", http1.ErrFold},
		{"a line of blanks", "  ", http1.ErrFold},
		{"a bare CR in the value", "X: 1\r2", http1.ErrBareCR},
		{"a CR too many", "X: 1\r\r\n", http1.ErrBareCR},
		{"a bare LF in the value", "X: 1\n2", http1.ErrBareLF},
		{"a bare LF at the end of a line", "X: 1\nTransfer-Encoding: chunked", http1.ErrBareLF},
		{"a bare LF for the empty line", "X: 1\r\n\n", http1.ErrBareLF},
		{"a bare CR for the empty line", "X: 1\r\n\rY: 1", http1.ErrBareCR},
		{"a NUL in the value", "X: 1\x002", http1.ErrFieldValue},
		{"a NUL behind eight good bytes", "X: 12345678\x00", http1.ErrFieldValue},
		{"a DEL in the value", "X: 1\x7f2", http1.ErrFieldValue},
		{"a control character behind a tab", "X: 12\t3\x0145678", http1.ErrFieldValue},
		{"a vertical tab behind chunked", "Transfer-Encoding: chunked\x0b", http1.ErrFieldValue},
		{"more connection options than make sense", "Connection: " + strings.Repeat("a,", 256) + "\r\nConnection: " + strings.Repeat(",", 513), http1.ErrConnection},
		{"another Host", "Host: a", http1.ErrHostCount},
		{"an expectation that nobody knows", "Expect: 200-ok", http1.ErrExpect},
		{"an empty expectation", "Expect:", http1.ErrExpect},
	} {
		t.Run(row.name, func(t *testing.T) { refuses(t, before+row.line+behind, row.want) })
	}
}

func TestFramingThatCouldBeReadTwoWaysIsRefused(t *testing.T) {
	const before, behind = "POST / HTTP/1.1\r\nHost: a\r\n", "\r\n\r\n"
	for _, row := range []struct {
		name, lines string
		want        error
	}{
		{"length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked", http1.ErrLengthAndTE},
		{"chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 5", http1.ErrLengthAndTE},
		{"a length of zero and chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked", http1.ErrLengthAndTE},
		{"lengths that differ", "Content-Length: 5\r\nContent-Length: 6", http1.ErrLengthDiffer},
		{"lengths that differ, zero first", "Content-Length: 0\r\nContent-Length: 6", http1.ErrLengthDiffer},
		{"a list of equal lengths", "Content-Length: 5, 5", http1.ErrLength},
		{"a list with an empty element", "Content-Length: 5,", http1.ErrLength},
		{"a length with a plus", "Content-Length: +5", http1.ErrLength},
		{"a length with a minus", "Content-Length: -5", http1.ErrLength},
		{"a length in hex", "Content-Length: 0x5", http1.ErrLength},
		{"a length with an exponent", "Content-Length: 5e1", http1.ErrLength},
		{"a length with a point", "Content-Length: 5.0", http1.ErrLength},
		{"a length with an underscore", "Content-Length: 1_0", http1.ErrLength},
		{"a length with a blank inside", "Content-Length: 1 0", http1.ErrLength},
		{"a quoted length", "Content-Length: \"5\"", http1.ErrLength},
		{"an empty length", "Content-Length:", http1.ErrLength},
		{"a length beyond 63 bits", "Content-Length: 9223372036854775808", http1.ErrLength},
		{"a length that wraps around", "Content-Length: 18446744073709551621", http1.ErrLength},
		{"a length of 19 digits", "Content-Length: 0000000000000000005", http1.ErrLength},
		{"a length in Arabic digits", "Content-Length: \u0665", http1.ErrLength},
		{"identity", "Transfer-Encoding: identity", http1.ErrTE},
		{"gzip", "Transfer-Encoding: gzip", http1.ErrTE},
		{"gzip before chunked", "Transfer-Encoding: gzip, chunked", http1.ErrTE},
		{"gzip before chunked, in two fields", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", http1.ErrTE},
		{"chunked before identity", "Transfer-Encoding: chunked, identity", http1.ErrTE},
		{"chunked twice", "Transfer-Encoding: chunked, chunked", http1.ErrTE},
		{"chunked twice, in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", http1.ErrTE},
		{"chunked and an empty element", "Transfer-Encoding: chunked,", http1.ErrTE},
		{"an empty element and chunked", "Transfer-Encoding: ,chunked", http1.ErrTE},
		{"chunked with a parameter", "Transfer-Encoding: chunked;q=1", http1.ErrTE},
		{"quoted chunked", "Transfer-Encoding: \"chunked\"", http1.ErrTE},
		{"xchunked", "Transfer-Encoding: xchunked", http1.ErrTE},
		{"chunked with the Kelvin sign", "Transfer-Encoding: chun\u212aed", http1.ErrTE},
		{"an empty coding", "Transfer-Encoding:", http1.ErrTE},
	} {
		t.Run(row.name, func(t *testing.T) { refuses(t, before+row.lines+behind, row.want) })
	}
	t.Run("chunked in HTTP/1.0", func(t *testing.T) {
		refuses(t, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", http1.ErrTEVersion)
	})
}

func TestHTTP11WantsOneValidHost(t *testing.T) {
	for _, row := range []struct {
		name, fields string
		want         error
	}{
		{"none", "X: a\r\n", http1.ErrHostCount},
		{"two", "Host: a\r\nX: x\r\nHost: a\r\n", http1.ErrHostCount},
		{"empty", "Host:\r\n", http1.ErrHost},
		{"a list", "Host: a b\r\n", http1.ErrHost},
		{"userinfo", "Host: a@b\r\n", http1.ErrHost},
		{"userinfo with a password", "Host: a:80@b\r\n", http1.ErrHost},
		{"a path", "Host: a/b\r\n", http1.ErrHost},
		{"a query", "Host: a?b\r\n", http1.ErrHost},
		{"a fragment", "Host: a#b\r\n", http1.ErrHost},
		{"a backslash", "Host: a\\b\r\n", http1.ErrHost},
		{"a scheme", "Host: http://a\r\n", http1.ErrHost},
		{"a port alone", "Host: :80\r\n", http1.ErrHost},
		{"a port of letters", "Host: a:b\r\n", http1.ErrHost},
		{"a port out of range", "Host: a:65536\r\n", http1.ErrHost},
		{"two ports", "Host: a:80:80\r\n", http1.ErrHost},
		{"percent-encoding", "Host: %61\r\n", http1.ErrHost},
		{"8-bit text", "Host: \xc3\xa9\r\n", http1.ErrHost},
		{"bare IPv6", "Host: ::1\r\n", http1.ErrHost},
		{"an open bracket", "Host: [::1\r\n", http1.ErrHost},
		{"empty brackets", "Host: []\r\n", http1.ErrHost},
		{"a name in brackets", "Host: [a]\r\n", http1.ErrHost},
		{"IPv4 in brackets", "Host: [127.0.0.1]\r\n", http1.ErrHost},
		{"a zone", "Host: [fe80::1%25lo]\r\n", http1.ErrHost},
		{"something behind the bracket", "Host: [::1]a\r\n", http1.ErrHost},
		{"a second bracket", "Host: [::1]]:80\r\n", http1.ErrHost},
		{"bad, though the target is absolute", "Host: a@b\r\n", http1.ErrHost},
	} {
		t.Run(row.name, func(t *testing.T) {
			refuses(t, "GET / HTTP/1.1\r\n"+row.fields+"\r\n", row.want)
			refuses(t, "GET http://c/ HTTP/1.1\r\n"+row.fields+"\r\n", row.want)
		})
	}
	t.Run("two in HTTP/1.0", func(t *testing.T) {
		refuses(t, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", http1.ErrHostCount)
	})
}

func TestRequestsThatMayBeSentAgain(t *testing.T) {
	for method, want := range map[string]bool{
		"GET": true, "HEAD": true, "OPTIONS": true, "PUT": true, "DELETE": true,
		"POST": false, "PATCH": false, "get": false, "PROPFIND": false,
	} {
		var r http1.Request
		buf := []byte(method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := r.Parse(buf, limits()); err != nil {
			t.Fatal(err)
		}
		if got := r.Idempotent(buf); got != want {
			t.Errorf("%s: %v", method, got)
		}
	}
}

func TestRequestIsForgottenOnReset(t *testing.T) {
	var r, fresh http1.Request
	first := []byte("HEAD http://b/?q HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close, upgrade, x\r\n\r\n")
	second := []byte("\r\nPOST /p HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n")
	if done, err := r.Parse(first, limits()); !done || err != nil {
		t.Fatal(done, err)
	}
	r.Reset()
	for _, req := range []*http1.Request{&r, &fresh} {
		if done, err := req.Parse(second, limits()); !done || err != nil {
			t.Fatal(done, err)
		}
	}
	if got, want := meaningOf(&r, second), meaningOf(&fresh, second); got != want || len(r.Fields) != 2 || r.IsHead {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAParsedHeadStaysParsed(t *testing.T) {
	var r http1.Request
	buf := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nHost: b\r\n\r\n")
	for range 2 {
		if done, err := r.Parse(buf, limits()); !done || err != nil || len(r.Fields) != 1 {
			t.Fatalf("done %v, %v, %d fields", done, err, len(r.Fields))
		}
	}
}

func TestFieldsAreFoundByNameAndLine(t *testing.T) {
	var r http1.Request
	buf := []byte("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID:  1 \r\nConnection: Foo,, bar\r\nVia: x\r\nVia: y\r\nLast: z\r\n\r\nmore")
	if done, err := r.Parse(buf, limits()); !done || err != nil {
		t.Fatal(done, err)
	}
	if v, ok := r.Lookup(buf, http1.Via); !ok || string(v) != "x" {
		t.Errorf("Via: %q, %v", v, ok)
	}
	if v, ok := r.Lookup(buf, http1.XForwardedFor); ok {
		t.Errorf("X-Forwarded-For: %q", v)
	}
	if got := string(r.Line(buf, 1)); got != "X-Request-ID:  1 \r\n" {
		t.Errorf("line 1: %q", got)
	}
	if got := string(r.Line(buf, len(r.Fields)-1)); got != "Last: z\r\n" {
		t.Errorf("last line: %q", got)
	}
	for name, want := range map[string]bool{"foo": true, "BAR": true, "fo": false, "": false, "host": false} {
		if got := r.Nominated(buf, []byte(name)); got != want {
			t.Errorf("%q nominated: %v", name, got)
		}
	}
}

func TestFieldNamesFoldASCIIAlone(t *testing.T) {
	var r http1.Request
	buf := []byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: coo\u212aie\r\n\r\n")
	if _, err := r.Parse(buf, limits()); err != nil {
		t.Fatal(err)
	}
	if r.Nominated(buf, []byte("Cookie")) {
		t.Error("the Kelvin sign is taken for a k")
	}
}

func TestKnownFieldsHaveTheirNumber(t *testing.T) {
	known := map[string]http1.FieldID{
		"Connection": http1.Connection, "Content-Length": http1.ContentLength, "Date": http1.Date,
		"Expect": http1.Expect, "Forwarded": http1.Forwarded, "Host": http1.Host,
		"HTTP2-Settings": http1.HTTP2Settings, "Keep-Alive": http1.KeepAlive,
		"Proxy-Connection": http1.ProxyConnection, "TE": http1.TE, "Trailer": http1.Trailer,
		"Transfer-Encoding": http1.TransferEncoding, "Upgrade": http1.Upgrade, "Via": http1.Via,
		"X-Forwarded-For": http1.XForwardedFor, "X-Forwarded-Host": http1.XForwardedHost,
		"X-Forwarded-Proto": http1.XForwardedProto, "X-Request-ID": http1.XRequestID, "X-Outrider-Explain": http1.XOutriderExplain,
	}
	idOf := func(name string) http1.FieldID {
		var r http1.Response
		value := map[string]string{"content-length": "1", "transfer-encoding": "chunked"}[strings.ToLower(name)]
		if _, err := r.Parse([]byte("HTTP/1.1 200 OK\r\n"+name+": "+value+"\r\n"), limits()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return r.Fields[0].ID
	}
	for name, want := range known {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := idOf(spelled); got != want {
				t.Errorf("%s is %d, want %d", spelled, got, want)
			}
		}
		for i := range name { // the same length, one letter off
			other := name[:i] + "z" + name[i+1:]
			if got := idOf(other); got != http1.Other {
				t.Errorf("%s is %d", other, got)
			}
		}
	}
}

func TestTheLimitsOfAHeadAreExact(t *testing.T) {
	fields := func(n int) string {
		return "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: x\r\n", n-1) + "\r\n"
	}
	sized := func(n int) string {
		const frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
		return frame[:len(frame)-4] + strings.Repeat("x", n-len(frame)) + frame[len(frame)-4:]
	}
	line := func(n int) string {
		const frame = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		return frame[:5] + strings.Repeat("x", n-len(frame)) + frame[5:]
	}
	for _, row := range []struct {
		name, raw string
		want      error
	}{
		{"the last field", fields(128), nil},
		{"a field too many", fields(129), http1.ErrTooMany},
		{"the last byte, in a field", sized(64 << 10), nil},
		{"a byte too many, in a field", sized(64<<10 + 1), http1.ErrHeadTooLarge},
		{"the last byte, in the target", line(64 << 10), nil},
		{"a byte too many, in the target", line(64<<10 + 1), http1.ErrHeadTooLarge},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r http1.Request
			done, err := r.Parse([]byte(row.raw+strings.Repeat("b", 100)), limits())
			if done != (row.want == nil) || !errors.Is(err, row.want) {
				t.Errorf("done %v, error %v, want %v", done, err, row.want)
			}
		})
	}
	t.Run("nothing but the start of a head", func(t *testing.T) {
		for endless, want := range map[string]error{
			"G": http1.ErrTargetTooLong, "GET /x": http1.ErrTargetTooLong,
			"GET / HTTP/1.1\r\nX: x": http1.ErrHeadTooLarge, "GET / HTTP/1.1\r\nX": http1.ErrHeadTooLarge,
		} {
			raw := []byte(endless + strings.Repeat(endless[len(endless)-1:], 64<<10-len(endless)))
			var r http1.Request
			if done, err := r.Parse(raw[:len(raw)-1], limits()); done || err != nil {
				t.Errorf("%q...: done %v, error %v one byte before the limit", endless, done, err)
			}
			if done, err := r.Parse(raw, limits()); done || !errors.Is(err, want) {
				t.Errorf("%q...: done %v, error %v at the limit", endless, done, err)
			}
		}
	})
}

func TestErrorsNameTheStatusToAnswer(t *testing.T) {
	for err, want := range map[*http1.Error]int{
		http1.ErrBareLF: 400, http1.ErrHost: 400, http1.ErrLengthAndTE: 400, http1.ErrConnect: 405, http1.ErrTrace: 405,
		http1.ErrExpect: 417, http1.ErrHeadTooLarge: 431, http1.ErrTooMany: 431, http1.ErrTE: 501, http1.ErrVersion: 505,
	} {
		if err.Status != want || err.Error() == "" {
			t.Errorf("%v: %d, want %d", err, err.Status, want)
		}
	}
}
