//go:build integration

package compose_test

import (
	"strings"
	"testing"
)

// The holder owns the network, so app and sidecar can restart or be replaced.
func TestRestartsStrandNobody(t *testing.T) {
	s := openShop(t)
	others := s.startLoad(100, s.at("a", "/one/"), s.at("b", "/one/"), s.at("c", "/"))
	others.awaitMore(s, 100)
	s.docker("restart", "app-a")
	s.awaitState("b", "app-a:8080", "up")
	others.awaitMore(s, 100)
	others.stop().expectFine(t, 200)

	elsewhere := s.startLoad(100, s.at("b", "/one/"), s.at("c", "/one/"))
	for _, again := range [][]string{{"restart", "sidecar-a"}, {"kill", "sidecar-a"}, {"start", "sidecar-a"}} {
		s.docker(again[0], again[1])
	}
	s.awaitAllUp()
	elsewhere.awaitMore(s, 100)
	for _, service := range []string{"sidecar-a", "app-a"} {
		s.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", service)
		delete(s.ids, service)
		s.awaitState("b", "app-a:8080", "up")
	}
	s.awaitAllUp()
	s.awaitPeers()
	elsewhere.awaitMore(s, 100)
	elsewhere.stop().expectFine(t, 200)

	var through record
	for range 100 {
		through = append(through, ask(s.at("a", "/one/")))
	}
	through.expectFine(t, 100)
	through.expectShares(t, 1, "app-a", "app-b")
	if said := s.docker("exec", "sidecar-a", "/outrider", "healthcheck"); strings.TrimSpace(said) != "ok" {
		t.Errorf("healthcheck says %q", said)
	}
}
