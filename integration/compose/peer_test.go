//go:build integration

package compose_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// matrix is what a sidecar says of every backend.
type matrix struct {
	Backends []struct {
		Cluster, Name, State, Why string
		Contested                 bool
	}
}

func (m matrix) of(name string) (state, why string, contested bool) {
	for _, b := range m.Backends {
		if b.Name == name {
			return b.State, b.Why, b.Contested
		}
	}
	return "", "", false
}

// The way from pair-a to app-d is broken, and no other.
func TestWhoReachesABackendUsesItAndWhoDoesNotTurnsAway(t *testing.T) {
	s := openShop(t)
	e := s.gather()
	a := s.startLoad(60, s.at("a", "/"))
	others := s.startLoad(60, s.at("b", "/"), s.at("c", "/"))
	others.awaitMore(s, 60)
	s.filter("pair-a", "-A", "OUTPUT", "-d", s.address("app-d"), "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
	cut := time.Now()
	away := s.awaitState("a", "app-d:8080", "down").Sub(cut)
	gone := time.Now()
	for _, pair := range []string{"b", "c"} {
		s.eventually("sidecar-"+pair+" contests it", func() bool {
			var m matrix
			err := s.inquire(pair, "/health", &m)
			state, why, contested := m.of("app-d:8080")
			return err == nil && state == "up" && contested && strings.Contains(why, "a says down") && strings.Contains(why, "contested")
		})
	}
	contested := time.Now()
	s.expectState("app-d:8080", "down", "a")
	s.expectState("app-d:8080", "up", "b", "c")
	a.awaitMore(s, 100)
	others.awaitMore(s, 200)
	healing := time.Now()
	s.filter("pair-a", "-F", "OUTPUT")
	healed := time.Now()
	back := s.awaitState("a", "app-d:8080", "up").Sub(healed)
	there := others.stop()
	there.expectFine(t, 300)
	there.since(contested).until(healing).expectShares(t, 40, "app-c", "app-d")
	here := a.stop()
	here.expectFine(t, 150)
	here.since(gone).until(healing).expectShares(t, 0, "app-c")
	answers := append(here, there...)
	report(t, "one of three sidecars does not reach a backend: it turns away, the others do not", answers, e.account(answers), away, back)
}

func TestAPeerThatLiesTakesNothingOutOfRotation(t *testing.T) {
	s := openShop(t)
	e := s.gather()
	l := s.startLoad(120, s.at("a", "/one/"), s.at("b", "/one/"), s.at("c", "/one/"), s.at("a", "/"), s.at("b", "/"), s.at("c", "/"))
	l.awaitMore(s, 120)
	var victims []string
	for _, service := range []string{"pair-a", "pair-b", "pair-c", "app-d"} {
		victims = append(victims, s.address(service)+":8080")
	}
	liar := runContainer(t, append([]string{"--network", s.network(), "--volume", s.project + "_secrets:/secrets:ro", "--user", "65532",
		poisonImage(t), "/poison", "-key", "/secrets/gossip.key"}, victims...)...)
	s.eventually("the liar is among the peers", func() bool {
		var known struct{ Peers []struct{ Name string } }
		return s.inquire("a", "/peers", &known) == nil && len(known.Peers) == len(pairs)
	})
	began := time.Now()
	doubted := false
	for time.Since(began) < 6*time.Second {
		for _, pair := range pairs {
			var m matrix
			if err := s.inquire(pair, "/health", &m); err != nil {
				t.Fatal(err)
			}
			for _, b := range m.Backends {
				doubted = doubted || b.State == "suspect" || b.Contested
				if b.State == "down" {
					t.Fatalf("%s is down for sidecar-%s: %s", b.Name, pair, b.Why)
				}
			}
		}
	}
	if !doubted {
		logs, _ := try("docker", "logs", liar)
		t.Errorf("nobody heard the liar; it says %s", logs)
	}
	answers := l.stop()
	answers.expectFine(t, 500)
	report(t, "a peer with the secret says everything is down, draining, up, fifty times a second", answers, e.account(answers), 0, 0)
}

// poisonImage holds the peer that lies.
func poisonImage(t *testing.T) string {
	t.Helper()
	image := bench.app[:strings.LastIndexByte(bench.app, ':')] + ":poison"
	if runs("docker", "image", "inspect", image) {
		return image
	}
	folder := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "poison"), "./integration/compose/poison")
	build.Dir = bench.top
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	tar := exec.Command("tar", "--create", "--directory", folder, "--file", "-", "poison")
	load := exec.Command("docker", "import", "-", image)
	var err error
	if load.Stdin, err = tar.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := tar.Start(); err != nil {
		t.Fatal(err)
	}
	if text, err := load.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, text)
	}
	if err := tar.Wait(); err != nil {
		t.Fatal(err)
	}
	return image
}
