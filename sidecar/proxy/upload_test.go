package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"outrider/sidecar/cluster"
)

const large = 64 << 20

// growth is how much more memory is in use after and during what is done, at
// most, as far as looking every now and then can tell.
func growth(do func(look func())) int64 {
	var m runtime.MemStats
	inUse := func() int64 {
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	runtime.GC()
	before, most := inUse(), int64(0)
	do(func() { most = max(most, inUse()-before) })
	return most
}

// watching looks at memory each time so much has passed.
type watching struct {
	io.Reader
	look func()
	left int
}

func (w *watching) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.left -= n; w.left < 0 {
		w.left = 4 << 20
		w.look()
	}
	return n, err
}

// The test's own far ends take a part of it.
const bounded = 16 << 20

func TestALargeDownloadTakesNoMemory(t *testing.T) {
	for _, framing := range []string{"length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			sc := newSidecar(t, at(serving(t, func(w http.ResponseWriter, _ *http.Request) {
				if framing == "length" {
					w.Header().Set("Content-Length", fmt.Sprint(large))
				}
				_, _ = io.CopyN(w, zeros{}, large)
			})))
			var n int64
			grown := growth(func(look func()) {
				resp, err := browse(t).Get("http://" + sc.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				n, err = io.Copy(io.Discard, &watching{Reader: resp.Body, look: look})
				if err != nil {
					t.Fatal(err)
				}
			})
			if n != large || grown > bounded {
				t.Errorf("%d bytes came, and memory grew by %d MiB", n, grown>>20)
			}
		})
	}
}

func TestALargeUploadTakesNoMemory(t *testing.T) {
	for _, size := range []int64{large, -1} {
		t.Run(fmt.Sprintf("length %d", size), func(t *testing.T) {
			var n int64
			grown := growth(func(look func()) {
				sc := newSidecar(t, at(serving(t, func(_ http.ResponseWriter, r *http.Request) {
					n, _ = io.Copy(io.Discard, &watching{Reader: r.Body, look: look})
				})))
				req, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+sc.addr, io.LimitReader(zeros{}, large))
				if err != nil {
					t.Fatal(err)
				}
				req.ContentLength = size
				resp, err := browse(t).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			})
			if n != large || grown > bounded {
				t.Errorf("%d bytes came, and memory grew by %d MiB", n, grown>>20)
			}
		})
	}
}

func TestASlowReaderStallsTheBackend(t *testing.T) {
	written := new(atomic.Int64)
	up := newUpstream(t, func(c *far) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nContent-Length: " + fmt.Sprint(large) + "\r\n\r\n")
		_, _ = io.Copy(c.nc, &counted{io.LimitReader(zeros{}, large), written})
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send(getRoot)
	c.head()
	untilSteady(t, written)
	if n := written.Load(); n > large/2 {
		t.Errorf("the backend could write %d bytes to a client that reads nothing", n)
	}
	c.patient()
	if n, err := io.CopyN(io.Discard, c.in, large); err != nil {
		t.Errorf("%d of %d bytes came: %v", n, large, err)
	}
}

func TestASlowBackendStallsTheClient(t *testing.T) {
	read := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.await(read)
		c.drain(large)
		c.write(ok)
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(large) + "\r\n\r\n")
	sent := new(atomic.Int64)
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(c.nc, &counted{io.LimitReader(zeros{}, large), sent})
		done <- err
	}()
	untilSteady(t, sent)
	if n := sent.Load(); n > large/2 {
		t.Errorf("the client could send %d bytes to a backend that reads nothing", n)
	}
	close(read)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	expectOK(t, c.response())
}

func TestServerSentEventsPassAtOnce(t *testing.T) {
	next := make(chan string)
	defer close(next)
	up := newUpstream(t, func(c *far) {
		c.request()
		for event := range next {
			c.write(event)
		}
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send(getRoot)
	next <- "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	c.head()
	for range 3 {
		next <- "9\r\ndata: 1\n\n\r\n"
		c.expect("9\r\ndata: 1\n\n\r\n")
	}
	next <- "5\r\nda"
	c.expect("2\r\nda\r\n") // a piece of a chunk is not held back either
	next <- "ta:\r\n0\r\n\r\n"
	c.expect("3\r\nta:\r\n0\r\n\r\n")
}

func TestBothDirectionsStreamAtATime(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		_, _ = io.Copy(c.nc, c.in) // chunks come back as they are
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	c.head()
	for _, chunk := range []string{"3\r\none\r\n", "3\r\ntwo\r\n", "5\r\nthree\r\n", "0\r\n\r\n"} {
		c.send(chunk).expect(chunk)
	}
	if n := up.accepted(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestALargeBodyIsEchoedWhole(t *testing.T) {
	sc := newSidecar(t, at(serving(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})))
	const size = 8 << 20
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+sc.addr, io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browse(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d of %d bytes came back: %v", n, size, err)
	}
}

func TestAnEarlyAnswerReachesAClientThatStillSends(t *testing.T) {
	const refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write(refusal)
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(large) + "\r\n\r\n")
	if a := c.response(); a.StatusCode != http.StatusRequestEntityTooLarge || a.body != "big" || a.err != nil {
		t.Fatalf("got %s with body %q (%v)", a.Status, a.body, a.err)
	}
	up.conn(0).expectGone()
	if rest, _ := c.rest(); rest != "" {
		t.Errorf("behind the answer came %q", rest)
	}
}

// A client that reads only after it has sent all must find the answer, as long
// as it does not send too much.
func TestAnEarlyAnswerIsNotLostWhenTheClientGoesOnSending(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr)
	c.send("POST / HTTP/1.1\r\nHost: a\r\n" + lengthOf(strings.Repeat("x", 512<<10)))
	up.conn(0).expectGone()
	if a := c.response(); a.StatusCode != http.StatusRequestEntityTooLarge || a.body != "big" {
		t.Errorf("got %s with body %q", a.Status, a.body)
	}
}

// Who was answered early and has then sent all of its body may take its connection
// for free.
func TestAClientThatWasAnsweredEarlySendsTheRestAndAsksAgain(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		if !strings.HasPrefix(c.readUntil("\r\n\r\n"), "GET") {
			c.write("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
			_ = c.awaitClose()
			return
		}
		c.write("HTTP/1.1 200 OK\r\nConnection: close\r\n" + lengthOf("ok"))
	})
	sc := newSidecar(t, to(up))
	body := strings.Repeat("x", 100<<10)
	for name, row := range map[string]struct{ begin, rest string }{
		"with a length": {"Content-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body[:10], body[10:]},
		"in chunks":     {"Transfer-Encoding: chunked\r\n\r\na\r\n" + body[:10], fmt.Sprintf("\r\n%x\r\n%s\r\n0\r\nX: y\r\n\r\n", len(body), body)},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, sc.addr).send("POST / HTTP/1.1\r\nHost: a\r\n" + row.begin)
			if a := c.response(); a.StatusCode != http.StatusRequestEntityTooLarge || a.body != "big" || a.Close {
				t.Fatalf("got %s with body %q, close %v (%v)", a.Status, a.body, a.Close, a.err)
			}
			c.send(row.rest)
			c.send(getRoot)
			expectOK(t, c.response())
		})
	}
}

