package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// server speaks TLS, and counts whole and resumed handshakes.
func server(t *testing.T, config *tls.Config, status int) (address string, whole, resumed *atomic.Int64) {
	t.Helper()
	whole, resumed = new(atomic.Int64), new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			resumed.Add(1)
		} else {
			whole.Add(1)
		}
		w.WriteHeader(status)
	}))
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), whole, resumed
}

// told runs the program, and reads its line.
func told(t *testing.T, address, how string) (requests, bad int64) {
	t.Helper()
	var out strings.Builder
	if err := run([]string{address, "/", "1", "2", how}, &out); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(out.String(), "requests %d bad %d took ", &requests, &bad); err != nil || requests == 0 {
		t.Fatalf("%q: %v", out.String(), err)
	}
	return requests, bad
}

func TestEachConnectionHasAWholeHandshake(t *testing.T) {
	address, whole, resumed := server(t, nil, http.StatusOK)
	if requests, bad := told(t, address, "full"); bad != 0 || whole.Load() != requests || resumed.Load() != 0 {
		t.Errorf("%d requests, %d bad; the server counts %d whole handshakes and %d resumed ones", requests, bad, whole.Load(), resumed.Load())
	}
}

func TestEachConnectionButTheFirstResumes(t *testing.T) {
	address, whole, resumed := server(t, nil, http.StatusOK)
	if requests, bad := told(t, address, "resumed"); bad != 0 || whole.Load() != 2 || resumed.Load() != requests {
		t.Errorf("%d requests, %d bad; the server counts %d whole handshakes and %d resumed ones", requests, bad, whole.Load(), resumed.Load())
	}
}

func TestStreamsShareConnections(t *testing.T) {
	address, _, _ := server(t, &tls.Config{NextProtos: []string{"h2"}}, http.StatusOK)
	if requests, bad := told(t, address, "streams"); bad != 0 {
		t.Errorf("%d of %d requests are bad", bad, requests)
	}
	address, _, _ = server(t, nil, http.StatusOK)
	if err := run([]string{address, "/", "1", "2", "streams"}, io.Discard); err == nil {
		t.Error("a server of HTTP/1.1 will do")
	}
}

func TestWhoDoesNotResumeAndWhoRefusesIsBad(t *testing.T) {
	address, _, _ := server(t, &tls.Config{SessionTicketsDisabled: true}, http.StatusOK)
	if requests, bad := told(t, address, "resumed"); bad != requests {
		t.Errorf("%d of %d are bad, and none was resumed", bad, requests)
	}
	address, _, _ = server(t, nil, http.StatusNotFound)
	if requests, bad := told(t, address, "full"); bad != requests {
		t.Errorf("%d of %d are bad, and none was found", bad, requests)
	}
}
