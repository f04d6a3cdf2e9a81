package http1_test

import (
	"strings"
	"testing"

	"outrider/sidecar/http1"
)

func TestFieldsAreLookedAtOnceMoreWhenTheyAreWritten(t *testing.T) {
	for _, row := range []struct {
		name, field, value string
		want               string
	}{
		{"plain", "X-A", "1", "X-A: 1\r\n"},
		{"an empty value", "X-A", "", "X-A: \r\n"},
		{"a tab and 8-bit text", "X-A", "a\tb\xff", "X-A: a\tb\xff\r\n"},
		{"no name", "", "1", ""},
		{"a colon in the name", "X:", "1", ""},
		{"a blank in the name", "X ", "1", ""},
		{"CRLF in the name", "X\r\nY", "1", ""},
		{"a CR in the value", "X", "1\r", ""},
		{"an LF in the value", "X", "1\nY: 2", ""},
		{"a NUL in the value", "X", "\x00", ""},
		{"a DEL in the value", "X", "\x7f", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			for name, appended := range map[string]func() ([]byte, error){
				"string": func() ([]byte, error) { return http1.AppendField([]byte("> "), row.field, row.value) },
				"bytes":  func() ([]byte, error) { return http1.AppendField([]byte("> "), row.field, []byte(row.value)) },
			} {
				got, err := appended()
				if string(got) != "> "+row.want || (err == nil) != (row.want != "") {
					t.Errorf("%s: %q, %v", name, got, err)
				}
			}
		})
	}
}

func TestTokensAndValuesAreThoseOfTheRFC(t *testing.T) {
	const tchar = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" // RFC 9110, 5.6.2
	for c := range 256 {
		one := string([]byte{byte(c)})
		if got, want := http1.IsToken(one), strings.Contains(tchar, one); got != want {
			t.Errorf("%q is a token: %v", one, got)
		}
		for _, value := range []string{one, "1234567" + one + "9", strings.Repeat("x", 20) + one} {
			var r http1.Response
			_, err := r.Parse([]byte("HTTP/1.1 200 OK\r\nX: "+value+"\r\n"), limits())
			want := c == '\t' || c >= ' ' && c != 0x7f // RFC 9110, 5.5
			if got := http1.IsValue(value); got != want || (err == nil) != want {
				t.Errorf("%q is a value: %v when written, %v when read", value, got, err == nil)
			}
		}
	}
	if http1.IsToken("") || !http1.IsValue("") {
		t.Error("a token is not empty, a value may be")
	}
}

func TestFramingIsWrittenAsOneField(t *testing.T) {
	for _, row := range []struct {
		name    string
		framing http1.Framing
		want    string
	}{
		{"none", http1.Framing{}, ""},
		{"a length", length(5), "Content-Length: 5\r\n"},
		{"a length of zero", http1.Framing{Declared: true}, "Content-Length: 0\r\n"},
		{"the length of a body that is not there", http1.Framing{Declared: true, Length: 7}, "Content-Length: 7\r\n"},
		{"chunked", chunked(), "Transfer-Encoding: chunked\r\n"},
		{"until close", http1.Framing{Kind: http1.UntilClose}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := http1.AppendFraming([]byte("> "), row.framing); string(got) != "> "+row.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestStatusLinesCanNotBeSplit(t *testing.T) {
	for _, row := range []struct{ name, reason, want string }{
		{"plain", "Not Found", "HTTP/1.1 404 Not Found\r\n"},
		{"no reason", "", "HTTP/1.1 404 \r\n"},
		{"a line end in the reason", "X\r\nSet-Cookie: a", "HTTP/1.1 404 \r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := http1.AppendStatusLine(nil, 404, []byte(row.reason)); string(got) != row.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestListsFallIntoTokens(t *testing.T) {
	for list, want := range map[string]string{
		"": "", ",": "", " \t": "", "a": "a", " a ,\tb,,c , ": "a|b|c", "a b,c": "a b|c",
	} {
		var got []string
		for token := range http1.Tokens([]byte(list)) {
			got = append(got, string(token))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: %q", list, got)
		}
	}
	for token := range http1.Tokens([]byte("a,b")) {
		if string(token) == "b" {
			t.Error("goes on after break")
		}
		break
	}
}
