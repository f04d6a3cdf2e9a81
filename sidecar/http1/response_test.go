package http1_test

import (
	"errors"
	"testing"

	"outrider/sidecar/http1"
)

func TestStatusLinesMeanWhatTheySay(t *testing.T) {
	for _, row := range []struct {
		name, line    string
		minor, status int
		reason        string
	}{
		{"plain", "HTTP/1.1 200 OK", 1, 200, "OK"},
		{"1.0", "HTTP/1.0 200 OK", 0, 200, "OK"},
		{"an empty reason", "HTTP/1.1 200 ", 1, 200, ""},
		{"no reason and no blank", "HTTP/1.1 200", 1, 200, ""},
		{"a reason with blanks, a tab and 8-bit text", "HTTP/1.1 404  Not\tF\xf6und ", 1, 404, " Not\tF\xf6und "},
		{"the lowest status", "HTTP/1.1 100 C", 1, 100, "C"},
		{"the highest status", "HTTP/1.1 599 X", 1, 599, "X"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r http1.Response
			buf := []byte(row.line + "\r\n\r\nbody")
			done, err := r.Parse(buf, limits())
			if !done || err != nil {
				t.Fatalf("done %v, %v", done, err)
			}
			if r.Minor != row.minor || r.Status != row.status || string(r.Reason.Of(buf)) != row.reason {
				t.Errorf("1.%d, %d, %q", r.Minor, r.Status, r.Reason.Of(buf))
			}
			if r.Interim() != (row.status < 200) {
				t.Errorf("interim: %v", r.Interim())
			}
		})
	}
}

func TestResponsesThatBreakTheGrammarAreRefused(t *testing.T) {
	for _, row := range []struct {
		name, raw string
		want      error
	}{
		{"not HTTP at all", "SSH-2.0-OpenSSH\r\n", http1.ErrSSHAnswer},
		{"the first byte of HTTP/0.9", "<", http1.ErrHTTP09Answer},
		{"an empty line before it", "\r\nHTTP/1.1 200 OK\r\n\r\n", http1.ErrNotHTTP},
		{"a blank before it", " HTTP/1.1 200 OK\r\n\r\n", http1.ErrNotHTTP},
		{"a request", "HEAD / HTTP/1.1\r\n\r\n", http1.ErrStatusLine},
		{"a bare LF behind the line", "HTTP/1.1 200 OK\n\n", http1.ErrBareLF},
		{"a bare CR in the line", "HTTP/1.1 200 OK\rX: x\r\n\r\n", http1.ErrStatusLine},
		{"a NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", http1.ErrStatusLine},
		{"a DEL in the reason", "HTTP/1.1 200 O\x7fK\r\n\r\n", http1.ErrStatusLine},
		{"nothing but a version", "HTTP/1.1\r\n\r\n", http1.ErrStatusLine},
		{"no status", "HTTP/1.1 OK\r\n\r\n", http1.ErrStatusLine},
		{"two blanks before the status", "HTTP/1.1  200 OK\r\n\r\n", http1.ErrStatusLine},
		{"a tab before the status", "HTTP/1.1\t200 OK\r\n\r\n", http1.ErrStatusLine},
		{"a tab behind the status", "HTTP/1.1 200\tOK\r\n\r\n", http1.ErrStatusLine},
		{"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", http1.ErrStatusLine},
		{"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", http1.ErrStatusLine},
		{"a status with a sign", "HTTP/1.1 +20 OK\r\n\r\n", http1.ErrStatusLine},
		{"a status with a letter", "HTTP/1.1 2x0 OK\r\n\r\n", http1.ErrStatusLine},
		{"a status below 100", "HTTP/1.1 099 OK\r\n\r\n", http1.ErrStatusLine},
		{"a status above 599", "HTTP/1.1 600 OK\r\n\r\n", http1.ErrStatusLine},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", http1.ErrStatusLine},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", http1.ErrStatusLine},
		{"HTTP/2 without a minor", "HTTP/2 200 OK\r\n\r\n", http1.ErrStatusLine},
		{"a lower case protocol", "Http/1.1 200 OK\r\n\r\n", http1.ErrStatusLine},
		{"a folded field", "HTTP/1.1 200 OK\r\nX: x\r\n y\r\n\r\n", http1.ErrFold},
		{"a blank before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", http1.ErrFieldName},
		{"a NUL in a value", "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", http1.ErrFieldValue},
		{"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", http1.ErrLengthAndTE},
		{"lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", http1.ErrLengthDiffer},
		{"a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", http1.ErrLength},
		{"a bad length, though there is no body", "HTTP/1.1 304 X\r\nContent-Length: x\r\n\r\n", http1.ErrLength},
		{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", http1.ErrTE},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", http1.ErrTEVersion},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r http1.Response
			for range 2 { // asking again does not help
				if done, err := r.Parse([]byte(row.raw), limits()); done || !errors.Is(err, row.want) {
					t.Fatalf("done %v, error %v, want %v", done, err, row.want)
				}
			}
		})
	}
}

