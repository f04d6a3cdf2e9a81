//go:build linux

package wire_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	getRoot  = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	halfHead = "GET / HTTP/1.1\r\nHost: a\r\nX"
)

func backend(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func ok(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

// many opens n connections that each say something.
func many(t *testing.T, sc *sidecar, n int, say string) []net.Conn {
	t.Helper()
	all := make([]net.Conn, n)
	for i := range all {
		all[i] = dialModestly(t, sc.addr, i)
		if _, err := io.WriteString(all[i], say); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all of them", func() bool { return sc.files() >= n })
	return all
}

func TestTenThousandSlowHeadsTakeLittleMemoryAndGet408(t *testing.T) {
	const clients = 10_000 // and as many descriptors here
	sc := start(t, backend(t, ok), setup{limits: "head_timeout: 8s"})
	idle := sc.rss()
	o := attacked(t, sc, func(o *others) {
		all := many(t, sc, clients, halfHead)
		o.meanwhile()
		for _, c := range all {
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != http.StatusRequestTimeout {
				t.Fatalf("got %v, %v", resp, err)
			}
			c.Close()
		}
	})
	if grown := o.peak - idle; grown > 60 {
		t.Errorf("%d slow heads took %d MiB", clients, grown)
	}
}

func TestClientsThatNeverReadTakeBoundedMemory(t *testing.T) {
	const clients = 200
	sc := start(t, backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			ok(w, r)
			return
		}
		for range 160 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}), setup{})
	idle := sc.rss()
	o := attacked(t, sc, func(o *others) {
		all := many(t, sc, clients, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
		until(t, "the backends", func() bool { return sc.files() >= 2*clients })
		o.meanwhile()
		for _, c := range all {
			c.Close()
		}
	})
	if grown := o.peak - idle; grown > 60 {
		t.Errorf("%d of them took %d MiB", clients, grown)
	}
}

func TestAHundredThousandPipelinedRequestsPerConnectionAreAnsweredInTurn(t *testing.T) {
	const connections, requests = 3, 100_000
	sc := start(t, backend(t, ok), setup{})
	o := attacked(t, sc, func(*others) {
		var all sync.WaitGroup
		for i := range connections {
			c := dial(t, sc.addr, i)
			all.Go(func() {
				defer c.Close()
				if err := pipeline(c, requests); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
	if o.peak > 80 {
		t.Errorf("it took %d MiB", o.peak)
	}
}

// pipeline sends n requests without waiting for the answers, and reads these.
func pipeline(c net.Conn, n int) error {
	go io.WriteString(c, strings.Repeat(getRoot, n))
	in := bufio.NewReader(c)
	for i := range n {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return fmt.Errorf("answer %d of %d: %w", i, n, err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("answer %d of %d is %s", i, n, resp.Status)
		}
	}
	return nil
}

func TestAFloodOfFieldsIsRefused(t *testing.T) {
	sc := start(t, backend(t, ok), setup{})
	o := attacked(t, sc, func(o *others) {
		for i := 0; i < 50 || o.tooFew(); i++ {
			c := dial(t, sc.addr, i)
			go func() {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n")
				line := strings.Repeat("X: y\r\n", 10_000)
				for range 1100 { // 64 MB, if it is let
					if _, err := io.WriteString(c, line); err != nil {
						return
					}
				}
			}()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Fatalf("got %v, %v", resp, err)
			}
			c.Close()
		}
	})
	if o.peak > 80 {
		t.Errorf("it took %d MiB", o.peak)
	}
}

func TestAStormOfResetsLeavesNothingBehind(t *testing.T) {
	sc := start(t, backend(t, ok), setup{})
	attacked(t, sc, func(o *others) {
		for i := 0; i < 5000 || o.tooFew(); i++ {
			c := dial(t, sc.addr, i)
			io.WriteString(c, getRoot[:(i*7)%len(getRoot)+1])
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	})
}

func TestFiftyThousandShortConnectionsAreServed(t *testing.T) {
	const connections, workers = 50_000, 8
	sc := start(t, backend(t, ok), setup{})
	attacked(t, sc, func(*others) {
		failed := make(chan error, workers)
		for w := range workers {
			go func() { failed <- churn(sc.addr, w, connections/workers) }()
		}
		for range workers {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
	})
}

func churn(addr string, w, n int) error {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+w))}
	for range n {
		c, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", addr)
		if err != nil {
			return err
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		text, err := io.ReadAll(c)
		c.Close()
		if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200 ") {
			return &net.OpError{Op: "exchange", Err: net.UnknownNetworkError(string(text))}
		}
	}
	return nil
}

func TestWithoutDescriptorsItWaitsAndServesAgain(t *testing.T) {
	gate := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(gate) })
	defer letGo() // whatever fails: the backend has to end
	sc := start(t, backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			<-gate
		}
		ok(w, r)
	}), setup{files: 64})
	for i := range 100 { // the last ones wait in the backlog
		io.WriteString(dial(t, sc.addr, i), "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	until(t, "a warning", func() bool { return strings.Contains(sc.log.String(), "can not accept connections") })
	letGo()
	until(t, "service", func() bool { return sc.get("/") == nil })
	if n := strings.Count(sc.log.String(), "can not accept connections"); n > 2 {
		t.Errorf("it said so %d times", n)
	}
	if strings.Contains(sc.log.String(), " out: ") {
		t.Errorf("our own shortage is held against a backend:\n%s", sc.log)
	}
}

func TestHalfHeadsThatHoldAllDescriptorsMakeRoomForOthers(t *testing.T) {
	const files = 200
	sc := start(t, backend(t, ok), setup{files: files})
	attacked(t, sc, func(o *others) {
		held := make([]net.Conn, 2*files) // the last ones wait in the backlog
		for i := range held {
			held[i] = dial(t, sc.addr, i)
			io.WriteString(held[i], halfHead)
		}
		until(t, "room to be made", func() bool { return strings.Contains(sc.log.String(), "closed to make room") })
		o.meanwhile()
		for _, c := range held {
			c.Close()
		}
	})
}

func TestHalfHeadsThatHoldAllConnectionsMakeRoomForOthers(t *testing.T) {
	const limit = 2000
	sc := start(t, backend(t, ok), setup{limits: fmt.Sprintf("connections: %d", limit)})
	before := sc.holds()
	all := many(t, sc, limit, halfHead)
	const oldEnough = 1500 * time.Millisecond // all of them: who has just come is not closed
	held := time.Now()
	until(t, "all of them to be old enough", func() bool { return time.Since(held) > oldEnough && sc.get("/") == nil })
	o := sc.others()
	for range 100 {
		o.meanwhile()
		all = append(all, dial(t, sc.addr, len(all)))
		if _, err := io.WriteString(all[len(all)-1], halfHead); err != nil {
			t.Fatal(err)
		}
	}
	o.end()
	for _, c := range all {
		c.Close()
	}
	sc.returnTo(t, before)
	t.Logf("| %s | %d | %d ms | %d / %d / %d |", t.Name(), o.count.Load(), o.worst.Milliseconds(), before.rss, o.peak, sc.rss())
}
