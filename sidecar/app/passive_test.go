package app_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// resets makes a backend end the connection in place of an answer.
func resets(b *backend) {
	b.does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// A check that only connects sees nothing of a backend that never answers.
func TestABackendThatNeverAnswersLeavesAfterFiveClientErrors(t *testing.T) {
	for name, breaks := range map[string]func(*backend){"hangs": hang, "resets": resets} {
		t.Run(name, func(t *testing.T) {
			one := newBackends(t, "one-a", "one-b")
			s := start(t, fmt.Sprintf(`clusters:
  one:
    backends: %s
    check: { type: tcp, interval: 50ms }
    retries: 0
    timeouts: { response: 100ms }
    passive: { for: 1s }
`, list(one...)))
			s.awaitReady()
			breaks(one[0])
			failed := 0
			for failed < 5 {
				if a := s.get("/"); a.status >= 500 {
					failed++
				}
			}
			eventually(t, "it is out", func() bool { return len(s.log.all(one[0].addr+" out: 5x ", " in 10s, for 1s")) == 1 })
			one[0].does(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("well")) })
			eventually(t, "it is back", func() bool { return s.get("/").body == "well" })
			s.log.await(t, one[0].addr+" on trial after 1s")
		})
	}
}

func TestAFullClusterIsSaidToBeFull(t *testing.T) {
	one := newBackends(t, "one-a")
	hang(one[0])
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    max_in_flight: 1\n    timeouts: { response: 2s }\n", list(one...)))
	s.awaitReady()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = s.try("/")
	}()
	eventually(t, "the first request is under way", func() bool { return one[0].served.Load() == 1 })
	a := s.get("/")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("got %+v", a)
	}
	<-ended
}

// Every request fails at every backend, so each would like all its retries.
func TestAnOutageIsNotMultipliedByRetries(t *testing.T) {
	const requests = 300
	all := newBackends(t, "one-a", "one-b", "one-c", "one-d")
	s := start(t, fmt.Sprintf(`clusters:
  one:
    backends: %s
    check: { type: off }
    retries: 3
    passive: off
`, list(all...)))
	s.awaitReady()
	for _, b := range all {
		resets(b)
	}
	began := time.Now()
	for range requests {
		if a := s.get("/"); a.status != http.StatusBadGateway {
			t.Fatalf("got %+v", a)
		}
	}
	tries := served(all)
	most := requests*1.2 + 3*time.Since(began).Seconds() + 31 // 30 saved up, and the last one's begin
	if float64(tries) > most || tries <= requests {
		t.Errorf("%d requests became %d tries, want more than one each and %.0f at most", requests, tries, most)
	}
}

func served(all []*backend) (n int64) {
	for _, b := range all {
		n += b.served.Load()
	}
	return n
}

func TestRequestsAloneTakeNoMoreThanMaxOutOfAClusterOut(t *testing.T) {
	all := newBackends(t, "one-a", "one-b", "one-c", "one-d")
	s := start(t, fmt.Sprintf(`clusters:
  one:
    backends: %s
    check: { type: tcp, interval: 50ms }
    retries: 0
    passive: { failures: 2, for: 1h, max_out: 50%% }
`, list(all...)))
	s.awaitReady()
	for _, b := range all[:3] {
		resets(b)
	}
	down := func() (n int) {
		for _, b := range all {
			if s.state(b) == "down" {
				n++
			}
		}
		return n
	}
	eventually(t, "two are out", func() bool {
		s.get("/")
		return down() == 2
	})
	for range 50 {
		s.get("/")
		if n := down(); n != 2 {
			t.Fatalf("%d of 4 are out", n)
		}
	}
	if s.state(all[3]) != "up" {
		t.Errorf("the one that works is %s", s.state(all[3]))
	}
}
