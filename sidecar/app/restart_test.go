package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"outrider/sidecar/app"
)

// rear is a sidecar that is replaced again and again, at one address.
type rear struct {
	t    *testing.T
	text string // its configuration
	now  *sidecar
}

func newRear(t *testing.T, far *backend) *rear {
	t.Helper()
	r := &rear{t: t, text: fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: off }\nshutdown: { drain: 50ms, grace: 20s }\n", list(far))}
	r.now = start(t, r.text)
	r.text += fmt.Sprintf("listen: %q\n", r.now.addr)
	return r
}

func (r *rear) restart() {
	r.now.end()
	r.now = start(r.t, r.text, func(o *app.Options) {
		o.Listen = func(_, address string) (ln net.Listener, err error) {
			eventually(r.t, "the port is free", func() bool { ln, err = net.Listen("tcp", address); return err == nil })
			return ln, err
		}
	})
}

// press sends requests without a pause until stop, some of which nobody may repeat.
func press(t *testing.T, address string, clients int) (stop func() (sent int64)) {
	ctx, cancel := context.WithCancel(context.Background())
	var sent atomic.Int64
	var tasks sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	client := &http.Client{Timeout: patience, Transport: transport}
	for i := range clients {
		tasks.Go(func() {
			for n := 0; ctx.Err() == nil && !t.Failed(); n++ {
				if err := send(client, address, n%2 == 0); err != nil {
					t.Errorf("client %d, request %d: %v", i, n, err)
				}
				sent.Add(1)
			}
		})
	}
	return func() int64 {
		cancel()
		tasks.Wait()
		transport.CloseIdleConnections()
		return sent.Load()
	}
}

// send sends a GET, or a POST, which is not to be repeated.
func send(client *http.Client, address string, get bool) error {
	method, body := http.MethodPost, []byte("a body")
	if get {
		method, body = http.MethodGet, nil
	}
	request, err := http.NewRequest(method, "http://"+address+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status + ": " + string(text))
	}
	return err
}

func TestFiftyRollingRestartsFailNoRequest(t *testing.T) {
	far := newBackend(t, "far")
	rears := []*rear{newRear(t, far), newRear(t, far)}
	front := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: [%q, %q]\n    %s\n    passive: { on: [reset] }\n", rears[0].now.addr, rears[1].now.addr, quick))
	front.awaitReady()
	stop := press(t, front.addr, 4)
	for i := range 50 {
		r := rears[i%2]
		r.restart()
		eventually(t, "the front sends requests to it again", func() bool {
			return t.Failed() || r.now.Ready() == nil && front.stateAt(r.now.addr) == "up" && r.now.requests() > 0
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d requests, %d of which the backend served", stop(), far.served.Load())
}

// stateAt is the verdict on the backend at an address.
func (s *sidecar) stateAt(address string) string { return s.state(&backend{addr: address}) }

// requests are those that were sent to its backends.
func (s *sidecar) requests() (n uint64) {
	for _, c := range s.Status().Clusters {
		for _, b := range c.Backends {
			n += b.Requests
		}
	}
	return n
}
