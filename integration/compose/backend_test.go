//go:build integration

package compose_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// quickly has the sidecars wait no longer than a second for an answer, so that a
// backend that is silent shows within the time of a test.
const quickly = `
services:
  sidecar-a: { environment: { OUTRIDER_CLUSTERS__TWO__TIMEOUTS__RESPONSE: "1s" } }
  sidecar-b: { environment: { OUTRIDER_CLUSTERS__TWO__TIMEOUTS__RESPONSE: "1s" } }
  sidecar-c: { environment: { OUTRIDER_CLUSTERS__TWO__TIMEOUTS__RESPONSE: "1s" } }
`

// override is a further compose file.
func override(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "override.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const (
	// perSidecar is how many clients of one sidecar may see what is wrong with a
	// backend that takes requests and does not answer.
	perSidecar = 5
	// mended is more than it takes until a backend is used that is well again: its
	// time out, and a check.
	mended = 20 * time.Second
)

// everywhere sends requests for cluster two through all sidecars.
func (s *shop) everywhere(perSecond int) *load {
	return s.startLoad(perSecond, s.at("a", "/"), s.at("b", "/"), s.at("c", "/"))
}

// expectFew expects no more failures than perSidecar for each sidecar, all of them
// with one of the statuses, and none from a time on.
func (r record) expectFew(t *testing.T, none time.Time, statuses ...int) {
	t.Helper()
	failed := r.failed()
	if len(failed) > perSidecar*len(pairs) {
		t.Errorf("%d of %d requests failed, %d at most may", len(failed), len(r), perSidecar*len(pairs))
	}
	for _, a := range failed {
		allowed := false
		for _, status := range statuses {
			allowed = allowed || a.err == nil && a.status == status
		}
		if !allowed || !a.sent.Before(none) {
			t.Error(a)
		}
	}
}

// The faults of app-d, which has a network of its own, one after the other.
func TestABackendThatIsBroken(t *testing.T) {
	s := openShop(t, override(t, quickly))
	for _, story := range []struct {
		name string
		tell func(*testing.T, *shop)
	}{
		{"it is slow", slowBackend},
		{"it answers 500", failingBackend},
		{"its network loses packets", lossyBackend},
		{"it is stopped", pausedBackend},
		{"it is stopped under load", pausedUnderLoad},
		{"it is cut off", cutOffBackend},
		{"it comes back elsewhere", movedBackend},
		{"it resets every third connection", resettingBackend}, // the last: each time it is out for longer
	} {
		if !t.Run(story.name, func(t *testing.T) {
			s := s.in(t)
			s.awaitAllUp()
			story.tell(t, s)
		}) {
			return // what follows would begin with a broken shop
		}
	}
}

// in is the same shop in a part of the test.
func (s *shop) in(t *testing.T) *shop {
	part := *s
	part.t = t
	return &part
}

func slowBackend(t *testing.T, s *shop) {
	e := s.gather()
	l := s.everywhere(100)
	l.awaitMore(s, 100)
	s.tell("app-d", "delay=300ms")
	l.awaitMore(s, 400)
	s.tell("app-d", "")
	answers := l.stop()
	answers.expectFine(t, 500)
	answers.expectShares(t, len(answers)/10, "app-c", "app-d")
	if worst := answers.worst(); worst < 300*time.Millisecond {
		t.Errorf("the slowest answer took %v: it was not slow", worst)
	}
	s.expectState("app-d:8080", "up")
	report(t, "a backend takes 300 ms", answers, e.account(answers), 0, 0)
}

// An answer with a status is an answer: it is the client's. Who wants otherwise says so
// in `passive`.
func failingBackend(t *testing.T, s *shop) {
	e := s.gather()
	l := s.everywhere(100)
	l.awaitMore(s, 100)
	s.tell("app-d", "status=500")
	told := time.Now()
	l.awaitMore(s, 300)
	s.expectState("app-d:8080", "up")
	s.tell("app-d", "")
	answers := l.stop()
	for _, a := range answers.since(told) {
		if want := a.app == "app-d"; (a.status == http.StatusInternalServerError) != want && a.status != http.StatusOK || a.err != nil {
			t.Error(a)
		}
	}
	if n := len(answers.failed()); n < 100 {
		t.Errorf("only %d answers were 500", n)
	}
	report(t, "a backend answers 500 (passed on: the answer is the app's)", answers, e.account(answers), 0, 0)
}

