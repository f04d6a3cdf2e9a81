package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A bound that is far too small lets 16 requests go on at a time.
func TestRequestsBeyondTheMemoryWaitAndThenGetA503(t *testing.T) {
	letGo := make(chan struct{})
	u := newUpstream(t, func(c *far) {
		for c.request() != nil {
			c.await(letGo)
			c.write(ok)
		}
	})
	s := newSidecar(t, to(u), func(s *setup) {
		s.settings.Limits.Memory = 1
		s.settings.Limits.HeadTimeout = 500 * time.Millisecond
	})
	var going []*client
	for range 16 {
		going = append(going, dialRaw(t, s.addr).send(getRoot))
	}
	until(t, "16 requests at the backend", func() bool { return len(u.requests()) == 16 })

	a := s.exchange(t, getRoot)
	expectFault(t, a, http.StatusServiceUnavailable, "proxy_internal_response")
	if a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "limits.buffers") {
		t.Errorf("Retry-After %q, body %q", a.Header.Get("Retry-After"), a.body)
	}
	close(letGo)
	for _, c := range going {
		if a := c.response(); a.StatusCode != http.StatusOK {
			t.Errorf("one that went on got %s", a.Status)
		}
	}
	if a := s.exchange(t, getRoot); a.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", a.Status)
	}
}