const expecting = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

func TestAnExpectationIsPassedOn(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		for i := range 2 {
			if head := c.readUntil("\r\n\r\n"); !strings.Contains(head, "\r\nExpect: 100-continue\r\n") {
				c.t.Errorf("upstream got %q", head)
			}
			c.write("HTTP/1.1 100 Continue\r\n\r\n")
			if c.readUntil("hello"); i == 0 {
				c.write(ok)
			}
		}
		c.write(ok)
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr)
	for range 2 {
		c.send(expecting)
		if head := c.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("client got %q", head)
		}
		expectOK(t, c.send("hello").response())
	}
	if n := up.accepted(); n != 1 {
		t.Errorf("%d connections, want both used again", n)
	}
}

func TestAClientMayGiveUpWaitingForA100(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		if r := c.request(); r.body != "hello" {
			c.t.Errorf("upstream got %q", r.body)
		}
		c.write(ok)
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send(expecting)
	up.conn(0)
	expectOK(t, c.send("hello").response())
}

func TestAFinalAnswerInThePlaceOfA100EndsTheConnection(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send(expecting)
	a := c.response()
	if a.StatusCode != http.StatusForbidden || !a.Close {
		t.Errorf("got %s, close %v: nobody can know whether the body comes", a.Status, a.Close)
	}
	up.conn(0).expectGone()
	c.expectEnd()
}

func TestABackendThatNeitherAnswersNorAsksForTheBodyIsTimedOut(t *testing.T) {
	up := newUpstream(t, func(c *far) { _ = c.awaitClose() })
	sc := newSidecar(t, to(up), policy(func(p *cluster.Policy) { p.Response = 100 * time.Millisecond }))
	expectFault(t, dialRaw(t, sc.addr).send(expecting).response(), http.StatusGatewayTimeout, "http_response_timeout")
}

func TestTheTimeForAResponseBeginsWhenTheRequestIsSent(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up), policy(func(p *cluster.Policy) { p.Response = 100 * time.Millisecond }))
	c := dialRaw(t, sc.addr).send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
	pace := time.NewTicker(30 * time.Millisecond)
	defer pace.Stop()
	for range 20 {
		<-pace.C
		c.send("x")
	}
	expectOK(t, c.response())
}

func TestAnUploadThatStopsIsTimedOut(t *testing.T) {
	told := new(failures)
	up := newUpstream(t, func(c *far) { _ = c.awaitClose() })
	sc := newSidecar(t, to(up), told.option(), policy(func(p *cluster.Policy) {
		p.StreamIdle, p.Response = 200*time.Millisecond, 50*time.Millisecond
	}))
	c := dialRaw(t, sc.addr).send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nhello")
	expectFault(t, c.response(), http.StatusRequestTimeout, "http_request_error")
	up.conn(0).expectGone()
	if errs := told.all(); len(errs) != 0 {
		t.Errorf("the backend is blamed: %v", errs)
	}
}

func TestABackendThatStopsReadingIsTimedOut(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		<-c.gone
	})
	sc := newSidecar(t, to(up), policy(func(p *cluster.Policy) {
		p.StreamIdle, p.Response = 200*time.Millisecond, 200*time.Millisecond
	}))
	c := dialRaw(t, sc.addr)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(large) + "\r\n\r\n")
		_, _ = io.CopyN(c.nc, zeros{}, large)
	}()
	expectFault(t, c.response(), http.StatusGatewayTimeout, "http_response_timeout")
	c.close()
	<-sent
}

func TestABackendThatGoesAwayDuringAnUploadIsABadGateway(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.reset()
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
	expectFault(t, c.response(), http.StatusBadGateway, "http_response_incomplete")
}

func TestAnAnswerOfABackendThatTakesNoMoreCounts(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		_ = c.nc.(*net.TCPConn).CloseRead()
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello")
	if a := c.response(); a.StatusCode != http.StatusForbidden || a.body != "no" {
		t.Errorf("got %s with body %q, want the backend's 403", a.Status, a.body)
	}
}