// It closes those that rest, too: else the sidecars would keep to the connections that
// they have.
func resettingBackend(t *testing.T, s *shop) {
	e := s.gather()
	l := s.everywhere(100)
	l.awaitMore(s, 100)
	s.tell("app-d", "reset=3&close_idle=true")
	l.awaitMore(s, 500)
	answers := l.stop()
	answers.expectFine(t, 600)
	said := e.account(answers)
	said.expectRetries(t, "cut")
	report(t, "a backend resets every third connection", answers, said, 0, 0)
}

func lossyBackend(t *testing.T, s *shop) {
	e := s.gather()
	l := s.everywhere(60)
	l.awaitMore(s, 60)
	s.filter("app-d", "-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", "0.2", "-j", "DROP")
	l.awaitMore(s, 600)
	s.filter("app-d", "-F", "INPUT")
	lossless := time.Now()
	for _, pair := range pairs {
		s.awaitState(pair, "app-d:8080", "up")
	}
	back := time.Since(lossless)
	s.expectState("app-d:8080", "up")
	answers := l.stop()
	answers.expectFew(t, lossless.Add(2*time.Second), http.StatusGatewayTimeout, http.StatusBadGateway)
	report(t, "a backend loses 20 % of what comes to it", answers, e.account(answers), 0, back)
}

// Its port is open: the kernel takes connections, and a check by TCP sees nothing. So
// requests have to show it: perSidecar of them fail, and those that are under way then.
func pausedBackend(t *testing.T, s *shop) {
	e := s.gather()
	one := s.oneAtATime()
	s.docker("pause", "app-d")
	paused := time.Now()
	for _, pair := range pairs {
		s.awaitState(pair, "app-d:8080", "down")
	}
	away, gone := time.Since(paused), time.Now()
	s.expectState("app-d:8080", "down")
	l := s.everywhere(60)
	l.awaitMore(s, 200)
	s.docker("unpause", "app-d")
	resumed := time.Now()
	for _, pair := range pairs {
		s.awaitState(pair, "app-d:8080", "up")
	}
	back := time.Since(resumed)
	s.expectState("app-d:8080", "up")
	l.awaitMore(s, 100)
	answers := one()
	answers.expectFew(t, gone, http.StatusGatewayTimeout)
	meanwhile := l.stop()
	meanwhile.expectFine(t, 300)
	answers = append(answers, meanwhile...)
	if back > mended {
		t.Errorf("it is back after %v, want %v at most", back, mended)
	}
	report(t, "a backend is paused: its port takes connections, and nothing answers; a client for each sidecar, an answer is awaited for 1 s", answers, e.account(answers), away, back)
}

// Many at a time: all that wait for it when it is found out fail.
func pausedUnderLoad(t *testing.T, s *shop) {
	e := s.gather()
	l := s.everywhere(60)
	l.awaitMore(s, 60)
	s.docker("pause", "app-d")
	paused := time.Now()
	for _, pair := range pairs {
		s.awaitState(pair, "app-d:8080", "down")
	}
	away, gone := time.Since(paused), time.Now()
	s.expectState("app-d:8080", "down")
	l.awaitMore(s, 200)
	s.docker("unpause", "app-d")
	resumed := time.Now()
	for _, pair := range pairs {
		s.awaitState(pair, "app-d:8080", "up")
	}
	back := time.Since(resumed)
	answers := l.stop()
	for _, a := range answers.failed() {
		if a.err != nil || a.status != http.StatusGatewayTimeout || !a.sent.Before(gone) {
			t.Error(a)
		}
	}
	report(t, "the same with 20 requests a second through each sidecar: those fail that wait for it meanwhile", answers, e.account(answers), away, back)
}

