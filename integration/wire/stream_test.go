//go:build linux

package wire_test

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const large = 256 << 20

// most is what the memory of a sidecar may grow by, in MiB, whatever passes.
const most = 40

// noise is a body in which no piece is like another.
func noise() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{}), large) }

// checksum reads to the end, and fits no body that is shorter, longer or mixed up.
func checksum(r io.Reader) (string, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(sum, r)
	return fmt.Sprintf("%d bytes, CRC-32C %08x", n, sum.Sum32()), err
}

// streams is a backend that answers to / at once, and otherwise by h.
func streams(t *testing.T, h http.HandlerFunc) *sidecar {
	t.Helper()
	return start(t, backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			ok(w, r)
			return
		}
		h(w, r)
	}), setup{})
}

// fresh is a client with connections of its own, and patience for a 100.
func fresh(t *testing.T) *http.Client {
	transport := &http.Transport{ExpectContinueTimeout: 20 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 40 * time.Second}
}

// bounded is attacked, with an eye on memory.
func bounded(t *testing.T, sc *sidecar, attack func(c *http.Client)) {
	t.Helper()
	idle := sc.rss()
	o := attacked(t, sc, func(o *others) {
		c := fresh(t)
		for first := true; first || o.tooFew(); first = false {
			attack(c)
		}
		c.CloseIdleConnections()
	})
	if grown := o.peak - idle; grown > most {
		t.Errorf("it took %d MiB", grown)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	for p := make([]byte, 32<<10); ; {
		n, err := r.Body.Read(p)
		if n > 0 {
			_, _ = w.Write(p[:n])
			w.(http.Flusher).Flush()
		}
		if err != nil {
			return
		}
	}
}

func framings() map[string]int64 { return map[string]int64{"with a length": large, "in chunks": -1} }

func TestALargeBodyComesWholeInBoundedMemory(t *testing.T) {
	want, _ := checksum(noise())
	for framing, size := range framings() {
		t.Run("downwards "+framing, func(t *testing.T) {
			sc := streams(t, func(w http.ResponseWriter, _ *http.Request) {
				if size > 0 {
					w.Header().Set("Content-Length", fmt.Sprint(size))
				}
				_, _ = io.Copy(w, noise())
			})
			bounded(t, sc, func(c *http.Client) {
				resp, err := c.Get("http://" + sc.addr + "/large")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if got, err := checksum(resp.Body); got != want || err != nil || resp.ContentLength != size {
					t.Errorf("got %s of %d, %v, want %s", got, resp.ContentLength, err, want)
				}
			})
		})
		t.Run("upwards "+framing, func(t *testing.T) {
			sc := streams(t, func(w http.ResponseWriter, r *http.Request) {
				got, err := checksum(r.Body)
				fmt.Fprintf(w, "%s of %d, %v", got, r.ContentLength, err)
			})
			bounded(t, sc, func(c *http.Client) {
				if got, want := post(c, request(t, sc, noise(), size)), fmt.Sprintf("%s of %d, <nil>", want, size); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		})
		t.Run("both ways at once "+framing, func(t *testing.T) {
			sc := streams(t, echo)
			bounded(t, sc, func(c *http.Client) {
				req := request(t, sc, noise(), size)
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if got, err := checksum(resp.Body); got != want || err != nil {
					t.Errorf("got %s, %v, want %s", got, err, want)
				}
			})
		})
	}
}

func request(t *testing.T, sc *sidecar, body io.Reader, size int64) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+sc.addr+"/stream", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	return req
}

// post sends a body, and is the answer's, or the error in its place.
func post(c *http.Client, req *http.Request) string {
	resp, err := c.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// hear is the next thing that is said.
func hear(t *testing.T, said <-chan string) string {
	t.Helper()
	select {
	case what := <-said:
		return what
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is heard")
		return ""
	}
}

// metered counts what was read from it.
type metered struct {
	io.Reader
	n atomic.Int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.n.Add(int64(n))
	return n, err
}

// stalls waits until nothing passes any more, which must be long before the end.
func (m *metered) stalls(t *testing.T) {
	t.Helper()
	last, since := int64(0), time.Now()
	until(t, "a stall", func() bool {
		if n := m.n.Load(); n == 0 || n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	})
	if last > large/4 {
		t.Errorf("%d MiB went out, and nobody had read any", last>>20)
	}
}

func TestAClientThatReadsSlowlyStallsTheBackend(t *testing.T) {
	want, _ := checksum(noise())
	for framing, size := range framings() {
		t.Run(framing, func(t *testing.T) {
			body := &metered{Reader: noise()}
			sc := streams(t, func(w http.ResponseWriter, _ *http.Request) {
				if size > 0 {
					w.Header().Set("Content-Length", fmt.Sprint(size))
				}
				_, _ = io.Copy(w, body)
			})
			bounded(t, sc, func(c *http.Client) {
				resp, err := c.Get("http://" + sc.addr + "/large")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body.stalls(t)
				if got, err := checksum(resp.Body); got != want || err != nil {
					t.Errorf("then came %s, %v, want %s", got, err, want)
				}
			})
		})
	}
}

func TestABackendThatReadsSlowlyStallsTheClient(t *testing.T) {
	want, _ := checksum(noise())
	for framing, size := range framings() {
		t.Run(framing, func(t *testing.T) {
			read := make(chan struct{})
			sc := streams(t, func(w http.ResponseWriter, r *http.Request) {
				<-read
				got, _ := checksum(r.Body)
				_, _ = io.WriteString(w, got)
			})
			bounded(t, sc, func(c *http.Client) {
				body := &metered{Reader: noise()}
				answer := make(chan string, 1)
				req := request(t, sc, body, size)
				go func() { answer <- post(c, req) }()
				body.stalls(t)
				close(read)
				if got := <-answer; got != want {
					t.Errorf("then came %s, want %s", got, want)
				}
			})
		})
	}
}

func TestAnEventArrivesBeforeTheNextIsSent(t *testing.T) {
	next := make(chan string)
	sc := streams(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for event := range next {
			fmt.Fprintf(w, "data: %s\n\n", event)
			w.(http.Flusher).Flush()
		}
	})
	defer close(next)
	resp, err := fresh(t).Get("http://" + sc.addr + "/events") // the head is there before any event
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for i := range 100 {
		next <- fmt.Sprint(i)
		line, err := in.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
			t.Fatalf("got %q, %v, want %q", line, err, want)
		}
		_, _ = in.ReadString('\n')
	}
}

// A dialogue within one request: each side speaks when it has heard the other.
func TestAnUploadAndItsResponseTakeTurns(t *testing.T) {
	sc := streams(t, echo)
	out, in := io.Pipe()
	defer in.Close()
	go func() { _, _ = io.WriteString(in, "line 0\n") }()
	resp, err := fresh(t).Do(request(t, sc, out, -1))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range 100 {
		line, err := lines.ReadString('\n')
		if want := fmt.Sprintf("line %d\n", i); line != want || err != nil {
			t.Fatalf("got %q, %v, want %q", line, err, want)
		}
		if _, err := fmt.Fprintf(in, "line %d\n", i+1); err != nil {
			t.Fatal(err)
		}
	}
}

// An upload reaches the backend piece by piece, long before it is whole.
func TestAClientThatSendsSlowlyIsHeardAtOnce(t *testing.T) {
	heard := make(chan string, 1)
	sc := streams(t, func(w http.ResponseWriter, r *http.Request) {
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			heard <- lines.Text()
		}
		_, _ = io.WriteString(w, "that was all")
	})
	out, in := io.Pipe()
	defer in.Close()
	answer := make(chan string, 1)
	c, req := fresh(t), request(t, sc, out, -1)
	go func() { answer <- post(c, req) }()
	for i := range 100 {
		want := fmt.Sprintf("line %d", i)
		if _, err := io.WriteString(in, want+"\n"); err != nil {
			t.Fatal(err)
		}
		if got := hear(t, heard); got != want {
			t.Fatalf("the backend got %q, want %q", got, want)
		}
	}
	in.Close()
	if got := hear(t, answer); got != "that was all" {
		t.Errorf("got %q", got)
	}
}

