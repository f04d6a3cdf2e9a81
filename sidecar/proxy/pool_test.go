package proxy_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"outrider/sidecar/cluster"
)

func TestUpstreamConnectionsAreSharedByRequestsAndClients(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up))
	for range 3 {
		c := dialRaw(t, sc.addr)
		for _, request := range []string{getRoot, postHello, putHello} {
			expectOK(t, c.send(request).response())
			sc.rest(t)
		}
	}
	if n := up.accepted(); n != 1 {
		t.Errorf("9 requests, one after the other, took %d connections", n)
	}
}

func TestChunkedAndBodilessResponsesLeaveTheConnectionUsable(t *testing.T) {
	responses := []string{
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n",
	}
	for _, response := range responses {
		up := newUpstream(t, answers(response))
		sc := newSidecar(t, to(up))
		c := dialRaw(t, sc.addr)
		for range 3 {
			if a := c.send(getRoot).response(); a.err != nil {
				t.Errorf("after %q: %v", response, a.err)
			}
		}
		if n := up.accepted(); n != 1 {
			t.Errorf("%d connections for 3 times %q", n, response)
		}
	}
}

func TestAConnectionIsNotUsedAgainAfter(t *testing.T) {
	rows := map[string]string{
		"Connection: close":         "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"Connection: a, Close":      "HTTP/1.1 200 OK\r\nConnection: a, Close\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.0":                  "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"bytes behind the end":      ok + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
		"bytes behind a 204":        "HTTP/1.1 204 No Content\r\n\r\nevil",
		"bytes behind the chunks":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nevil",
		"one CRLF behind the end":   ok + "\r\n",
		"a body for HEAD":           "", // below
		"a response to be cut off":  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"a response without an end": "HTTP/1.1 200 OK\r\n\r\nok",
	}
	for name, response := range rows {
		t.Run(name, func(t *testing.T) {
			method := http.MethodGet
			if response == "" {
				method, response = http.MethodHead, ok
			}
			ends := strings.HasPrefix(name, "a response")
			up := newUpstream(t, func(c *far) {
				for c.request() != nil {
					c.write(response)
					if ends {
						return
					}
				}
			})
			sc := newSidecar(t, to(up))
			for i := range 2 {
				c := dialRaw(t, sc.addr).send(method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
				if a := c.responseTo(method); strings.Contains(a.body, "evil") {
					t.Errorf("response %d is %q", i, a.body)
				}
				up.conn(i).expectGone()
			}
			if n := up.accepted(); n != 2 {
				t.Errorf("2 requests took %d connections, want 2", n)
			}
		})
	}
}

// An answer that comes before it was asked for must not be given to the next
// request.
func TestAnIdleConnectionThatSpeaksIsDropped(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up))
	expectOK(t, sc.ask(t, getRoot))
	up.conn(0).write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
	expectOK(t, sc.ask(t, getRoot))
	if n := up.accepted(); n != 2 {
		t.Errorf("%d connections, want a second after the first one spoke", n)
	}
}

func TestAConnectionWithAnUnfinishedRequestIsNotUsedAgain(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write(ok)
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
	expectOK(t, c.response())
	expectOK(t, sc.ask(t, getRoot))
	if strings.Contains(up.conn(0).got(), "GET") || up.accepted() != 2 {
		t.Errorf("the next request came over the same connection: %q", up.conn(0).got())
	}
}

// The last piece of a body can be on its way when the answer is over already:
// the next request would then be taken for it. So the upstream reads nothing of
// the body, and the body is a little longer than what the sockets hold.
func TestAConnectionThatDidNotTakeTheLastPieceIsNotUsedAgain(t *testing.T) {
	capacity := len(answeredEarly(t, capacityProbe))
	for beyond := -16 << 10; beyond < 32<<10; beyond += 6 << 10 {
		size := capacity + beyond
		body := answeredEarly(t, size)
		if x, next, used := strings.Cut(body, "GET"); used && len(x) != size {
			t.Fatalf("after %d of %d bytes of body came the next request: GET%s", len(x), size, next)
		}
	}
}

// answeredEarly is what goes upstream behind the head of a PUT with so large a
// body, when it is answered before anything of the body is read, and a GET
// follows.
func answeredEarly(t *testing.T, size int) string {
	t.Helper()
	answer := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		if c.readUntil("\r\n\r\n"); strings.HasPrefix(c.got(), "PUT") {
			c.await(answer)
		}
		c.write(ok)
		if _, err := c.in.ReadString('G'); err == nil {
			c.write(ok)
			_ = c.awaitClose()
		}
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr)
	sent, passed := make(chan struct{}), new(atomic.Int64)
	go func() {
		defer close(sent)
		c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n")
		_, _ = io.Copy(c.nc, &counted{io.LimitReader(zeros{}, int64(size)), passed})
	}()
	untilSteady(t, passed)
	put := up.conn(0)
	close(answer)
	expectOK(t, c.response())
	c.reset()
	<-sent
	if size < capacityProbe {
		expectOK(t, sc.ask(t, getRoot))
	}
	if up.accepted() > 1 || size == capacityProbe {
		put.expectGone()
	}
	_, body, _ := strings.Cut(put.got(), "\r\n\r\n")
	return body
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// untilSteady waits until n has not grown for a while.
func untilSteady(t testing.TB, n *atomic.Int64) {
	t.Helper()
	last, same := int64(-1), 0
	until(t, "a standstill", func() bool {
		if now := n.Load(); now != last {
			last, same = now, 0
		}
		same++
		return same > 50
	})
}

// capacityProbe is more than the sockets between sidecar and upstream hold.
const capacityProbe = 16 << 20

func TestAConnectionIsClosedWhenItWasIdleForLong(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up), policy(func(p *cluster.Policy) { p.UpstreamIdle = 100 * time.Millisecond }))
	expectOK(t, sc.ask(t, getRoot))
	up.conn(0).expectGone()
	expectOK(t, sc.ask(t, getRoot))
	if n := up.accepted(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestForgettingABackendClosesItsConnections(t *testing.T) {
	answer := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		for r := c.request(); r != nil; r = c.request() {
			if r.Method == http.MethodPut {
				c.await(answer)
			}
			c.write(ok)
		}
	})
	sc := newSidecar(t, to(up))
	busy := dialRaw(t, sc.addr).send(putHello)
	up.conn(0)
	expectOK(t, sc.exchange(t, getRoot))
	idle := up.conn(1)
	until(t, "the end of the second exchange", func() bool { return sc.Active() == 1 })
	for _, b := range sc.cluster.SetMembers(nil) {
		sc.Forget(b)
	}
	idle.expectGone()
	close(answer)
	expectOK(t, busy.response())
	up.conn(0).expectGone()
}
