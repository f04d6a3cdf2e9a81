package proxy_test

import (
	"strings"
	"testing"
)

// smuggled stands behind every message that must be refused: if it is ever
// served, the refused message was taken for another one.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// refusal is a request that no backend may ever see.
type refusal struct {
	name, request string
	status        int
}

// refuses wants each request to be refused over HTTP/1.1, and over HTTP/2 where that can
// say it.
func refuses(t *testing.T, rows []refusal, options ...option) {
	t.Helper()
	refusesInHTTP1(t, rows, options...)
	refusesInHTTP2(t, rows, options...)
}

// refusesInHTTP1 sends each request with another one behind it, and wants one answer,
// the end of the connection, and silence upstream.
func refusesInHTTP1(t *testing.T, rows []refusal, options ...option) {
	t.Helper()
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, append([]option{to(app)}, options...)...)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := dialRaw(t, s.addr).send(row.request + smuggled)
			method, _, _ := strings.Cut(row.request, " ")
			got := c.responseTo(method)
			if got.StatusCode != row.status || !got.Close {
				t.Errorf("got %s, close %v; want %d, close true", got.Status, got.Close, row.status)
			}
			c.expectEnd()
			if app.accepted() > 0 {
				t.Fatalf("the upstream was connected to, and got %q", app.got())
			}
		})
	}
}

// post is a request that has these fields and this body.
func post(fields, body string) string {
	return "POST /p HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body
}

