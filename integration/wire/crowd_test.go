//go:build linux

package wire_test

import (
	"bufio"
	"context"
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

// small is the memory of the container that has to live through all this, in MiB,
// and crowd is how many come at once.
const (
	small = 64
	crowd = 10_000
	pipes = 32 * 2 // descriptors of those that are kept for the next long bodies
)

// Connections without a request take little: everybody else is served.
func TestAContainerOf64MiBServesOthersBesideTenThousandConnections(t *testing.T) {
	for name, say := range map[string]string{"idle": "", "with half a head": halfHead} {
		t.Run(name, func(t *testing.T) {
			c := contain(t, backend(t, ok), "", small)
			attacked(t, c.sidecar, func(o *others) {
				all := many(t, c.sidecar, crowd, say)
				o.meanwhile()
				for _, one := range all {
					one.Close()
				}
			})
			now, most := c.used()
			t.Logf("| %s | %d / %d MiB | all 200 |", name, most, now)
		})
	}
}

// Requests take more than there is: who finds no room is told so, nobody is left
// without an answer, and all is well again when they are gone.
func TestAContainerOf64MiBAnswersTenThousandClientsAtOnce(t *testing.T) {
	for name, say := range map[string]string{
		"that ask a backend which does not answer yet": getSlow,
		"that ask for 1 MB and never read it":          "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
		"that pipeline 20 tiny requests each":          strings.Repeat(getRoot, 20),
	} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			letGo := sync.OnceFunc(func() { close(gate) })
			defer letGo() // whatever fails: the backend has to end
			c := contain(t, modestBackend(t, slowOrLarge(gate)), "head_timeout: 3s", small)
			before := c.holds()
			all := many(t, c.sidecar, crowd, say)
			beside := answers(t, c.addr, enough)
			letGo()
			got := tally{}
			for _, one := range all {
				got.count(t, one)
				one.Close()
			}
			if got.ok == 0 || got.ok+got.busy != crowd || beside.ok+beside.busy != enough {
				t.Errorf("of %d clients %s; of %d others %s", crowd, got, enough, beside)
			}
			until(t, "service", func() bool { return c.get("/") == nil })
			before.files += pipes
			c.returnTo(t, before)
			now, most := c.used()
			t.Logf("| %s | %d / %d MiB | %s | others: %s |", name, most, now, got, beside)
		})
	}
}

// modestBackend is one whose answers that nobody reads do not use up the machine's
// memory for TCP.
func modestBackend(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetWriteBuffer(modest); err != nil {
			t.Error(err)
		}
		return ctx
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

const getSlow = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"

func slowOrLarge(gate <-chan struct{}) http.HandlerFunc {
	body := make([]byte, 1<<20)
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-gate
			ok(w, r)
		case "/large":
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body)
		default:
			ok(w, r)
		}
	}
}

// tally is how many were served, and how many were told that it is too busy.
type tally struct{ ok, busy int }

func (n tally) String() string { return fmt.Sprintf("%d got 200, %d got 503", n.ok, n.busy) }

// count reads one answer: its head, and a body that is not long.
func (n *tally) count(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("a client got no answer: %v", err)
		return
	}
	if resp.ContentLength < modest {
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Errorf("a client got %s, cut short: %v", resp.Status, err)
			return
		}
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		n.ok++
	case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		n.busy++
	default:
		t.Errorf("a client got %s", resp.Status)
	}
}

// answers are those to so many others at once.
func answers(t *testing.T, addr string, others int) tally {
	t.Helper()
	var (
		group sync.WaitGroup
		mu    sync.Mutex // guards sum
		sum   tally
	)
	for i := range others {
		c := dial(t, addr, i)
		group.Go(func() {
			defer c.Close()
			var one tally
			_, _ = io.WriteString(c, getRoot[:len(getRoot)-2]+"Connection: close\r\n\r\n")
			one.count(t, c)
			mu.Lock()
			defer mu.Unlock()
			sum.ok += one.ok
			sum.busy += one.busy
		})
	}
	group.Wait()
	return sum
}