// oneAtATime is a client for each sidecar that waits for its answers. It ends when
// it is asked what became of its requests.
func (s *shop) oneAtATime() func() record {
	token, ended := s.adminToken(), make(chan struct{})
	var clients sync.WaitGroup
	var mu sync.Mutex
	var answers record
	for _, pair := range pairs {
		url := s.at(pair, "/")
		clients.Go(func() {
			client := &http.Client{Timeout: requestTimeout, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			rest := time.NewTicker(20 * time.Millisecond)
			defer rest.Stop()
			for {
				a := send(client, url, token)
				mu.Lock()
				answers = append(answers, a)
				mu.Unlock()
				select {
				case <-rest.C:
				case <-ended:
					return
				}
			}
		})
	}
	stop := sync.OnceFunc(func() { close(ended); clients.Wait() })
	s.t.Cleanup(stop)
	return func() record {
		stop()
		return answers
	}
}

func cutOffBackend(t *testing.T, s *shop) {
	e := s.gather()
	l := s.everywhere(60)
	l.awaitMore(s, 60)
	if _, err := try("docker", "network", "disconnect", s.network(), s.id("app-d")); err != nil {
		t.Fatal(err)
	}
	cut := time.Now()
	for _, pair := range pairs {
		s.awaitState(pair, "app-d:8080", "down")
	}
	away, gone := time.Since(cut), time.Now()
	s.expectState("app-d:8080", "down")
	l.awaitMore(s, 200)
	plugging := time.Now()
	if _, err := try("docker", "network", "connect", "--alias", "app-d", s.network(), s.id("app-d")); err != nil {
		t.Fatal(err)
	}
	delete(s.ports, "app-d "+behave)
	healed := time.Now()
	for _, pair := range pairs {
		s.awaitState(pair, "app-d:8080", "up")
	}
	back := time.Since(healed)
	s.expectState("app-d:8080", "up")
	l.awaitMore(s, 60)
	answers := l.stop()
	// While the engine plugs a container in, it can hold up the others' traffic too.
	answers.until(plugging).expectFew(t, gone, http.StatusGatewayTimeout, http.StatusBadGateway, http.StatusServiceUnavailable)
	answers.since(healed).expectFine(t, 0)
	said := e.account(answers)
	said.expectRetries(t, "connect")
	report(t, "a backend is cut off from the network", answers, said, away, back)
}

// Its former address is somebody else's by then, who refuses.
func movedBackend(t *testing.T, s *shop) {
	before := s.address("app-d")
	e := s.gather()
	l := s.everywhere(100)
	l.awaitMore(s, 100)
	s.compose("rm", "--stop", "--force", "app-d")
	squatter := runContainer(t, "--network", s.network(), bench.outrider, "hold")
	s.compose("up", "--detach", "--no-build", "--no-deps", "app-d")
	delete(s.ids, "app-d")
	delete(s.ports, "app-d "+behave)
	if after := s.address("app-d"); after == before {
		t.Fatalf("it has the same address, %s, though %s has taken it", after, squatter)
	}
	started := time.Now()
	s.eventually("it answers at its new address", func() bool { return len(l.soFar().since(started).from("app-d")) > 0 })
	back := time.Since(started)
	s.awaitAllUp()
	l.awaitMore(s, 100)
	answers := l.stop()
	answers.expectFine(t, 300)
	report(t, "a backend restarts with another address", answers, e.account(answers), 0, back)
}

// What gossip adds: who has no requests, and checks seldom, turns away all the same.
func TestSidecarsThatRestAreToldOfADeadBackend(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(bench.top, "integration/compose/config/outrider.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	seldom := strings.Replace(string(text), `backends: ["app-a:8080", "app-b:8080"]`, `backends: ["app-a:8080", "app-b:8080"]
    check: { interval: 20s }`, 1)
	s := newShop(t)
	s.folder = t.TempDir()
	place(t, s.folder, "outrider.yaml", seldom)
	s.compose("up", "--detach", "--no-build")
	s.awaitAllUp()
	s.awaitPeers()
	e := s.gather()
	l := s.startLoad(100, s.at("a", "/one/"))
	l.awaitMore(s, 100)
	s.docker("kill", "app-b")
	killed := time.Now()
	var away time.Duration
	for _, pair := range pairs {
		if away = s.awaitState(pair, "app-b:8080", "down").Sub(killed); away > turnAwayTogether {
			t.Errorf("sidecar-%s turned away after %v, want %v at most", pair, away, turnAwayTogether)
		}
	}
	s.expectState("app-b:8080", "down")
	answers := l.stop()
	answers.expectFine(t, 100)
	report(t, "a backend is killed; only one sidecar has requests, and none would check for 20 s", answers, e.account(answers), away, 0)
}
