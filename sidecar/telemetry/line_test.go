package telemetry

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func moment() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6_700_000, time.UTC) }

func full() *Exchange {
	return &Exchange{
		Client: "10.0.0.9", Method: []byte("GET"), Host: []byte("shop:80"), Path: []byte("/a"), Query: []byte("b=c"), HasQuery: true, Protocol: "HTTP/1.1",
		ID: []byte("00ff"), Trace: []byte("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"), Cluster: "one", Backend: "10.0.0.7:8080",
		Status: 502, Attempts: 2, Received: 20, Sent: 300, Rule: "route.js:7", Version: "ab12", Outcome: "default",
		End: "backend/wait", Error: "http_response_incomplete", Detail: `it ended "early"`,
		Total: 12345678, Route: 20 * time.Microsecond, Connect: time.Millisecond, FirstByte: 11 * time.Millisecond,
	}
}

func TestALineHasAllThatIsKnown(t *testing.T) {
	for _, row := range []struct {
		name string
		line []byte
		want string
	}{
		{"JSON", appendJSON(nil, full(), moment()), `{"time":"2026-01-02T03:04:05.006Z","client":"10.0.0.9","method":"GET","host":"shop:80","path":"/a?b=c","proto":"HTTP/1.1",` +
			`"status":502,"bytes_in":20,"bytes_out":300,"ms":12.345,"route_ms":0.020,"connect_ms":1.000,"first_byte_ms":11.000,"cluster":"one","backend":"10.0.0.7:8080",` +
			`"attempts":2,"rule":"route.js:7","script":"ab12","outcome":"default","end":"backend/wait","error":"http_response_incomplete","detail":"it ended \"early\"",` +
			`"id":"00ff","trace":"0123456789abcdef0123456789abcdef"}`},
		{"text", appendText(nil, full(), moment()), `10.0.0.9 - - [02/Jan/2026:03:04:05.006 +0000] "GET /a?b=c HTTP/1.1" 502 300 host="shop:80" in=20 ms=12.345 route=0.020 connect=1.000 first_byte=11.000` +
			` cluster=one backend=10.0.0.7:8080 attempts=2 rule=route.js:7 script=ab12 outcome=default end=backend/wait error=http_response_incomplete detail="it ended \"early\""` +
			` id=00ff trace=0123456789abcdef0123456789abcdef`},
		{"JSON of a head that was not understood", appendJSON(nil, &Exchange{Client: "::1", Status: 400, End: "client/request"}, moment()),
			`{"time":"2026-01-02T03:04:05.006Z","client":"::1","status":400,"bytes_in":0,"bytes_out":0,"ms":0.000,"attempts":0,"end":"client/request"}`},
		{"text of a head that was not understood", appendText(nil, &Exchange{Client: "::1", Status: 400, End: "client/request"}, moment()),
			`::1 - - [02/Jan/2026:03:04:05.006 +0000] "" 400 0 host="" in=0 ms=0.000 attempts=0 end=client/request`},
	} {
		if string(row.line) != row.want+"\n" {
			t.Errorf("%s:\n%swant\n%s", row.name, row.line, row.want)
		}
	}
}

func TestATraceIsTakenOnlyFromAProperField(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for field, want := range map[string]string{
		"00-" + id + "-0123456789abcdef-01":       id,
		"cc-" + id + "-0123456789abcdef-01-later": id,
		"":         "",
		"00-" + id: "",
		"00-" + strings.ToUpper(id) + "-0123456789abcdef-01":     "",
		"00-" + strings.Repeat("0", 32) + "-0123456789abcdef-01": "",
		"00_" + id + "-0123456789abcdef-01":                      "",
		"00-" + id + "+0123456789abcdef-01":                      "",
	} {
		if got := TraceID([]byte(field)); string(got) != want {
			t.Errorf("%q has the trace %q, want %q", field, got, want)
		}
	}
}

func TestALongValueIsCut(t *testing.T) {
	for _, value := range []string{strings.Repeat("x", maxValue), strings.Repeat("x", maxValue+1), "x" + strings.Repeat("ü", maxValue)} {
		line := appendJSON(nil, &Exchange{Host: []byte(value)}, moment())
		var got struct{ Host string }
		if err := json.Unmarshal(line, &got); err != nil || got.Host != readable(value) {
			t.Errorf("%d bytes are read as %q (%v)", len(value), got.Host, err)
		}
	}
}

// FuzzLine wants every line of JSON to be read by encoding/json with the same
// values, and every line of text to be one line without control characters.
func FuzzLine(f *testing.F) {
	f.Add("GET", "a", "/", "", "", int64(0))
	f.Add("G\"ET", "a\\", "/\x00\n\r\x1b[31m", "\x7f\u0085\u009b2J\u2028", "it's \xff\xc3 \"quoted\"", int64(-1))
	f.Add("\xed\xa0\x80", "ü", "\xc3", "\ufffd", "\xf0\x9f\x98", int64(1)<<62)
	f.Fuzz(func(t *testing.T, method, host, path, query, detail string, n int64) {
		e := &Exchange{
			Client: host, Method: []byte(method), Host: []byte(host), Path: []byte(path), Query: []byte(query), HasQuery: true, ID: []byte(query),
			Status: int(n % 1000), Received: n, Sent: n, Total: time.Duration(n), Detail: detail, Outcome: detail, End: Done,
		}
		line := appendJSON(nil, e, moment())
		expectOneLine(t, line)
		var got struct {
			Client, Method, Host, Path, Detail, Outcome, ID string
			BytesIn                                         int64 `json:"bytes_in"`
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		target := ""
		if path != "" {
			target = readable(path) + "?" + readable(query)
		}
		for _, v := range [][2]string{
			{got.Client, readable(host)}, {got.Method, readable(method)}, {got.Host, readable(host)}, {got.Path, target},
			{got.Detail, readable(detail)}, {got.Outcome, readable(detail)}, {got.ID, readable(query)},
		} {
			if v[0] != v[1] {
				t.Errorf("%q is read as %q", v[1], v[0])
			}
		}
		if got.BytesIn != n {
			t.Errorf("%d bytes are read as %d", n, got.BytesIn)
		}
		expectOneLine(t, appendText(nil, e, moment()))
	})
}

// readable is what a reader of JSON gets to see of a value.
func readable(s string) string {
	dots := ""
	if len(s) > maxValue {
		s, dots = s[:maxValue], "..."
	}
	return string([]rune(s)) + dots
}

func expectOneLine(t *testing.T, line []byte) {
	t.Helper()
	body, ended := strings.CutSuffix(string(line), "\n")
	if !ended || !utf8.ValidString(body) {
		t.Errorf("%q does not end, or is no UTF-8", line)
	}
	if i := strings.IndexFunc(body, unicode.IsControl); i >= 0 {
		t.Errorf("%q has a control character at %d", line, i)
	}
}