func TestAmbiguousFramingIsRefused(t *testing.T) {
	length := func(v string) string { return post("Content-Length:"+v+"\r\n", "hello") }
	coding := func(v string) string { return post("Transfer-Encoding:"+v+"\r\n", "5\r\nhello\r\n0\r\n\r\n") }
	refuses(t, []refusal{
		{"a length and then a coding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
		{"a coding and then a length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400},
		{"a length of nothing and a coding", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
		{"a length and an unknown coding", post("Content-Length: 5\r\nTransfer-Encoding: x\r\n", "hello"), 400},

		{"a list of one and nothing", coding(" chunked,"), 501},
		{"a list of nothing and one", coding(" ,chunked"), 501},
		{"chunked twice in a list", coding(" chunked, chunked"), 501},
		{"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 501},
		{"chunked and identity in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), 501},
		{"identity and chunked in two fields", post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 501},
		{"identity", coding(" identity"), 501},
		{"identity, chunked", coding(" identity, chunked"), 501},
		{"gzip, chunked", coding(" gzip, chunked"), 501},
		{"chunked, gzip", coding(" chunked, gzip"), 501},
		{"xchunked", coding(" xchunked"), 501},
		{"chunkedx", coding(" chunkedx"), 501},
		{"a quoted coding", coding(` "chunked"`), 501},
		{"a coding with a parameter", coding(" chunked;q=1"), 501},
		{"no coding", coding(""), 501},
		{"a coding behind a vertical tab", coding(" \vchunked"), 400},
		{"a coding before a vertical tab", coding(" chunked\v"), 400},
		{"a coding before a NUL", coding(" chunked\x00"), 400},
		{"a coding behind a no-break space", coding(" \xa0chunked"), 501},
		{"a coding with a long s", coding(" ch\xc5\xbfnked"), 501},
		{"a coding in HTTP/1.0", "POST /p HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"a coding in HTTP/1.0 that stays", "POST /p HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"a coding with a blank before its colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400},
		{"a coding with a tab before its colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400},
		{"a coding with a blank before its name", post(" Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
		{"a coding in a folded line", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 501},
		{"a coding behind a bare CR", post("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
		{"a coding behind a bare LF", post("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},

		{"a plus sign", length(" +5"), 400},
		{"a minus sign", length(" -5"), 400},
		{"two numbers", length(" 5 5"), 400},
		{"a list of equals", length(" 5, 5"), 400},
		{"a list of differing ones", length(" 5, 6"), 400},
		{"a number and a comma", length(" 5,"), 400},
		{"hexadecimal", length(" 0x5"), 400},
		{"hexadecimal digits", length(" a"), 400},
		{"a fraction", length(" 5.0"), 400},
		{"an exponent", length(" 5e0"), 400},
		{"an underscore", length(" 1_0"), 400},
		{"a number in quotes", length(` "5"`), 400},
		{"digits of another script", length(" \xd9\xa5"), 400},
		{"no number", length(""), 400},
		{"blanks", length("   "), 400},
		{"more than 64 bits", length(" 18446744073709551621"), 400},
		{"more than 63 bits", length(" 9223372036854775813"), 400},
		{"differing lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), 400},
		{"differing lengths of GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 6\r\n\r\n", 400},
		{"the same length in other digits, and a third", post("Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 7\r\n", "hello"), 400},
		{"a blank before the colon", post("Content-Length : 5\r\n", "hello"), 400},
		{"a folded length", post("Content-Length:\r\n 5\r\n", "hello"), 400},
	})
}

// HTTP/2 has no chunks.
func TestBrokenChunksAreRefused(t *testing.T) {
	chunked := func(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }
	refusesInHTTP1(t, []refusal{
		{"no size", chunked("\r\nhello\r\n0\r\n\r\n"), 400},
		{"an extension without a size", chunked(";a\r\nhello\r\n0\r\n\r\n"), 400},
		{"a prefix", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400},
		{"a plus sign", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400},
		{"a minus sign", chunked("-5\r\nhello\r\n0\r\n\r\n"), 400},
		{"a blank before", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400},
		{"a blank behind", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400},
		{"a tab behind", chunked("5\t\r\nhello\r\n0\r\n\r\n"), 400},
		{"a blank behind the last size", chunked("5\r\nhello\r\n0 \r\n\r\n"), 400},
		{"a blank before another digit", chunked("5 0;a\r\nhello\r\n0\r\n\r\n"), 400},
		{"no hexadecimal digit", chunked("5g\r\nhello\r\n0\r\n\r\n"), 400},
		{"an underscore", chunked("0_5\r\nhello\r\n0\r\n\r\n"), 400},
		{"a comma", chunked("5,5\r\nhello\r\n0\r\n\r\n"), 400},
		{"more than 64 bits", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
		{"many zeros", chunked(strings.Repeat("0", 400) + "5\r\nhello\r\n0\r\n\r\n"), 400},
		{"a size that ends with LF", chunked("5\nhello\r\n0\r\n\r\n"), 400},
		{"a size that ends with CR", chunked("5\rhello\r\n0\r\n\r\n"), 400},
		{"a size that ends with CR CR LF", chunked("5\r\r\nhello\r\n0\r\n\r\n"), 400},
		{"an extension that ends with LF", chunked("5;a\nhello\r\n0\r\n\r\n"), 400},
		{"an extension with a bare CR", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400},
		{"an extension with a NUL", chunked("5;a\x00\r\nhello\r\n0\r\n\r\n"), 400},
		{"an extension without an end", chunked("5;" + strings.Repeat("a", 20_000)), 400},
		{"data longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n"), 400},
		{"data that ends with LF", chunked("5\r\nhello\n0\r\n\r\n"), 400},
		{"data that ends with CR", chunked("5\r\nhello\r0\r\n\r\n"), 400},
		{"data that ends with another size", chunked("5\r\nhello5\r\nhello\r\n0\r\n\r\n"), 400},
		{"a last chunk that ends with LF", chunked("5\r\nhello\r\n0\n\r\n"), 400},
		{"an end of LF", chunked("5\r\nhello\r\n0\r\n\n"), 400},
		{"a folded trailer", chunked("0\r\nA: b\r\n c\r\n\r\n"), 400},
		{"a trailer with a bare LF", chunked("0\r\nA: b\nC: d\r\n\r\n"), 400},
		{"a trailer with a blank before its colon", chunked("0\r\nA : b\r\n\r\n"), 400},
		{"a trailer without a colon", chunked("0\r\nA\r\n\r\n"), 400},
		{"a trailer with a NUL", chunked("0\r\nA: \x00\r\n\r\n"), 400},
	})
}

// Everything that goes upstream has one framing, and it is ours.
func TestFramingUpstreamIsOurOwn(t *testing.T) {
	rows := []struct {
		name, request string
		framing       string // the last field lines upstream that frame the body
		body          string // on the wire
	}{
		{"no body", "GET /p HTTP/1.1\r\nHost: a\r\n\r\n", "", ""},
		{"a length", post("Content-Length: 5\r\n", "hello"), "Content-Length: 5\r\n", "hello"},
		{"a length of nothing", post("Content-Length: 0\r\n", ""), "Content-Length: 0\r\n", ""},
		{"a length with leading zeros", post("Content-Length: 0005\r\n", "hello"), "Content-Length: 5\r\n", "hello"},
		{"a length between blanks", post("Content-Length: \t 5 \t\r\n", "hello"), "Content-Length: 5\r\n", "hello"},
		{"a length without a blank", post("content-length:5\r\n", "hello"), "Content-Length: 5\r\n", "hello"},
		{"a length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "Content-Length: 5\r\n", "hello"},
		{"a length in HTTP/1.0", "POST /p HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "Content-Length: 5\r\n", "hello"},
		{"a body of GET", "GET /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "Content-Length: 5\r\n", "hello"},
		{
			"chunks", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
			"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
		},
		{
			"chunks in other words", post("TRANSFER-ENCODING:\tChunked \r\n", "005\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n"),
			"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n",
		},
		{
			"chunks with extensions", post("Transfer-Encoding: chunked\r\n", "5;a=\"b;c\";d\r\nhello\r\n0;e\r\n\r\n"),
			"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n",
		},
		{
			"chunks with blanks before their extensions", post("Transfer-Encoding: chunked\r\n", "5 \t;\ta\t= b\r\nhello\r\n0 ;e\r\n\r\n"),
			"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n",
		},
		{
			"no chunk but the last", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
			"Transfer-Encoding: chunked\r\n", "0\r\n\r\n",
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			app := newUpstream(t, answers(ok))
			s := newSidecar(t, to(app))
			if got := s.exchange(t, row.request); got.body != "ok" {
				t.Fatalf("got %s %q", got.Status, got.body)
			}
			r := app.requests()[0]
			head, body, _ := strings.Cut(r.raw, "\r\n\r\n")
			if !strings.HasSuffix(head+"\r\n", row.framing) || body != row.body {
				t.Errorf("the upstream got\n%q\nwant framing %q and body %q", r.raw, row.framing, row.body)
			}
			goesAlike(t, row.request, r)
			lower := strings.ToLower(head)
			frames := strings.Count(lower, "\r\ncontent-length:") + strings.Count(lower, "\r\ntransfer-encoding:")
			if want := min(len(row.framing), 1); frames != want {
				t.Errorf("the upstream got %d fields that frame a body, want %d:\n%q", frames, want, r.raw)
			}
		})
	}
}

// A request behind a body is where that body's framing says, for both sides.
func TestWhatFollowsABodyIsTheNextRequest(t *testing.T) {
	for name, first := range map[string]string{
		"a length": post("Content-Length: 35\r\n", smuggled),
		"chunks":   post("Transfer-Encoding: chunked\r\n", "23\r\n"+smuggled+"\r\n0\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, answers(ok))
			s := newSidecar(t, to(app))
			c := dialRaw(t, s.addr).send(first + "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			for range 2 {
				if got := c.response(); got.StatusCode != 200 {
					t.Errorf("got %s", got.Status)
				}
			}
			c.expectEnd()
			reqs := app.requests()
			if len(reqs) != 2 || reqs[0].body != smuggled || reqs[1].URL.Path != "/next" {
				t.Errorf("the upstream got %q", app.got())
			}
		})
	}
}

// A framing fault can come when the backend already has the beginning.
func TestABrokenChunkInTheMiddleEndsBothSides(t *testing.T) {
	ended := make(chan error, 1)
	app := newUpstream(t, func(c *far) {
		c.readUntil("hello\r\n")
		ended <- c.awaitClose()
	})
	s := newSidecar(t, to(app))
	c := dialRaw(t, s.addr).send(post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"))
	until(t, "the chunk upstream", func() bool { return strings.HasSuffix(app.got(), "hello\r\n") })
	c.send("zz\r\n" + smuggled)
	if got := c.response(); got.StatusCode != 400 || !got.Close {
		t.Errorf("got %s, want 400 and close", got.Status)
	}
	c.expectEnd()
	<-ended
	if got := app.got(); !strings.HasSuffix(got, "hello\r\n") || app.accepted() != 1 {
		t.Errorf("the upstream got %q in %d connections", got, app.accepted())
	}
}
