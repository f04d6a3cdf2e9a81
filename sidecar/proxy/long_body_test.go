package proxy_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// longBody is more than any buffer, and nothing in it looks like the rest.
func longBody() string {
	b := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

func TestALongBodyComesWholeAndTheConnectionsServeOn(t *testing.T) {
	body := longBody()
	u := newUpstream(t, func(c *far) {
		for r := c.request(); r != nil; r = c.request() {
			c.write("HTTP/1.1 200 OK\r\nX-Path: " + r.URL.Path + "\r\n" + lengthOf(body))
		}
	})
	c := dialRaw(t, newSidecar(t, to(u)).addr)
	for _, path := range []string{"/a", "/b", "/c"} {
		a := c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n").response()
		if a.err != nil || a.body != body || a.Header.Get("X-Path") != path {
			t.Fatalf("%s: got %d bytes for %s (%v)", path, len(a.body), a.Header.Get("X-Path"), a.err)
		}
	}
	if n := u.accepted(); n != 1 {
		t.Errorf("%d connections to the backend, want one used again", n)
	}
}

func TestALongUploadComesWholeAndTheNextRequestStaysBehindIt(t *testing.T) {
	body := longBody()
	u := newUpstream(t, func(c *far) {
		for r := c.request(); r != nil; r = c.request() {
			c.write("HTTP/1.1 200 OK\r\n" + lengthOf(r.URL.Path))
		}
	})
	s := newSidecar(t, to(u))
	c := dialRaw(t, s.addr)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.send("POST /first HTTP/1.1\r\nHost: x\r\n" + lengthOf(body) + "GET /second HTTP/1.1\r\nHost: x\r\n\r\n")
	}()
	for _, want := range []string{"/first", "/second"} {
		if a := c.response(); a.body != want {
			t.Fatalf("got the answer to %q, want %q", a.body, want)
		}
	}
	<-sent
	s.rest(t)
	got := u.requests()
	if len(got) != 2 || sha256.Sum256([]byte(got[0].body)) != sha256.Sum256([]byte(body)) {
		t.Fatalf("the backend got %d requests, the first with %d bytes", len(got), len(got[0].body))
	}
}

func TestALongBodyThatIsCutIsSeenToBeCut(t *testing.T) {
	body := longBody()
	u := newUpstream(t, func(c *far) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\n" + strings.TrimSuffix(lengthOf(body), body[1<<20:]))
	})
	a := newSidecar(t, to(u), retries(0)).exchange(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if !errors.Is(a.err, io.ErrUnexpectedEOF) || a.body != body[:1<<20] {
		t.Fatalf("got %d bytes and %v, want 1 MiB and a cut", len(a.body), a.err)
	}
}

func TestALongUploadThatIsCutIsSeenToBeCut(t *testing.T) {
	ended := make(chan error, 1)
	u := newUpstream(t, func(c *far) { ended <- c.awaitClose() })
	s := newSidecar(t, to(u), retries(0))
	c := dialRaw(t, s.addr)
	c.send(strings.TrimSuffix("POST / HTTP/1.1\r\nHost: x\r\n"+lengthOf(longBody()), longBody()[1<<20:]))
	c.close()
	<-ended
	s.rest(t)
	if got := len(u.got()); got > 1<<20+1024 {
		t.Errorf("the backend got %d bytes", got)
	}
}

func TestAClientThatLeavesInALongBodyEndsTheExchangeWithTheBackend(t *testing.T) {
	u := newUpstream(t, func(c *far) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + strings.Repeat("x", 1<<20))
		_ = c.awaitClose()
	})
	s := newSidecar(t, to(u))
	c := dialRaw(t, s.addr).send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.head()
	c.reset()
	u.conn(0).expectGone()
	s.rest(t)
}
