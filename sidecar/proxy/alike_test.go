package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"outrider/sidecar/cluster"
)

// The tables say their messages in HTTP/1.1. What is here says the same in HTTP/2, and
// holds what comes of it against what HTTP/1.1 has come to.

// said is what one side says in a stream of HTTP/2.
type said struct {
	fields  []string // names and values, pseudo-fields first
	data    string
	trailer []string
}

// requestInHTTP2 is a request as HTTP/2 says it, byte for byte, but for the case of names
// and the framing of a body whose fields are in order. Not ok: it is bad, or good, by
// what only HTTP/1 has, which are lines, versions, absolute targets and chunks.
func requestInHTTP2(request string) (m said, ok bool) {
	head, body, whole := strings.Cut(request, "\r\n\r\n")
	line, rest, _ := strings.Cut(head, "\r\n")
	words := strings.Split(line, " ")
	if !whole || len(words) != 3 || words[2] != "HTTP/1.1" || words[1] == "" || strings.Contains(words[1], "://") {
		return m, false
	}
	fields, ok := linesInHTTP2(rest)
	if !ok {
		return m, false
	}
	m.fields = []string{":method", words[0], ":scheme", "http", ":path", words[1]}
	if i := slices.Index(fields, "host"); i >= 0 && i%2 == 0 {
		m.fields = append(m.fields, ":authority", fields[i+1])
		fields = slices.Delete(fields, i, i+2)
	}
	fields, ok = m.unframe(fields, body)
	m.fields = append(m.fields, fields...)
	return m, ok
}

// responseInHTTP2 is the same of a response.
func responseInHTTP2(response string) (m said, ok bool) {
	head, body, whole := strings.Cut(response, "\r\n\r\n")
	line, rest, _ := strings.Cut(head, "\r\n")
	words := strings.Split(line, " ")
	fields, sayable := linesInHTTP2(rest)
	if !whole || len(words) < 2 || !sayable {
		return m, false
	}
	m.fields = []string{":status", words[1]}
	fields, ok = m.unframe(fields, body)
	m.fields = append(m.fields, fields...)
	return m, ok
}

func linesInHTTP2(lines string) (fields []string, ok bool) {
	for line := range strings.SplitSeq(lines, "\r\n") {
		name, value, isField := strings.Cut(line, ":")
		switch {
		case line == "":
		case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
			if len(fields) == 0 {
				return nil, false
			}
			fields[len(fields)-1] += "\r\n" + line
		case !isField:
			return nil, false
		default:
			fields = append(fields, strings.ToLower(name), strings.Trim(value, " \t"))
		}
	}
	return fields, true
}

// unframe takes a body out of its chunks.
func (m *said) unframe(fields []string, body string) (left []string, ok bool) {
	m.data = body
	i := slices.Index(fields, "transfer-encoding")
	if i < 0 || i%2 != 0 || !strings.EqualFold(fields[i+1], "chunked") || slices.Contains(fields, "content-length") {
		return fields, true
	}
	rest := bufio.NewReader(strings.NewReader(body))
	data, err := io.ReadAll(httputil.NewChunkedReader(rest))
	if err != nil {
		return fields, false
	}
	trailer, err := io.ReadAll(rest)
	if err != nil || !bytes.HasSuffix(trailer, []byte("\r\n")) {
		return fields, false
	}
	m.data = string(data)
	m.trailer, ok = linesInHTTP2(string(trailer))
	return slices.Delete(fields, i, i+2), ok
}

// forbidden tells whether a field of it belongs to connections of HTTP/1.1: such a message
// is malformed (RFC 9113, 8.2.2).
func (m *said) forbidden() bool {
	for all, i := slices.Concat(m.fields, m.trailer), 0; i < len(all); i += 2 {
		switch all[i] {
		case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
			return true
		case "te":
			if all[i+1] != "trailers" {
				return true
			}
		}
	}
	return false
}

// say sends the message in a stream.
func (f *framer) say(stream uint32, m said) {
	_ = f.head(stream, m.data == "" && len(m.trailer) == 0, m.fields...)
	if m.data != "" {
		_ = f.WriteData(stream, len(m.trailer) == 0, []byte(m.data))
	}
	if len(m.trailer) > 0 {
		_ = f.head(stream, true, m.trailer...)
	}
}

// heardInHTTP2 is what the other side said in a stream.
type heardInHTTP2 struct {
	interim [][]string
	said
	cut error // what ended it instead of its end
}

// field is the value of the last field of this name.
func (h *heardInHTTP2) field(name string) (value string) {
	for i := 0; i < len(h.fields); i += 2 {
		if h.fields[i] == name {
			value = h.fields[i+1]
		}
	}
	return value
}

