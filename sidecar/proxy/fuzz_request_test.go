package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// dice make choices of the fuzzer's bytes; when these are used up every choice is
// the first.
type dice struct{ bytes []byte }

func (d *dice) roll(n int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	v := int(d.bytes[0])
	d.bytes = d.bytes[1:]
	return v % n
}

func (d *dice) pick(of ...string) string { return of[d.roll(len(of))] }

// mostly picks the first, three times out of four.
func (d *dice) mostly(first string, others ...string) string {
	if v := d.roll(4 * len(others)); v > 0 && v <= len(others) {
		return others[v-1]
	}
	return first
}

// mutated changes some bytes of a message, or more often none.
func (d *dice) mutated(wire string) string {
	for range max(0, d.roll(8)-5) {
		at := (d.roll(256)*256 + d.roll(256)) % (len(wire) + 1)
		odd := d.pick("\r", "\n", "\r\n", "\x00", " ", "\t", ":", ",", ";", "0", "9", "\x80", "\x0b", "", "A")
		end := min(at+d.roll(3), len(wire))
		wire = wire[:at] + odd + wire[end:]
	}
	return wire
}

// sendInPieces sends the bytes split where the dice have it.
func (d *dice) sendInPieces(to io.Writer, wire string) {
	for range d.roll(4) {
		at := (d.roll(256)*256 + d.roll(256)) % (len(wire) + 1)
		_, _ = io.WriteString(to, wire[:at])
		wire = wire[at:]
	}
	_, _ = io.WriteString(to, wire)
}

// field is a field that some server somewhere reads in its own way.
func (d *dice) field() string {
	return d.pick(
		"", "X-A: b\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: X-Token, Host, Content-Length\r\n",
		"Expect: 100-continue\r\n", "Expect: x\r\n", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n",
		"Connection: upgrade\r\nUpgrade: websocket\r\n", "TE: trailers\r\n", "Trailer: X-T\r\n", "Keep-Alive: 1\r\n", "Via: 1.1 b\r\n",
		"Via: 1.1 sidecar-under-test\r\n", "X-Forwarded-For: 1\r\n", "Content-Length: 0\r\n", "Content-Length: 7\r\n", "Content-Length : 7\r\n",
		"Content-Length: +7\r\n", "Content-Length: 7, 7\r\n", "Content-Length:\r\n 7\r\n", "Content_Length: 7\r\n", "X: y\nContent-Length: 7\r\n",
		"X: y\rContent-Length: 7\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding : chunked\r\n", "Transfer-Encoding: identity\r\n",
		"Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding:\x0bchunked\r\n", "Transfer-Encoding: x\r\n chunked\r\n", "transfer-encoding:chunked \r\n",
		" X: y\r\n", "X: y\r\n z\r\n", "X: \x00\r\n", "X : y\r\n", ": y\r\n", "X\r\n", "Host: c\r\n", "X: \xe4\r\n", "Max-Forwards: 1\r\n",
	)
}