func TestAnEarlyAnswerIsSeenByAClientThatHasMuchToSend(t *testing.T) {
	sc := streams(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "big")
	})
	bounded(t, sc, func(*http.Client) {
		c := dial(t, sc.addr, 0)
		fmt.Fprintf(c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", large)
		body := &metered{Reader: noise()}
		sent := make(chan struct{})
		go func() { defer close(sent); _, _ = io.Copy(c, body) }()
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusRequestEntityTooLarge || string(text) != "big" || err != nil {
			t.Errorf("got %s %q, %v", resp.Status, text, err)
		}
		if rest, _ := io.ReadAll(in); len(rest) > 0 {
			t.Errorf("behind it came %q", rest)
		}
		<-sent // the connection ends: nobody waits for all of it
		if n := body.n.Load(); n == large {
			t.Error("the sidecar has read all of a body that nobody wanted")
		}
	})
}

func TestTrailersPassBothWays(t *testing.T) {
	sc := streams(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = w.Write(text)
		w.Header().Set("X-Sum", "of "+r.Trailer.Get("X-Checksum"))
	})
	body, write := io.Pipe()
	req := request(t, sc, body, -1)
	req.Trailer = http.Header{"X-Checksum": nil}
	go func() {
		_, _ = io.WriteString(write, strings.Repeat("x", 100<<10))
		req.Trailer.Set("X-Checksum", "1234") // as is only known at the end
		write.Close()
	}()
	resp, err := fresh(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != 100<<10 || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if got := resp.Trailer.Get("X-Sum"); got != "of 1234" {
		t.Errorf("got the trailers %v", resp.Trailer)
	}
}

// deaf is a backend that knows nothing of expectations: it says nothing before
// the whole body is there.
func deaf(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewReader(c); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					text, _ := io.ReadAll(r.Body)
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func TestAnExpectationIsTheBackendsToMeet(t *testing.T) {
	knowing := streams(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	for name, row := range map[string]struct {
		sc        *sidecar
		allowed   bool
		patience  time.Duration // of the client, for a 100
		status    int
		continued bool
		sent      bool
	}{
		"it wants the body":             {knowing, true, 20 * time.Second, http.StatusOK, true, true},
		"it refuses at once":            {knowing, false, 20 * time.Second, http.StatusUnauthorized, false, false},
		"it does not know what that is": {start(t, deaf(t), setup{}), true, 50 * time.Millisecond, http.StatusOK, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := fresh(t)
			c.Transport.(*http.Transport).ExpectContinueTimeout = row.patience
			body := &metered{Reader: strings.NewReader("hello")}
			req := request(t, row.sc, body, 5)
			req.Header.Set("Expect", "100-continue")
			if row.allowed {
				req.Header.Set("Authorization", "a")
			}
			continued := false
			req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued = true }}))
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if resp.StatusCode != row.status || err != nil || row.sent && string(text) != "hello" {
				t.Errorf("got %s %q, %v", resp.Status, text, err)
			}
			if continued != row.continued || (body.n.Load() > 0) != row.sent {
				t.Errorf("the client was told to go on: %v, and sent %d bytes", continued, body.n.Load())
			}
		})
	}
}