// hear listens to a stream until it ends.
func (f *framer) hear(stream uint32) (h heardInHTTP2) {
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.MaxHeaderListSize = 1 << 20
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			h.cut = err
			return h
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			if frame.ErrCode != http2.ErrCodeNo {
				h.cut = http2.ConnectionError(frame.ErrCode)
				return h
			}
		case *http2.RSTStreamFrame:
			h.cut = http2.StreamError{StreamID: frame.StreamID, Code: frame.ErrCode}
			return h
		case *http2.DataFrame:
			h.data += string(frame.Data())
		case *http2.MetaHeadersFrame:
			var fields []string
			for _, field := range frame.Fields {
				fields = append(fields, field.Name, field.Value)
			}
			switch {
			case h.fields != nil:
				h.trailer = fields
			case fields[0] == ":status" && fields[1][0] == '1':
				h.interim = append(h.interim, fields)
			default:
				h.fields = fields
			}
		}
		if frame.Header().StreamID == stream && frame.Header().Flags.Has(http2.FlagDataEndStream) &&
			(frame.Header().Type == http2.FrameData || frame.Header().Type == http2.FrameHeaders) {
			return h
		}
	}
}

// speak says a request over a connection of HTTP/2, and hears the answer.
func speak(t testing.TB, addr string, m said) heardInHTTP2 {
	t.Helper()
	nc, err := dial(addr, http2.NextProtoTLS)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(nc, http2.ClientPreface)
	f := &framer{t, nc, http2.NewFramer(nc, nc)}
	_ = f.WriteSettings()
	f.say(1, m)
	return f.hear(1)
}

// listening is a backend that speaks HTTP/2, answers each connection's first request
// with a message, and tells what it was.
func listening(t testing.TB, answer said) (addr netip.AddrPort, requests chan heardInHTTP2) {
	requests = make(chan heardInHTTP2, 10)
	return frames(t, func(f *framer) {
		for stream := uint32(1); ; stream += 2 {
			h := f.hear(stream)
			if h.cut != nil {
				return
			}
			requests <- h
			f.say(stream, answer)
		}
	}), requests
}

// essence are the fields of a message in an order of their own, without those that frame
// it or that each wire says in its own way.
func essence(fields []string) []string {
	var lines, crumbs []string
	for i := 0; i < len(fields); i += 2 {
		name, value := strings.ToLower(fields[i]), strings.Trim(fields[i+1], " \t")
		switch {
		case name == "connection", name == "transfer-encoding", name == "host", strings.HasPrefix(name, ":"):
		case name == "x-request-id" && len(value) == 16: // made by us
		case name == "date" && strings.HasSuffix(value, " GMT"): // made by us
		case name == "via":
			lines = append(lines, "via: "+strings.Replace(value, "2 sidecar-under-test", "1.1 sidecar-under-test", 1))
		case name == "trailer":
			lines = append(lines, "trailer: "+strings.ToLower(value))
		case name == "cookie": // which HTTP/2 may take to pieces (RFC 9113, 8.2.3)
			crumbs = append(crumbs, value)
		default:
			lines = append(lines, name+": "+value)
		}
	}
	lines = append(lines, "cookie: "+strings.Join(crumbs, "; "))
	slices.Sort(lines)
	return lines
}

// pairs are the names and values of a header.
func pairs(h http.Header) (fields []string) {
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, name, value)
		}
	}
	return fields
}

// fieldPairs are the names and values of lines.
func fieldPairs(lines []string) (fields []string) {
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields = append(fields, name, value)
		}
	}
	return fields
}

// goesAlike wants a request that goes upstream so over HTTP/1.1 to go so over HTTP/2 too,
// from the client and to the backend; or to be refused, where HTTP/2 forbids its fields.
func goesAlike(t *testing.T, request string, want *received, options ...option) {
	t.Helper()
	m, sayable := requestInHTTP2(request)
	if !sayable {
		return
	}
	wanted := essence(fieldPairs(fieldsOf(want.raw)))
	app := newUpstream(t, answers(ok))
	a := speak(t, newSidecar(t, append([]option{to(app)}, options...)...).addr, m)
	switch {
	case m.forbidden():
		if a.cut == nil && a.field(":status") != "400" || len(app.requests()) > 0 {
			t.Errorf("over HTTP/2 it is answered %q, and upstream is %q", a.fields, app.got())
		}
	case a.field(":status") != "200" || len(app.requests()) != 1:
		t.Errorf("over HTTP/2 it is answered %q, %v", a.fields, a.cut)
	default:
		got := app.requests()[0]
		if fields := essence(fieldPairs(fieldsOf(got.raw))); !slices.Equal(fields, wanted) || got.Method != want.Method || got.RequestURI != want.RequestURI ||
			got.Host != want.Host || got.body != want.body || !slices.Equal(essence(pairs(got.Trailer)), essence(pairs(want.Trailer))) {
			t.Errorf("from HTTP/2 upstream got %q with %q, %v, want\n%q with %q, %v", got.raw, fields, got.Trailer, want.raw, wanted, want.Trailer)
		}
	}
	if want.Header.Get("Upgrade") != "" {
		return // there is none over HTTP/2
	}
	addr, requests := listening(t, said{fields: []string{":status", "200", "content-length", "2"}, data: "ok"})
	s := newSidecar(t, append([]option{at(addr), speaking(cluster.HTTP2)}, options...)...)
	if a := s.exchange(t, request); a.StatusCode != 200 {
		t.Errorf("to HTTP/2 it is answered %s %q", a.Status, a.body)
		return
	}
	got := <-requests
	if fields := essence(got.fields); !slices.Equal(fields, wanted) || got.field(":method") != want.Method || got.field(":path") != want.RequestURI ||
		got.field(":authority") != want.Host || got.data != want.body || !slices.Equal(essence(got.trailer), essence(pairs(want.Trailer))) {
		t.Errorf("to HTTP/2 upstream got %q, trailers %q, want\n%q, trailers %v", got.fields, got.trailer, wanted, want.Trailer)
	}
}

