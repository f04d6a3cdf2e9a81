//go:build integration

package compose_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// whole is how soon all sidecars must know each other again that have restarted.
const whole = 5 * time.Second

// awaitWhole waits until all that run know each other, counted from when the last of
// them was started, and is how long that took. Who was killed may still be listed.
func (s *shop) awaitWhole(started time.Time) time.Duration {
	s.t.Helper()
	s.eventually("all know each other as they are now", func() bool {
		var present []string
		known := map[string][]string{}
		for _, pair := range pairs {
			var of struct {
				Self  struct{ ID string }
				Peers []struct{ ID string }
			}
			if err := s.inquire(pair, "/peers", &of); err != nil {
				return false
			}
			present = append(present, of.Self.ID)
			for _, p := range of.Peers {
				known[of.Self.ID] = append(known[of.Self.ID], p.ID)
			}
		}
		for _, one := range present {
			for _, other := range present {
				if one != other && !slices.Contains(known[one], other) {
					return false
				}
			}
		}
		return true
	})
	took := time.Since(started)
	if took > whole {
		s.t.Errorf("the gossip is whole again after %v, want %v at most", took, whole)
	}
	return took
}

// SIGKILL: it says goodbye to nobody.
func TestASidecarThatIsKilledIsMissedByNobodyElse(t *testing.T) {
	s := openShop(t)
	e := s.gather("a", "c")
	others := s.startLoad(100, s.at("a", "/one/"), s.at("c", "/one/"), s.at("a", "/"), s.at("c", "/"))
	others.awaitMore(s, 100)
	s.docker("kill", "sidecar-b")
	others.awaitMore(s, 200)
	s.docker("start", "sidecar-b")
	back := s.awaitWhole(time.Now())
	others.awaitMore(s, 100)
	answers := others.stop()
	answers.expectFine(t, 400)
	report(t, "a sidecar is killed and starts again; requests through the others", answers, e.account(answers), 0, back)
}

// Drain: the peers spare the app beside a sidecar that is told to end, whose own
// clients are served to their end.
func TestASidecarThatStopsHasItsAppSparedAndFailsNoRequestOfOthers(t *testing.T) {
	s := openShop(t)
	e := s.gather("a", "c")
	others := s.startLoad(100, s.at("a", "/one/"), s.at("c", "/one/"))
	others.awaitMore(s, 100)
	stopping := time.Now()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_, _ = try("docker", "stop", "--time", "20", s.id("sidecar-b"))
	}()
	var away time.Duration
	for _, pair := range []string{"a", "c"} {
		away = s.awaitState(pair, "app-b:8080", "draining").Sub(stopping)
	}
	if away > turnAwayTogether {
		t.Errorf("its app is spared after %v, want %v at most", away, turnAwayTogether)
	}
	spared := time.Now()
	s.expectState("app-b:8080", "draining", "a", "c")
	<-stopped
	others.awaitMore(s, 100)
	answers := others.stop()
	answers.expectFine(t, 200)
	answers.since(spared).expectShares(t, 0, "app-a")
	s.docker("start", "sidecar-b")
	started := time.Now()
	s.awaitWhole(started)
	back := s.awaitState("a", "app-b:8080", "up").Sub(started)
	report(t, "a sidecar is told to end: its app is spared by the others", answers, e.account(answers), away, back)
}

// All at once: requests fail while nobody is there to take them, and no others.
func TestAllSidecarsRestartAtOnce(t *testing.T) {
	s := openShop(t)
	l := s.startLoad(100, s.at("a", "/one/"), s.at("b", "/one/"), s.at("c", "/one/"))
	l.awaitMore(s, 100)
	began := time.Now()
	s.compose("restart", "sidecar-a", "sidecar-b", "sidecar-c")
	started := time.Now()
	s.awaitAllUp()
	up := time.Now()
	back := s.awaitWhole(started)
	answers := l.stop()
	e := s.gather()
	l = s.startLoad(100, s.at("a", "/one/"), s.at("b", "/one/"), s.at("c", "/one/"))
	l.awaitMore(s, 200)
	after := l.stop()
	after.expectFine(t, 200)
	for _, a := range answers.failed() {
		if a.sent.Before(began) || a.sent.After(up) || a.status != 0 {
			t.Error(a) // nobody listened, is all that may be wrong
		}
	}
	answers.until(began).expectFine(t, 50)
	answers.since(up).expectFine(t, 0)
	report(t, "all sidecars restart at once; requests fail while none listens", append(answers, after...), e.account(after), 0, back)
}

// One after the other is replaced by one of a newer image.
func TestARollingUpgradeFailsNoRequestThroughTheOthers(t *testing.T) {
	s := openShop(t)
	next := bench.outrider + "-next"
	if _, err := try("docker", "tag", bench.outrider, next); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = try("docker", "image", "rm", next) })
	var all record
	var said account
	for i, pair := range pairs {
		stay := []string{pairs[(i+1)%3], pairs[(i+2)%3]}
		e := s.gather(stay...)
		l := s.startLoad(100, s.at(stay[0], "/one/"), s.at(stay[1], "/one/"), s.at(stay[0], "/"), s.at(stay[1], "/"))
		l.awaitMore(s, 50)
		s.upgrade("sidecar-"+pair, next)
		s.awaitWhole(time.Now())
		s.awaitAllUp()
		l.awaitMore(s, 50)
		answers := l.stop()
		answers.expectFine(t, 100)
		all = append(all, answers...)
		said.add(e.account(answers))
	}
	report(t, "sidecars are replaced by newer ones, one after the other; requests through those that stay", all, said, 0, 0)
}

