package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

func TestFailedDialsTakeABackendOutBeforeItsNextCheck(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\n", list(one...), seldom))
	s.awaitReady()
	one[0].die()
	eventually(t, "it is out", func() bool {
		if a := s.get("/"); a.body != "one-b" {
			t.Fatalf("a request failed: %+v", a)
		}
		return s.state(one[0]) == "down"
	})
	out := s.log.await(t, one[0].addr+" out: 2x refused")
	if out.level != logrus.WarnLevel || out.fields["cluster"] != "one" || out.fields["usable"] != 1 || out.fields["total"] != 2 {
		t.Errorf("the line is %+v", out)
	}
	if errors := out.fields["client_errors"]; errors != uint64(0) {
		t.Errorf("it tells of %v client errors", errors)
	}
}

func TestResponseTimeoutsAreEvidence(t *testing.T) {
	one := newBackends(t, "one-a")
	s := start(t, fmt.Sprintf(`clusters:
  one:
    backends: %s
    check: { type: http, path: /healthz, interval: 1h, timeout: 100ms, fall: 2 }
    timeouts: { response: 100ms }
`, list(one...)))
	s.awaitReady()
	hang(one[0])
	if a := s.get("/"); a.status != 504 {
		t.Errorf("got %+v", a)
	}
	s.awaitState(one[0], "down")
	out := s.log.await(t, one[0].addr+" out: 2x timeout after 100ms")
	if out.fields["client_errors"] != uint64(1) || out.fields["retried"] != uint64(0) {
		t.Errorf("what it cost the clients: %+v", out.fields)
	}
	if a := s.get("/"); a.status != 503 {
		t.Errorf("while it is out: %+v", a)
	}
}

// hang makes a backend take requests and never answer.
func hang(b *backend) {
	b.does(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

func TestAClientThatLeavesIsNoEvidence(t *testing.T) {
	one := newBackends(t, "one-a")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: tcp, interval: 1h, fall: 1 }\n", list(one...)))
	s.awaitReady()
	hang(one[0])
	for i := range 5 {
		ctx, leave := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		var clients sync.WaitGroup
		clients.Go(func() {
			if response, err := s.client.Do(request); err == nil {
				_ = response.Body.Close()
			}
		})
		eventually(t, "the backend has the request", func() bool { return one[0].served.Load() == int64(i+1) })
		leave()
		clients.Wait()
	}
	eventually(t, "the requests are over", func() bool { return s.Status().Active == 0 })
	if known := statusOf(s, one[0]); known.State != "up" || known.Reason != "" {
		t.Errorf("clients have left, and the backend is %+v", known)
	}
}

func TestOneLineForAWholeIncident(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: tcp, interval: 50ms, fall: 3 }\n    passive: off\n", list(one...)))
	s.awaitReady()
	var before uint64
	for incident := 1; incident <= 2; incident++ {
		one[0].die()
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				if a, err := s.try("/"); err != nil || a.body != "one-b" {
					t.Errorf("a request failed: %v %+v", err, a)
				}
			})
		}
		clients.Wait()
		s.awaitState(one[0], "down")
		one[0].revive()
		eventually(t, "it is back", func() bool { return len(s.log.all(one[0].addr, " back after ")) == incident })
		back := s.log.all(one[0].addr, " back after ")[incident-1]
		if back.level != logrus.InfoLevel || back.fields["client_errors"] != uint64(0) {
			t.Errorf("the end of the incident is told as %+v", back)
		}
		retried, _ := back.fields["retried"].(uint64)
		if known := statusOf(s, one[0]).Retried; retried == 0 || retried != known-before {
			t.Errorf("incident %d: %d were retried, and the counter went from %d to %d", incident, retried, before, known)
		}
		before = statusOf(s, one[0]).Retried
	}
	var about []string
	for _, l := range s.log.all(one[0].addr) {
		about = append(about, strings.Fields(strings.TrimPrefix(l.message, one[0].addr))[0])
	}
	if told := strings.Join(about, " "); told != "out: back out: back" {
		t.Errorf("two incidents were told as %q", told)
	}
}

func TestABackendWithoutChecksIsTriedAgain(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: off }\n", list(one...)))
	s.awaitReady()
	one[0].die()
	eventually(t, "traffic alone takes it out", func() bool { s.get("/"); return s.state(one[0]) == "down" })
	one[0].revive()
	eventually(t, "after a while it is tried again", func() bool { return s.get("/").body == "one-a" })
}

func TestADeadBackendsChecksGoOn(t *testing.T) {
	one := newBackends(t, "one-a")
	one[0].does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: http, path: /, interval: 30ms }\n", list(one...)))
	s.log.await(t, one[0].addr+" out: 2x status 500")
	one[0].does(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") })
	s.awaitState(one[0], "up")
	if a := s.get("/"); a.body != "well" {
		t.Errorf("got %+v", a)
	}
}

func TestEverythingDownIsReadyAllTheSame(t *testing.T) {
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	one[0].die()
	hang(two[0])
	began := time.Now()
	s := start(t, fmt.Sprintf(`clusters:
  one: { backends: %s }
  two: { backends: %s, check: { type: http, path: /, timeout: 300ms } }
`, list(one...), list(two...)))
	if err := s.Ready(); err == nil && time.Since(began) < 300*time.Millisecond {
		t.Error("ready before the first round of checks was over")
	}
	s.awaitReady()
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("ready after %v, while a check was under way", took)
	}
}