// request is a request of the grammar, with a name that is in all its parts.
func (d *dice) request(i int) string {
	name := "t" + strconv.Itoa(i)
	body := "GET /s" + strconv.Itoa(i) + " HTTP/1.1\r\nHost: a\r\n\r\n"
	line := d.mostly("GET", "POST", "HEAD", "PUT", "OPTIONS", "get", "TRACE", "CONNECT", "G@T", "BREW", "") + d.mostly(" ", "  ", "\t", "") +
		d.mostly("/"+name, "/"+name+"?a=b", "http://b/"+name, "/x/../"+name, "//"+name, "*", "/"+name+"#f", "/a b/"+name, name, "http://u@b/"+name,
			"https://b:1/"+name, "/%00/"+name, "/\xe4/"+name) +
		d.mostly(" ", "  ", "\t") + d.mostly("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "http/1.1", "HTTP/2.0", "HTTP/1.1 x", "") + d.mostly("\r\n", "\n", "\r", "\r\r\n")
	fields := d.mostly("Host: a\r\n", "", "Host:\r\n", "Host: a\r\nHost: b\r\n", "host: [::1]:80\r\n", "Host: a b\r\n", "Host: u@a\r\n", "Host : a\r\n")
	fields += "X-Token: " + name + "\r\n"
	for range d.roll(4) {
		fields += d.field()
	}
	end := d.mostly("\r\n", "\n", "\r\r\n")
	switch d.roll(6) {
	case 1:
		return line + fields + "Content-Length: " + strconv.Itoa(len(body)+d.roll(3)-min(1, d.roll(8)/7)) + "\r\n" + end + body
	case 2, 3:
		return line + fields + "Transfer-Encoding: chunked\r\n" + end + d.chunks(body)
	case 4:
		return line + fields + "Content-Length: " + strconv.Itoa(len(body)) + "\r\nTransfer-Encoding: chunked\r\n" + end + d.chunks(body)
	case 5:
		return d.pick("\r\n", "\r\n\r\n", "\n") + line + fields + end
	}
	return line + fields + end
}

// chunks frames a body, well or not.
func (d *dice) chunks(body string) string {
	half := len(body) / 2
	size := func(n int) string {
		return d.mostly(fmt.Sprintf("%x", n), fmt.Sprintf("%X", n), fmt.Sprintf("0%x", n), fmt.Sprintf("0x%x", n), fmt.Sprintf("%x ", n), fmt.Sprintf("+%x", n),
			fmt.Sprintf("%x;a=\"b\"", n), fmt.Sprintf("%x;\x00", n), fmt.Sprintf("%x", n+1), "-1", "ffffffffffffffff1", "") + d.mostly("\r\n", "\n", "\r")
	}
	return size(half) + body[:half] + d.mostly("\r\n", "\n", "", "\r") + size(len(body)-half) + body[half:] + "\r\n" +
		d.mostly("0\r\n", "0\n", "00\r\n", "0;x\r\n", "0 \r\n") +
		d.mostly("\r\n", "X-T: u\r\n\r\n", "Content-Length: 7\r\n\r\n", "X : u\r\n\r\n", " X: u\r\n\r\n", "\n", "X-T: \x00\r\n\r\n")
}

// recorder is a far end that reads requests by the reference, and net/http's word
// on them, and answers each with its name.
type recorder struct {
	ln     net.Listener
	ref    *reference
	tasks  sync.WaitGroup
	mu     sync.Mutex // guards what follows
	got    []*message
	faults []string
}

func newRecorder(t testing.TB) *recorder {
	r := &recorder{ln: listen(t), ref: newReference()}
	r.tasks.Go(func() {
		for {
			nc, err := r.ln.Accept()
			if err != nil {
				return
			}
			r.tasks.Go(func() { r.serve(nc) })
		}
	})
	return r
}

func (r *recorder) serve(nc net.Conn) {
	defer nc.Close()
	wire, buf := "", make([]byte, 4<<10)
	for {
		n, err := nc.Read(buf)
		wire += string(buf[:n])
		for {
			m, broken := r.ref.readRequest(wire)
			if broken == errRefBroken { //nolint:errorlint // never wrapped
				r.fault("the reference can not read what went upstream: %q", wire)
				return
			}
			if broken != nil || m.size == 0 {
				break
			}
			r.compare(m, wire[:m.size])
			wire = wire[m.size:]
			r.mu.Lock()
			r.got = append(r.got, m)
			r.mu.Unlock()
			_, _ = io.WriteString(nc, echoOf(m))
		}
		if err != nil {
			return
		}
	}
}

// echoOf is the answer that only this request gets.
func echoOf(m *message) string {
	body := replyTo(m)
	head := "HTTP/1.1 200 OK\r\nX-Method: " + m.method + "\r\nX-Reply: " + m.target + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	if m.method == "HEAD" {
		return head
	}
	return head + body
}

func replyTo(m *message) string {
	return "reply to " + m.method + " " + m.target + " " + m.first("x-token")
}

func (r *recorder) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// compare holds the reference against net/http.
func (r *recorder) compare(m *message, wire string) {
	in := bufio.NewReader(strings.NewReader(wire + "behind"))
	req, err := http.ReadRequest(in)
	if err != nil {
		if !excusable.MatchString(err.Error()) {
			r.fault("net/http can not read what went upstream: %v: %q", err, wire)
		}
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || string(body) != m.body || req.Method != m.method || req.RequestURI != m.target || req.Host != m.first("host") {
		r.fault("net/http reads %s %s %s %q (%v), the reference %v of %q", req.Method, req.RequestURI, req.Host, body, err, m, wire)
	}
	if behind, _ := io.ReadAll(in); string(behind) != "behind" {
		r.fault("net/http sees the end elsewhere, before %q, in %q", behind, wire)
	}
}

// What net/http refuses though it reads in one way: it decodes paths, and judges
// announcements.
var excusable = regexp.MustCompile("invalid URL escape|bad trailer key|invalid character")

// stop ends the far end, and returns what it has seen.
func (r *recorder) stop() ([]*message, []string) {
	_ = r.ln.Close()
	r.tasks.Wait()
	return r.got, r.faults
}

func quiet(s *setup) { s.options.Log.(*logrus.Logger).SetOutput(io.Discard) }

// over runs a test of the fuzzer's over one transport after the other.
func over(t *testing.T, test func(t *testing.T)) {
	before := *transport
	defer func() { *transport = before }()
	for _, *transport = range []string{"poller", "net"} {
		t.Run(*transport, test)
	}
}

// FuzzRequestStreams holds to this: what goes upstream reads in exactly one way,
// and there are as many requests upstream as there are answers of the upstream's,
// in the same order, each with its own; and behind a fault nothing is served.
func FuzzRequestStreams(f *testing.F) {
	for i := range 48 {
		f.Add(seed(i))
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		over(t, func(t *testing.T) { tryRequests(t, &dice{choices}) })
	})
}

// seed is bytes that look like chance and are always the same.
func seed(i int) []byte {
	b, x := make([]byte, 96), uint32(i*2654435761+12345)
	for j := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[j] = byte(x >> 11)
	}
	return b
}