// comesAlike wants a response whose first head is this one over HTTP/1.1 to be so over
// HTTP/2 too, to the client and from the backend; or to be a 502, where HTTP/2 forbids
// its fields.
func comesAlike(t *testing.T, response, head string) {
	t.Helper()
	wanted := essence(fieldPairs(fieldsOf(head)))
	status := strings.Fields(head)[1]
	question, _ := requestInHTTP2(get(""))
	first := func(a heardInHTTP2) []string {
		if len(a.interim) > 0 {
			return a.interim[0]
		}
		return a.fields
	}
	a := speak(t, newSidecar(t, to(newUpstream(t, answers(response)))).addr, question)
	if got := first(a); a.cut != nil || got[1] != status || !slices.Equal(essence(got), wanted) {
		t.Errorf("over HTTP/2 the client got %q, %v, want\n%q", got, a.cut, wanted)
	}
	m, sayable := responseInHTTP2(response)
	if !sayable || status[0] == '1' {
		return
	}
	addr, _ := listening(t, m)
	got := newSidecar(t, at(addr), speaking(cluster.HTTP2), retries(0)).exchange(t, get(""))
	if m.forbidden() {
		if got.StatusCode != 502 || !strings.Contains(got.Header.Get("Proxy-Status"), "http_protocol_error") {
			t.Errorf("from HTTP/2 it is answered %s %v", got.Status, got.Header)
		}
		return
	}
	fields := pairs(got.Header)
	if i := slices.Index(m.fields, "trailer"); i > 0 { // for which a length leaves no room
		fields = append(fields, "content-length", fmt.Sprint(len(m.data)))
	}
	if fields = essence(fields); fmt.Sprint(got.StatusCode) != status || !slices.Equal(fields, wanted) {
		t.Errorf("from HTTP/2 the client got %s %q, want\n%q", got.Status, fields, wanted)
	}
}

// trailsAlike wants a response to have these trailers over HTTP/2 as well: from a backend
// those, and to a client also what was not announced.
func trailsAlike(t *testing.T, response, want string) {
	t.Helper()
	wanted := essence(fieldPairs(strings.Split(want, "\r\n")))
	question, _ := requestInHTTP2(get(""))
	a := speak(t, newSidecar(t, to(newUpstream(t, answers(response)))).addr, question)
	announces := strings.Contains(response, "Trailer:")
	if got := essence(a.trailer); a.cut != nil || a.data != "ok" || announces && !slices.Equal(got, wanted) || !announces && len(a.trailer) != 2 {
		t.Errorf("over HTTP/2 the client got trailers %q, %v, want\n%q", a.trailer, a.cut, wanted)
	}
	m, _ := responseInHTTP2(response)
	if m.forbidden() {
		return
	}
	addr, _ := listening(t, m)
	got := newSidecar(t, at(addr), speaking(cluster.HTTP2)).exchange(t, get(""))
	trailer := pairs(got.Trailer)
	if got.body != "ok" || !slices.Equal(essence(trailer), wanted) {
		t.Errorf("from HTTP/2 the client got %q, trailers %q, want\n%q", got.body, trailer, wanted)
	}
}

// refusesInHTTP2 wants each request that HTTP/2 can say to be refused there, by an answer
// or by the reset of its stream or connection, and silence upstream.
func refusesInHTTP2(t *testing.T, rows []refusal, options ...option) {
	t.Helper()
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, append([]option{to(app)}, options...)...)
	for _, row := range rows {
		m, sayable := requestInHTTP2(row.request)
		if !sayable || slices.Contains(fineInHTTP2(), row.name) {
			continue
		}
		t.Run(row.name+" in HTTP/2", func(t *testing.T) {
			if m.data != "" && !slices.Contains(m.fields, "transfer-encoding") && !slices.Contains(m.fields, "content-length") {
				m.data = ""
			}
			before := len(app.requests())
			a := speak(t, s.addr, m)
			if status := a.field(":status"); a.cut == nil && status != fmt.Sprint(row.status) && status != "400" && (status != "431" || row.status != 414) {
				t.Errorf("%q is answered %s", m.fields, status)
			}
			if got := app.requests(); len(got) > before {
				t.Errorf("the upstream got %q", got[before].raw)
			}
		})
	}
}

// fineInHTTP2 are the rows that are no fault there.
func fineInHTTP2() []string {
	return []string{
		"the same Host twice", // :authority and an equal Host (RFC 9113, 8.3.1)
	}
}
