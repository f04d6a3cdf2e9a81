package app_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestPathsUnderOneGoToClusterOneAndEverythingElseToTwo(t *testing.T) {
	one, two := newBackends(t, "one-a", "one-b"), newBackends(t, "two-a", "two-b")
	s := start(t, twoClusters(one, two, quick))
	s.awaitReady()
	for _, c := range []struct{ path, cluster string }{
		{"/one/", "one"}, {"/one/a?b=c", "one"}, {"/one//", "one"},
		{"/", "two"}, {"/one", "two"}, {"/two/", "two"}, {"/One/", "two"}, {"/a/one/", "two"}, {"//one/", "two"}, {"/%6fne/", "two"}, {"/?/one/", "two"},
	} {
		names := []string{s.get(c.path).body, s.get(c.path).body}
		if names[0] == names[1] || !strings.HasPrefix(names[0], c.cluster) || !strings.HasPrefix(names[1], c.cluster) {
			t.Errorf("%s went to %v, want the two of cluster %s in turn", c.path, names, c.cluster)
		}
	}
}

func TestWhenABackendDiesTheOthersServeAllAndNoRequestFails(t *testing.T) {
	one, two := newBackends(t, "one-a", "one-b", "one-c"), newBackends(t, "two-a")
	s := start(t, twoClusters(one, two, quick))
	s.awaitReady()
	var sent atomic.Int64
	stop := load(t, s, "/one/", &sent)
	eventually(t, "100 requests before", func() bool { return sent.Load() > 100 })
	one[1].die()
	s.awaitState(one[1], "down")
	dead := sent.Load()
	eventually(t, "200 requests without it", func() bool { return sent.Load() > dead+200 })
	if served := one[1].served.Load(); served == 0 {
		t.Errorf("one-b served nothing before it died")
	}
	one[1].revive()
	s.awaitState(one[1], "up")
	before := one[1].served.Load()
	eventually(t, "one-b has its share again", func() bool { return one[1].served.Load() > before+20 })
	stop()
	if out := s.log.all(one[1].addr, " out: ", "refused"); len(out) != 1 {
		t.Errorf("its end was told %d times, want once: %v", len(out), out)
	}
	if back := s.log.all(one[1].addr, "back after"); len(back) != 1 {
		t.Errorf("its return was told %d times, want once: %v", len(back), back)
	}
}

// load sends requests by four clients until stop, none of which may fail.
func load(t *testing.T, s *sidecar, path string, sent *atomic.Int64) (stop func()) {
	var clients sync.WaitGroup
	var over atomic.Bool
	for range 4 {
		clients.Go(func() {
			for !over.Load() {
				a, err := s.try(path)
				if err != nil || a.status != 200 {
					t.Errorf("request %d failed: %v %+v", sent.Load(), err, a)
					return
				}
				sent.Add(1)
			}
		})
	}
	stop = sync.OnceFunc(func() { over.Store(true); clients.Wait() })
	t.Cleanup(stop)
	return stop
}

func TestAClusterWithNobodyLeftAnswers503AndComesBack(t *testing.T) {
	one, two := newBackends(t, "one-a", "one-b"), newBackends(t, "two-a")
	s := start(t, twoClusters(one, two, quick))
	s.awaitReady()
	for _, b := range one {
		b.die()
		s.awaitState(b, "down")
	}
	a := s.get("/one/")
	if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "cluster one has no usable backend (0 of 2)") {
		t.Errorf("got %+v", a)
	}
	if a.header.Get("Proxy-Status") == "" {
		t.Errorf("an answer of our own has no Proxy-Status")
	}
	if a := s.get("/two/"); a.body != "two-a" {
		t.Errorf("the other cluster answers %+v", a)
	}
	one[0].revive()
	s.awaitState(one[0], "up")
	if a := s.get("/one/"); a.body != "one-a" {
		t.Errorf("when one is back: %+v", a)
	}
}

func TestWhenAllAreDownTheyAreTriedIfThatIsWanted(t *testing.T) {
	one := newBackends(t, "one-a")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: http, path: /, status: 204, interval: 50ms }\n    on_all_down: try\n", list(one...)))
	s.awaitState(one[0], "down")
	if a := s.get("/"); a.body != "one-a" {
		t.Errorf("got %+v", a)
	}
}