// upgrade replaces the container of a service by one of another image.
func (s *shop) upgrade(service, image string) {
	s.t.Helper()
	file := override(s.t, fmt.Sprintf("services:\n  %s: { image: %q }\n", service, image))
	s.files = append(s.files, file)
	s.compose("up", "--detach", "--no-build", "--no-deps", service)
	delete(s.ids, service)
	if is := inspect(s.t, s.id(service), "{{.Config.Image}}"); is != image {
		s.t.Fatalf("%s runs %s", service, is)
	}
}

// The edit has passed what tests there are; the version before decides on what it
// throws at, so no client sees the bug, and it is taken back.
func TestAnEditThatThrowsForFivePercentIsTakenBack(t *testing.T) {
	s := openShop(t)
	var urls []string
	for i := range 40 {
		for _, pair := range pairs {
			urls = append(urls, s.at(pair, "/one/"+strconv.Itoa(i)))
		}
	}
	e := s.gather()
	l := s.startLoad(200, urls...)
	l.awaitMore(s, 200)
	saved := time.Now()
	s.write("default.js", `function route(req) {
  if (req.path === '/one/13' || req.path === '/one/31') throw new TypeError('no such user');
  return 'two';
}`)
	for _, pair := range pairs {
		s.eventually("sidecar-"+pair+" takes it back", func() bool { return strings.Contains(s.logs("sidecar-"+pair), "taken back") })
	}
	back := time.Since(saved)
	restored := time.Now()
	l.awaitMore(s, 300)
	answers := l.stop()
	answers.expectFine(t, 500)
	answers.since(restored.Add(time.Second)).expectShares(t, 30, "app-a", "app-b")
	report(t, "a script that throws for 5 % of the requests: taken back, and no client sees it", answers, e.account(answers), 0, back)
}

// Little memory, little CPU: slower, and nothing else.
func TestASidecarWithLittleOfEverythingFailsNothing(t *testing.T) {
	for name, limit := range map[string]string{
		"64 MB of memory":  "{ mem_limit: 64m, memswap_limit: 64m }",
		"a fifth of a CPU": "{ cpus: 0.2 }",
	} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t, override(t, "version: \"2.4\"\nservices:\n  sidecar-a: "+limit+"\n"))
			before := strings.Count(s.logs("sidecar-a"), " out: ") // it may have started before the apps
			e := s.gather("a")
			l := s.startLoad(150, s.at("a", "/one/"), s.at("a", "/"))
			l.awaitMore(s, 900)
			for backend, state := range s.mustSee("a").states() {
				if state != "up" {
					t.Errorf("%s is %s", backend, state)
				}
			}
			answers := l.stop()
			answers.expectFine(t, 900)
			answers.expectShares(t, len(answers)/10, "app-a", "app-b", "app-c", "app-d")
			if n, out := inspectInt(t, s.id("sidecar-a"), "{{.RestartCount}}"), inspect(t, s.id("sidecar-a"), "{{.State.OOMKilled}}"); n != 0 || out != "false" {
				t.Errorf("it restarted %d times, out of memory: %s", n, out)
			}
			if logs := s.logs("sidecar-a"); strings.Count(logs, " out: ") > before {
				t.Errorf("it turned away from somebody:\n%s", logs)
			}
			report(t, "a sidecar with "+name, answers, e.account(answers), 0, 0)
		})
	}
}

func (s *shop) mustSee(pair string) view {
	s.t.Helper()
	v, err := s.see(pair)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// asked for at an address that has become another app's.
func TestContainersThatSwapAddressesGetNoRequestsOfEachOtherForLong(t *testing.T) {
	subnet := freeSubnet(t)
	s := openShop(t, override(t, fmt.Sprintf("networks: { default: { ipam: { config: [{ subnet: %q }] } } }\n", subnet+".0/24")))
	e := s.gather("a", "c")
	l := s.startLoad(100, s.at("a", "/one/"), s.at("c", "/one/"))
	l.awaitMore(s, 100)
	b, d := s.address("pair-b"), s.address("app-d")
	for _, service := range []string{"pair-b", "app-d"} {
		if _, err := try("docker", "network", "disconnect", s.network(), s.id(service)); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range [][]string{{"--ip", d, "--alias", "app-b", "--alias", "outrider", s.network(), s.id("pair-b")}, {"--ip", b, "--alias", "app-d", s.network(), s.id("app-d")}} {
		if _, err := try("docker", append([]string{"network", "connect"}, to...)...); err != nil {
			t.Fatal(err)
		}
	}
	swapped := time.Now()
	s.eventually("app-b has its share again", func() bool { return len(l.soFar().since(swapped).from("app-b")) > 20 })
	l.awaitMore(s, 700) // seven seconds
	answers := l.stop()
	var last time.Time
	for _, a := range answers.from("app-d") {
		if a.sent.After(last) {
			last = a.sent
		}
	}
	if !last.IsZero() && last.Sub(swapped) > resolveInterval+time.Second {
		t.Errorf("the wrong app was asked for another %v, want %v at most", last.Sub(swapped), resolveInterval)
	}
	answers.since(swapped.Add(resolveInterval+time.Second)).expectShares(t, 40, "app-a", "app-b")
	for _, a := range answers.failed() {
		if a.status != http.StatusGatewayTimeout && a.status != http.StatusBadGateway {
			t.Error(a)
		}
	}
	report(t, "two containers swap addresses", answers, e.account(answers), last.Sub(swapped), 0)
}

// freeSubnet is the beginning of one that no network here has.
func freeSubnet(t *testing.T) string {
	t.Helper()
	routes, err := exec.Command("ip", "route").Output()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 250 {
		subnet := fmt.Sprintf("10.213.%d", i)
		if !strings.Contains(string(routes), subnet+".") {
			return subnet
		}
	}
	t.Fatal("every subnet is taken")
	return ""
}
