//go:build integration

package compose_test

import (
	"testing"
	"time"
)

func TestPathsUnderOneGoToClusterOneAndEverythingElseToTwo(t *testing.T) {
	s := openShop(t)
	for _, pair := range pairs {
		for path, apps := range map[string][]string{
			"/one/": {"app-a", "app-b"}, "/one/x?y=z": {"app-a", "app-b"},
			"/": {"app-c", "app-d"}, "/two/": {"app-c", "app-d"}, "/one": {"app-c", "app-d"}, "/x/one/": {"app-c", "app-d"},
		} {
			var answers record
			for range 100 {
				answers = append(answers, ask(s.at(pair, path)))
			}
			answers.expectFine(t, 100)
			answers.expectShares(t, 1, apps...)
		}
	}
}

// What a sidecar may need to turn away from a backend that refuses, and back to one
// that is well again.
const (
	turnAwayTogether = time.Second             // one of them sees it first, and tells
	turnAwayAlone    = 2500 * time.Millisecond // its next check, and one more
	comeBack         = 5 * time.Second         // the container starts; a check
)

func TestADeadBackendLeavesAndComesBackAndNoRequestFails(t *testing.T) {
	deadBackend(t, openShop(t), "with gossip", turnAwayTogether)
}

func TestADeadBackendLeavesAndComesBackWithoutGossip(t *testing.T) {
	deadBackend(t, openShopWithoutGossip(t), "without gossip", turnAwayAlone)
}

func deadBackend(t *testing.T, s *shop, how string, turnAway time.Duration) {
	e := s.gather()
	l := s.startLoad(200, s.at("a", "/one/"), s.at("b", "/one/"), s.at("c", "/one/"))
	l.awaitMore(s, 300)

	before := time.Now()
	s.docker("kill", "app-b")
	killed := time.Now() // by then
	for _, pair := range pairs {
		if took := s.awaitState(pair, "app-b:8080", "down").Sub(killed); took > turnAway {
			t.Errorf("sidecar-%s turned away after %v, want %v at most", pair, took, turnAway)
		}
	}
	gone := time.Now()
	s.expectState("app-b:8080", "down")
	l.awaitMore(s, 300)

	started := time.Now()
	s.docker("start", "app-b")
	for _, pair := range pairs {
		if took := s.awaitState(pair, "app-b:8080", "up").Sub(started); took > comeBack {
			t.Errorf("sidecar-%s turned back after %v, want %v at most", pair, took, comeBack)
		}
	}
	back := time.Now()
	s.expectState("app-b:8080", "up")
	l.awaitMore(s, 300)

	answers := l.stop()
	said := e.account(answers)
	said.expectRetries(t, "connect", "cut", "stale")
	report(t, "a backend is killed, "+how, answers, said, gone.Sub(killed), back.Sub(started))
	answers.expectFine(t, 900)
	answers.until(before).expectShares(t, 30, "app-a", "app-b")
	answers.since(gone).until(started).expectShares(t, 0, "app-a")
	answers.since(back).expectShares(t, 30, "app-a", "app-b")
}
