package app_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"outrider/sidecar/admin"
)

func TestAReloadKeepsWhatStays(t *testing.T) {
	one, two := newBackends(t, "one-a", "one-b"), newBackends(t, "two-a")
	s := start(t, twoClusters(one, two, seldom))
	s.awaitReady()
	one[1].die()
	eventually(t, "requests find out", func() bool { s.get("/one/"); return s.state(one[1]) == "down" })
	for range 20 {
		s.get("/one/")
	}
	before, connections := statusOf(s, one[0]), one[0].connections()

	three := newBackend(t, "three-a")
	s.write(twoClusters(one, two, seldom+"\n    timeouts: { response: 7s }") +
		fmt.Sprintf("  three: { backends: %s }\ndefault_cluster: three\n", list(three)))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := statusOf(s, one[0]); after.Requests != before.Requests || !after.Since.Equal(before.Since) {
		t.Errorf("the counters of one-a were %+v and are %+v", before, after)
	}
	if got := s.state(one[1]); got != "down" {
		t.Errorf("one-b was down and is %s", got)
	}
	for range 20 {
		if a := s.get("/one/"); a.body != "one-a" {
			t.Fatalf("got %+v", a)
		}
	}
	if now := one[0].connections(); now != connections {
		t.Errorf("one-a had %d connections and has %d: the pool was dropped", connections, now)
	}
	if after := statusOf(s, one[0]); after.Requests != before.Requests+20 {
		t.Errorf("20 more requests are counted as %d", after.Requests-before.Requests)
	}
	if names := clusterNames(s); names != "one two three" {
		t.Errorf("the clusters are %s", names)
	}
	eventually(t, "the new cluster has its backend", func() bool { return s.state(three) == "up" })
}

func TestAReloadChangesTheBalanceAndNothingElse(t *testing.T) {
	apps := newBackends(t, "a", "b", "c")
	balanced := func(balance string) string {
		return fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\n    %s\n", list(apps...), seldom, balance)
	}
	s := start(t, balanced("balance: round_robin"))
	s.awaitReady()
	apps[2].die()
	eventually(t, "requests find out", func() bool { s.get("/"); return s.state(apps[2]) == "down" })
	for range 10 {
		s.get("/")
	}
	connections := []int{apps[0].connections(), apps[1].connections()}
	for _, balance := range []string{"least_requests", "random_two", "hash\n    hash_key: header:X-User", "round_robin"} {
		before := statusOf(s, apps[0]).Requests + statusOf(s, apps[1]).Requests
		s.write(balanced("balance: " + balance))
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		homes := make(map[string]bool)
		for range 40 {
			homes[s.getAs("ann").body] = true
		}
		if one := len(homes) == 1; one != strings.HasPrefix(balance, "hash") {
			t.Errorf("%s: ann's requests went to %v", balance, homes)
		}
		if got := statusOf(s, apps[0]).Requests + statusOf(s, apps[1]).Requests - before; got != 40 {
			t.Errorf("%s: 40 requests are counted as %d", balance, got)
		}
		if got := s.state(apps[2]); got != "down" {
			t.Errorf("%s: the third backend was down and is %s", balance, got)
		}
	}
	for i, before := range connections {
		if now := apps[i].connections(); now != before {
			t.Errorf("backend %d had %d connections and has %d: the pool was dropped", i, before, now)
		}
	}
}

// getAs asks for / as a user.
func (s *sidecar) getAs(user string) answer {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+s.addr+"/", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("X-User", user)
	a, err := s.do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func statusOf(s *sidecar, b *backend) admin.BackendStatus {
	for _, c := range s.Status().Clusters {
		for _, known := range c.Backends {
			if known.Address == b.addr {
				return known
			}
		}
	}
	s.t.Fatalf("%s is not in the status", b.name)
	return admin.BackendStatus{}
}

func clusterNames(s *sidecar) string {
	var names []string
	for _, c := range s.Status().Clusters {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

func TestAReloadAddsAndRemovesClustersAndBackends(t *testing.T) {
	one, two := newBackends(t, "one-a", "one-b"), newBackends(t, "two-a")
	s := start(t, twoClusters(one, two, quick))
	s.awaitReady()
	var sent atomic.Int64
	stop := load(t, s, "/one/", &sent)
	eventually(t, "requests before", func() bool { return sent.Load() > 50 })

	s.write(twoClusters(one[1:], two, quick))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one-a has left", func() bool { return len(s.Status().Clusters[0].Backends) == 1 })
	left := one[0].served.Load() + 4 // that were on their way
	mark := sent.Load()
	eventually(t, "requests without one-a", func() bool { return sent.Load() > mark+50 })
	if served := one[0].served.Load(); served > left {
		t.Errorf("one-a has left and serves %d more", served-left)
	}
	stop()

	s.write(fmt.Sprintf("clusters:\n  two: { backends: %s, %s }\n", list(two...), quick))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := clusterNames(s); names != "two" {
		t.Errorf("the clusters are %q", names)
	}
	if a := s.get("/one/"); a.body != "two-a" {
		t.Errorf("without cluster one its requests get %+v", a)
	}
	eventually(t, "nobody checks one-b any more", func() bool { return len(s.log.all(one[1].addr)) == 0 })

	s.write(twoClusters(one[:1], two, quick))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "cluster one is back", func() bool { return s.get("/one/").body == "one-a" })
}

func TestAReloadReplacesTheScriptToo(t *testing.T) {
	s, file := scripted(t, `function route() { return 'one'; }`, "")
	if a := s.get("/"); a.body != "one-a" {
		t.Fatalf("got %+v", a)
	}
	writeFile(t, file, `function route() { return 'two'; }`)
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/"); a.body != "two-a" {
		t.Errorf("right after the reload: %+v", a)
	}
	s.write(strings.ReplaceAll(s.text(), "script:", "#script:"))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/one/"); a.body != "one-a" || s.Status().Script != nil {
		t.Errorf("without the script the rule does not decide: %+v", a)
	}
}

