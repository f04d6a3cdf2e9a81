package proxy_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A client that is lost ends the exchange with the backend, wherever that is.
func TestALostClientCancelsTheExchange(t *testing.T) {
	rows := []struct {
		name, request, response string
	}{
		{"while it waits for the head", getRoot, ""},
		{"while it waits for more of the head", getRoot, "HTTP/1.1 200 OK\r\n"},
		{"after an interim response", getRoot, "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{"while it waits for a body with a length", getRoot, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"},
		{"in the middle of a body", getRoot, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"after its upload", postHello, ""},
		{"in the middle of its upload", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello", ""},
		{"while both bodies are on their way", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"},
		{"before its body", expecting, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			told := new(failures)
			up := newUpstream(t, func(c *far) {
				c.readUntil("\r\n\r\n")
				c.write(row.response)
				_ = c.awaitClose()
			})
			sc := newSidecar(t, to(up), told.option(), retries(3))
			c := dialRaw(t, sc.addr).send(row.request)
			far := up.conn(0)
			until(t, "the request", func() bool { return strings.Contains(far.got(), "\r\n\r\n") })
			if strings.Contains(row.response, "\r\n\r\n") {
				c.head()
			}
			lost := time.Now()
			c.reset()
			far.expectGone()
			if took := time.Since(lost); took > patience/2 {
				t.Errorf("the backend was cancelled after %v, by a time limit", took)
			}
			sc.rest(t)
			if errs := told.all(); len(errs) != 0 || up.accepted() != 1 {
				t.Errorf("the backend is blamed (%v), or the request was sent again (%d times)", errs, up.accepted())
			}
		})
	}
}

// A client that closes sends a FIN, and a RST when something comes after all.
func TestAClientThatClosesInTheMiddleOfAResponseCancelsIt(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			if _, err := io.WriteString(c.nc, "5\r\nhello\r\n"); err != nil {
				return
			}
		}
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send(getRoot)
	c.head()
	c.close()
	up.conn(0).expectGone()
}

func TestAFINInTheMiddleOfARequestAbortsIt(t *testing.T) {
	up := newUpstream(t, func(c *far) { _ = c.awaitClose() })
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	far := up.conn(0)
	until(t, "the body", func() bool { return strings.Contains(far.got(), "hello") })
	c.fin()
	far.expectGone()
	if strings.Contains(far.got(), "\r\n0\r\n") {
		t.Errorf("the cut upload got a clean end: %q", far.got())
	}
	c.expectEnd()
}

func TestAFINAfterARequestLeavesTheResponseTimeToBegin(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.request()
		pause := time.NewTimer(200 * time.Millisecond)
		defer pause.Stop()
		<-pause.C
		c.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
		pause.Reset(400 * time.Millisecond)
		<-pause.C
		c.write("ok")
	})
	sc := newSidecar(t, to(up), halfClose(300*time.Millisecond))
	c := dialRaw(t, sc.addr).send(getRoot)
	c.fin()
	a := c.response()
	expectOK(t, a)
	if !a.Close {
		t.Error("the response does not say that the connection ends")
	}
	c.expectEnd()
}

func halfClose(d time.Duration) option {
	return func(s *setup) { s.settings.Limits.HalfClose = d }
}

func TestAFINAfterARequestCancelsAResponseThatDoesNotBegin(t *testing.T) {
	told := new(failures)
	up := newUpstream(t, func(c *far) {
		c.request()
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up), halfClose(100*time.Millisecond), told.option(), retries(3))
	c := dialRaw(t, sc.addr).send(getRoot)
	c.fin()
	up.conn(0).expectGone()
	if rest, _ := c.rest(); rest != "" {
		t.Errorf("client got %q", rest)
	}
	if errs := told.all(); len(errs) != 0 || up.accepted() != 1 {
		t.Errorf("the backend is blamed (%v), or the request was sent again (%d times)", errs, up.accepted())
	}
}

func TestEveryRequestBeforeAFINIsAnswered(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		pause := time.NewTimer(0)
		defer pause.Stop()
		for c.request() != nil {
			pause.Reset(100 * time.Millisecond) // long enough for the FIN to be seen
			<-pause.C
			c.write(ok)
		}
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send(getRoot + postHello + getRoot)
	c.fin()
	for i := range 3 {
		a := c.response()
		expectOK(t, a)
		if last := i == 2; a.Close != last {
			t.Errorf("response %d says close: %v", i, a.Close)
		}
	}
	c.expectEnd()
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		for r := c.request(); r != nil; r = c.request() {
			c.write("HTTP/1.1 200 OK\r\n" + lengthOf(r.URL.Path))
		}
	})
	sc := newSidecar(t, to(up))
	var all strings.Builder
	var want []string
	for i := range 500 {
		path := "/" + strings.Repeat("x", i%50) + "/"
		want = append(want, path)
		all.WriteString("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	c := dialRaw(t, sc.addr)
	go c.send(all.String())
	for i, path := range want {
		if a := c.response(); a.StatusCode != http.StatusOK || a.body != path {
			t.Fatalf("response %d: %s %q, want %q", i, a.Status, a.body, path)
		}
	}
}

// The end of an HTTP/1.0 response is the end of the connection: when the client
// is given up, it must not look like that.
func TestAResponseThatIsCutOffEndsWithAResetWhereItHasNoFraming(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send("GET / HTTP/1.0\r\n\r\n")
	if rest, err := c.rest(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the client got %q and a clean end", rest)
	}
}