func TestBodyOfAResponseDependsOnStatusAndMethod(t *testing.T) {
	none := http1.Framing{}
	untilClose := http1.Framing{Kind: http1.UntilClose}
	chunked := http1.Framing{Kind: http1.Chunked}
	wouldBe := func(n int64) http1.Framing { return http1.Framing{Declared: true, Length: n} }
	const length5, length0, te = "Content-Length: 5\r\n", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"
	for _, row := range []struct {
		name, status, fields string
		toHead               bool
		want                 http1.Framing
	}{
		{"with a length", "200", length5, false, length(5)},
		{"with a length of zero", "200", length0, false, wouldBe(0)},
		{"chunked", "200", te, false, chunked},
		{"without either", "200", "", false, untilClose},
		{"an error has a body too", "404", "", false, untilClose},
		{"205 too", "205", length5, false, length(5)},
		{"HEAD with a length", "200", length5, true, wouldBe(5)},
		{"HEAD with a length of zero", "200", length0, true, wouldBe(0)},
		{"HEAD, chunked", "200", te, true, none},
		{"HEAD without either", "200", "", true, none},
		{"304 with a length", "304", length5, false, wouldBe(5)},
		{"304, chunked", "304", te, false, none},
		{"204 with a length that it may not have", "204", length5, false, none},
		{"204 with a length of zero", "204", length0, false, none},
		{"204, chunked", "204", te, false, none},
		{"204 to HEAD", "204", length5, true, none},
		{"100 with a length", "100", length5, false, none},
		{"101, chunked", "101", te, false, none},
		{"103", "103", "", false, none},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r http1.Response
			if done, err := r.Parse([]byte("HTTP/1.1 "+row.status+" X\r\n"+row.fields+"\r\n"), limits()); !done || err != nil {
				t.Fatal(done, err)
			}
			if got := r.Body(row.toHead); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

func TestConnectionsPersistAsTheVersionSays(t *testing.T) {
	for _, row := range []struct {
		name, line, connection string
		want                   bool
	}{
		{"1.1", "HTTP/1.1 200 OK", "", true},
		{"1.1 with close", "HTTP/1.1 200 OK", "close", false},
		{"1.1 with close among others", "HTTP/1.1 200 OK", "foo , Close", false},
		{"1.1 with keep-alive and close", "HTTP/1.1 200 OK", "keep-alive, close", false},
		{"1.1 with something like close", "HTTP/1.1 200 OK", "closed, \"close\", close;q=1", true},
		{"1.0", "HTTP/1.0 200 OK", "", false},
		{"1.0 with keep-alive", "HTTP/1.0 200 OK", "Keep-Alive", true},
		{"1.0 with keep-alive and close", "HTTP/1.0 200 OK", "keep-alive, close", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r http1.Response
			if done, err := r.Parse([]byte(row.line+"\r\nConnection: "+row.connection+"\r\n\r\n"), limits()); !done || err != nil {
				t.Fatal(done, err)
			}
			if got := r.Persistent(); got != row.want {
				t.Errorf("persistent: %v", got)
			}
		})
	}
}
