//go:build integration

package compose_test

import (
	"fmt"
	"testing"
	"time"
)

// resolveInterval is how often names are asked for, where nobody says otherwise.
const resolveInterval = 5 * time.Second

// A name may have several addresses; each is a backend. No request fails, neither when
// they come nor when they go: whoever meets one that has gone tries another.
func TestAScaledAppHasAShareForEachOfItsContainers(t *testing.T) {
	s := openShop(t)
	e := s.gather()
	l := s.everywhere(100)
	l.awaitMore(s, 100)

	grown := s.scale("app-d", 3)
	up := s.awaitNumber("app-d:8080", 3)
	s.expectState("app-d:8080", "up")
	l.awaitMore(s, 400)

	shrinking := time.Now()
	shrunk := s.scale("app-d", 1)
	down := s.awaitNumber("app-d:8080", 1)
	l.awaitMore(s, 200)

	answers := l.stop()
	answers.expectFine(t, 700)
	report(t, "an app has three containers instead of one, then one again", answers, e.account(answers), down.Sub(shrunk), up.Sub(grown))
	for what, took := range map[string]time.Duration{"come": up.Sub(grown), "gone": down.Sub(shrunk)} {
		if most := resolveInterval + time.Second; took > most {
			t.Errorf("they have %s for all sidecars after %v, want %v at most", what, took, most)
		}
	}
	answers.since(up).until(shrinking).expectBackends(t, 4)
	answers.since(down).expectBackends(t, 2)
}

// scale has so many containers of a service, and is when they run.
func (s *shop) scale(service string, n int) time.Time {
	s.t.Helper()
	s.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", fmt.Sprintf("%s=%d", service, n))
	return time.Now()
}

// awaitNumber waits until every sidecar has so many backends of a name, all up, and is
// when.
func (s *shop) awaitNumber(backend string, n int) time.Time {
	s.t.Helper()
	for _, pair := range pairs {
		s.eventually(fmt.Sprintf("sidecar-%s has %d of %s", pair, n, backend), func() bool {
			v, err := s.see(pair)
			number := 0
			for _, c := range v.Clusters {
				for _, b := range c.Backends {
					if b.Name == backend && b.State == "up" {
						number++
					}
				}
			}
			return err == nil && number == n
		})
	}
	return time.Now()
}

// expectBackends expects answers of so many backends, each with the same share but for a
// few requests.
func (r record) expectBackends(t *testing.T, n int) {
	t.Helper()
	const few = 10
	shares := map[string]int{}
	for _, a := range r {
		shares[a.detail("backend")]++
	}
	if len(shares) != n {
		t.Errorf("%d backends answered, want %d: %v", len(shares), n, shares)
	}
	for backend, share := range shares {
		if want := len(r) / n; share < want-few || share > want+few {
			t.Errorf("%s gave %d of %d answers, want %d: %v", backend, share, len(r), want, shares)
		}
	}
}