func TestABrokenFileChangesNothing(t *testing.T) {
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	s := start(t, twoClusters(one, two, seldom))
	s.awaitReady()
	good := s.text()
	w := dial(t, s)
	w.get("/one/")
	connections := one[0].connections()
	for name, c := range map[string]struct{ text, want string }{
		"no YAML":                {"clusters: [", "outrider.yaml:1:"},
		"a fault":                {strings.Replace(good, "interval: 1h", "interval: sometimes", 1), "clusters.one.check.interval"},
		"an unknown key":         {good + "cluster: {}\n", `did you mean`},
		"a script that is gone":  {good + "script: { file: nowhere.js }\n", "nowhere.js"},
		"a script that is wrong": {twoClusters(two, one, seldom) + "  three: { backends: ['127.0.0.1:1'] }\nlisten: '127.0.0.1:0'\nstatus: { listen: '' }\nadmin: { listen: '' }\nname: test\n" + fmt.Sprintf("script: { file: %q }\n", wrongScript(t)), "wrong.js:1:"},
	} {
		t.Run(name, func(t *testing.T) {
			writeFile(t, s.file, c.text)
			err := s.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("the reload says %v, want %q", err, c.want)
			}
			if fault := s.Status().Config.LastReloadError; fault != err.Error() {
				t.Errorf("the status says %q", fault)
			}
			if a := w.get("/one/"); a.body != "one-a" {
				t.Errorf("got %+v", a)
			}
			if now := one[0].connections(); now != connections {
				t.Errorf("the pool was dropped")
			}
			if names := clusterNames(s); names != "one two" {
				t.Errorf("the clusters are %s", names)
			}
		})
	}
	writeFile(t, s.file, good)
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if fault := s.Status().Config.LastReloadError; fault != "" {
		t.Errorf("after a good reload the status says %q", fault)
	}
}

func TestAConfigurationThatVanishesChangesNothing(t *testing.T) {
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	s := start(t, twoClusters(one, two, seldom))
	s.awaitReady()
	good := s.text()
	w := dial(t, s)
	w.get("/one/")
	connections := one[0].connections()
	if err := os.Remove(s.file); err != nil {
		t.Fatal(err)
	}
	err := s.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), s.file) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("the reload says %v", err)
	}
	if fault := s.Status().Config.LastReloadError; err != nil && fault != err.Error() {
		t.Errorf("the status says %q", fault)
	}
	if a := w.get("/one/"); a.body != "one-a" || one[0].connections() != connections {
		t.Errorf("got %+v, by %d connections, where there were %d", a, one[0].connections(), connections)
	}
	writeFile(t, s.file, good)
	if err := s.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if fault := s.Status().Config.LastReloadError; fault != "" {
		t.Errorf("after a good reload the status says %q", fault)
	}
}

func wrongScript(t *testing.T) string {
	file := t.TempDir() + "/wrong.js"
	writeFile(t, file, "function route( {")
	return file
}

func TestAReloadRefusesByNameWhatNeedsARestart(t *testing.T) {
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	gossip := "gossip: { listen: '127.0.0.1:0' }\n"
	s := start(t, gossip+twoClusters(one, two, seldom))
	s.awaitReady()
	good := s.text()
	for key, lines := range map[string]string{
		"name":      "name: other\n" + gossip,
		"state_dir": "state_dir: " + t.TempDir() + "\n" + gossip,
		"gossip":    "",
	} {
		t.Run(key, func(t *testing.T) {
			s.write(lines + twoClusters(two, one, seldom)) // changed, too
			err := s.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), "`"+key+"` has changed") || !strings.Contains(err.Error(), "restart") {
				t.Fatalf("the reload says %v", err)
			}
			if a := s.get("/one/"); a.body != "one-a" {
				t.Errorf("a refused reload had an effect: %+v", a)
			}
		})
	}
	writeFile(t, s.file, good)
	if err := s.Reload(t.Context()); err != nil {
		t.Errorf("the same configuration as at the start: %v", err)
	}
}

func TestAReloadOutsideOfRunIsRefused(t *testing.T) {
	s := start(t, twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), quick))
	s.end()
	if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "starting or stopping") {
		t.Errorf("a reload of a stopped sidecar says %v", err)
	}
}