func tryRequests(t *testing.T, d *dice) {
	app := newRecorder(t)
	s := newSidecar(t, quiet, at(netip.MustParseAddrPort(app.ln.Addr().String())), halfClose(time.Minute))
	var wire strings.Builder
	for i := range 1 + d.roll(4) {
		wire.WriteString(d.request(i))
	}
	wire.WriteString("GET /end HTTP/1.1\r\nHost: a\r\nX-Token: end\r\nConnection: close\r\n\r\n")
	stream := d.mutated(wire.String())
	gone := d.roll(16) == 15
	c := dialRaw(t, s.addr)
	d.sendInPieces(c.nc, stream)
	if gone {
		c.reset()
		later := dialRaw(t, s.addr).send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")
		later.response() // so the one before it was accepted
		later.close()
	} else {
		c.fin()
	}
	var answered string
	if !gone {
		answered, _ = c.rest()
	}
	until(t, "the end of the exchange", func() bool { return s.Clients() == 0 && s.Active() == 0 })
	s.Shutdown(t.Context())
	got, faults := app.stop()
	for _, fault := range faults {
		t.Errorf("%s\nof %q", fault, stream)
	}
	if !gone {
		checkAnswers(t, newReference(), answered, got, stream)
	}
}

// checkAnswers holds what the client got against what the upstream got.
func checkAnswers(t *testing.T, ref *reference, wire string, got []*message, stream string) {
	t.Helper()
	whole, left, closed := wire, slices.Clone(got), false
	for wire != "" {
		if closed {
			t.Fatalf("something follows the last answer: %q\nto %q", whole, stream)
		}
		m, err := ref.readResponse(wire, expectedMethod(wire))
		if err != nil {
			t.Fatalf("the client got what is no answer (%v): %q\nto %q", err, whole, stream)
		}
		wire = wire[m.size:]
		closed = m.first("connection") == "close"
		if m.first("proxy-status") != "" {
			if refusal := slices.Contains([]int{400, 408, 414, 417, 431, 501, 505}, m.status); refusal && !closed {
				t.Fatalf("a refused request leaves the connection: %q\nto %q", whole, stream)
			}
			continue
		}
		if len(left) == 0 || m.first("x-reply") != left[0].target || m.first("x-method") != "HEAD" && m.body != replyTo(left[0]) {
			t.Fatalf("an answer is not to its request: %q\nof %v to %q", whole, left, stream)
		}
		left = left[1:]
	}
	if len(left) > 0 {
		t.Fatalf("%d requests went upstream whose answers the client did not get, %v: %q\nto %q", len(left), left[0], whole, stream)
	}
}

// expectedMethod is HEAD where no body follows the head of an answer that has a
// length.
func expectedMethod(wire string) string {
	_, behind, _ := strings.Cut(wire, "\r\n\r\n")
	if strings.HasPrefix(behind, "outrider: ") || strings.HasPrefix(behind, "reply to ") {
		return "GET"
	}
	return "HEAD"
}
