package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// response is a response of the grammar to the i-th request, often a bad one,
// and perhaps something behind it that nobody asked for.
func (d *dice) response(i int) string {
	name := "t" + strconv.Itoa(i)
	body := "reply to " + name
	interim := d.mostly("", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", "HTTP/1.1 102 P\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "\r\n", "HTTP/1.1 103 X\r\nTransfer-Encoding: x\r\n\r\n")
	line := d.mostly("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2", "ICY", "http/1.1") + d.mostly(" ", "  ", "\t") +
		d.mostly("200", "204", "304", "404", "099", "600", "20", "abc", "+20", "2000") + d.mostly(" OK", "", " ", " \x00", " a\rb") + d.mostly("\r\n", "\n", "\r")
	fields := "X-Reply: " + name + "\r\n"
	for range d.roll(4) {
		fields += d.field()
	}
	end := d.mostly("\r\n", "\n", "\r\r\n")
	switch d.roll(6) {
	case 0, 1:
		fields += "Content-Length: " + strconv.Itoa(len(body)+d.roll(3)-min(1, d.roll(8)/7)) + "\r\n"
		body += d.mostly("", "poison", "HTTP/1.1 200 OK\r\nX-Reply: poison\r\nContent-Length: 6\r\n\r\npoison")
	case 2, 3:
		fields += "Transfer-Encoding: chunked\r\n"
		body = d.chunks(body) + d.mostly("", "HTTP/1.1 200 OK\r\nX-Reply: poison\r\nContent-Length: 6\r\n\r\npoison")
	case 4:
		fields += "Content-Length: " + strconv.Itoa(len(body)) + "\r\nTransfer-Encoding: chunked\r\n"
		body = d.chunks(body)
	}
	return d.mutated(interim + line + fields + end + body)
}

// player is a far end that gives the responses which were made up for the
// requests, one for each try.
type player struct {
	ln        net.Listener
	tasks     sync.WaitGroup
	responses []string
	dice      *dice

	mu    sync.Mutex // guards the dice and tries
	tries []int      // of each request
}

func newPlayer(t testing.TB, responses []string, d *dice) *player {
	p := &player{ln: listen(t), responses: responses, dice: d, tries: make([]int, len(responses))}
	p.tasks.Go(func() {
		for {
			nc, err := p.ln.Accept()
			if err != nil {
				return
			}
			p.tasks.Go(func() { p.serve(nc) })
		}
	})
	return p
}

func (p *player) serve(nc net.Conn) {
	defer nc.Close()
	ref, in := newReference(), bufio.NewReader(nc)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		i, _ := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/t"))
		p.play(nc, i)
		// What waits for an end gets one, so that no test waits for a limit.
		if m, err := finalOf(ref, p.responses[i], req.Method); err != nil || m.toTheEnd {
			_ = nc.(*net.TCPConn).CloseWrite()
		}
	}
}

func (p *player) play(nc net.Conn, i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries[i]++
	p.dice.sendInPieces(nc, p.responses[i])
}

// finalOf is the final response in what a backend has sent, and errRefBroken also
// where no proxy may take what is before it.
func finalOf(ref *reference, wire, method string) (*message, error) {
	for {
		m, err := ref.readResponse(wire, method)
		switch {
		case err != nil || m.status >= 200:
			return m, err
		case m.status == http.StatusSwitchingProtocols:
			return m, errRefBroken
		}
		wire = wire[m.size:]
	}
}

// FuzzResponseStreams holds to this: the client sees an answer that means what
// the backend's does, or a 502, or a cut; and of one response nothing is ever
// seen in another.
func FuzzResponseStreams(f *testing.F) {
	for i := range 48 {
		f.Add(seed(100 + i))
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		over(t, func(t *testing.T) { tryResponses(t, &dice{choices}) })
	})
}

func tryResponses(t *testing.T, d *dice) {
	var methods, responses []string
	for i := range 1 + d.roll(4) {
		methods = append(methods, d.mostly("GET", "HEAD", "POST"))
		responses = append(responses, d.response(i))
	}
	app := newPlayer(t, responses, d)
	s := newSidecar(t, quiet, at(netip.MustParseAddrPort(app.ln.Addr().String())), retries(2))
	c := dialRaw(t, s.addr)
	for i, method := range methods {
		c.send(method + " /t" + strconv.Itoa(i) + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if !checkResponse(t, c, i, method, responses[i]) {
			c.close()
			c = dialRaw(t, s.addr)
		}
	}
	c.close()
	until(t, "the end of the exchange", func() bool { return s.Clients() == 0 && s.Active() == 0 })
	s.Shutdown(t.Context())
	_ = app.ln.Close()
	app.tasks.Wait()
	for i, n := range app.tries {
		if n > 1 {
			t.Errorf("request %d was sent %d times", i, n)
		}
	}
}

// checkResponse reads what comes of a response, and tells whether the client's
// connection goes on.
func checkResponse(t *testing.T, c *client, i int, method, backend string) (goesOn bool) {
	t.Helper()
	ref := newReference()
	want, broken := finalOf(ref, backend, method)
	got, wire, cut := readAnswer(c, ref, method)
	if got == nil {
		if broken == nil {
			t.Fatalf("a good response does not reach the client, which got %q (%v): %q", wire, cut, backend)
		}
		return false
	}
	if strings.Contains(got.first("proxy-status"), "error=") && got.status == http.StatusBadGateway {
		if broken == nil {
			t.Fatalf("a good response is a 502 for the client: %q\nof %q", wire, backend)
		}
		return got.first("connection") != "close"
	}
	switch {
	case broken != nil && cut == nil:
		t.Fatalf("a response that is broken (%v) looks complete to the client: %q\nof %q", broken, wire, backend)
	case got.status != want.status || got.first("x-reply") != want.first("x-reply"):
		t.Fatalf("the client got another response to %d: %q\nof %q", i, wire, backend)
	case broken == nil && (cut != nil || got.body != want.body):
		t.Fatalf("the client got another body (%v): %q, want %q\nof %q", cut, got.body, want.body, backend)
	case broken == nil && got.toTheEnd:
		t.Fatalf("a response to HTTP/1.1 ends with the connection: %q\nof %q", wire, backend)
	}
	return cut == nil && got.first("connection") != "close"
}

// readAnswer reads the final answer byte by byte, as far as there is one. Cut
// tells that its end is missing.
func readAnswer(c *client, ref *reference, method string) (m *message, wire string, cut error) {
	c.patient()
	at := 0
	for {
		m, cut = ref.readResponse(wire[at:], method)
		switch {
		case cut == nil && m.status < 200:
			at += m.size
			continue
		case cut == nil && !m.toTheEnd:
			return m, wire, nil
		}
		next, err := c.in.ReadByte()
		if err != nil {
			return m, wire, err
		}
		wire += string([]byte{next})
	}
}
