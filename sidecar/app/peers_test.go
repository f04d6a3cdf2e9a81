package app_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outrider/gossip"
	"outrider/sidecar/admin"
	"outrider/sidecar/app"
	"outrider/sidecar/health"
)

// gossiping is a section gossip for sidecars on this host.
func gossiping(join ...string) string {
	quoted := make([]string, len(join))
	for i, address := range join {
		quoted[i] = fmt.Sprintf("%q", address)
	}
	return fmt.Sprintf("gossip: { listen: '127.0.0.1:0', share_loopback: true, join: [%s] }\n", strings.Join(quoted, ", "))
}

// startPeers runs sidecars with these names that gossip with each other, and waits
// until they know each other and their backends.
func startPeers(t *testing.T, configuration func(name string) string, names ...string) []*sidecar {
	t.Helper()
	var all []*sidecar
	var join []string
	for _, name := range names {
		s := start(t, configuration(name)+fmt.Sprintf("name: %s\n", name)+gossiping(join...))
		join = append(join, s.Peers().Self.Address)
		all = append(all, s)
	}
	acquainted(t, all...)
	return all
}

func acquainted(t *testing.T, all ...*sidecar) {
	t.Helper()
	for _, s := range all {
		s.awaitReady()
		eventually(t, "all know each other", func() bool { return len(s.Peers().Peers) == len(all)-1 })
	}
}

func same(configuration string) func(string) string {
	return func(string) string { return configuration }
}

// healthOf is what a sidecar knows of a backend.
func (s *sidecar) healthOf(b *backend) admin.BackendHealth {
	s.t.Helper()
	for _, known := range s.Health().Backends {
		if known.Address == b.addr {
			return known
		}
	}
	s.t.Fatalf("no backend %s", b.addr)
	return admin.BackendHealth{}
}

func TestABackendThatOneSidecarFindsDeadIsTurnedAwayFromByAll(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	all := startPeers(t, same(fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\n", list(one...), seldom)), "web-1", "web-2", "web-3")
	one[0].die()
	eventually(t, "a request of web-1 has met it", func() bool {
		if a := all[0].get("/"); a.body != "one-b" {
			t.Fatalf("a request failed: %+v", a)
		}
		return all[0].state(one[0]) != "up"
	})
	for _, s := range all {
		s.awaitState(one[0], "down")
	}
	if n := all[1].Status().Clusters[0].Backends[0].Requests + all[2].Status().Clusters[0].Backends[0].Requests; n != 0 {
		t.Errorf("%d requests of the others had to find out by themselves", n)
	}
	why := all[1].healthOf(one[0]).Why
	if !strings.Contains(why, "web-1 says down") || !strings.HasPrefix(why, one[0].addr+" down: own ") {
		t.Errorf("web-2 says: %s", why)
	}
	one[0].revive()
	if err := all[1].Reload(t.Context()); err != nil { // which looks again at what is down, hours before the next check
		t.Fatal(err)
	}
	for _, s := range all {
		s.awaitState(one[0], "up")
	}
}

// The check of each is answered by what it says of itself: for the backend they are
// on two sides of a partition.
func TestWhoReachesABackendGoesOnUsingItWhateverOthersSay(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	one[0].does(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("From") == "web-1" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "one-a")
	})
	all := startPeers(t, func(name string) string {
		return fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: http, path: /healthz, interval: 50ms, headers: { From: %s } }\n", list(one...), name)
	}, "web-1", "web-2")
	all[0].awaitState(one[0], "down")
	eventually(t, "web-2 contests it", func() bool {
		known := all[1].healthOf(one[0])
		return known.State == "up" && known.Contested && strings.Contains(known.Why, "web-1 says down") && strings.Contains(known.Why, "contested")
	})
	holdsFor(t, 500*time.Millisecond, "web-2 uses it, web-1 does not", func() bool {
		return all[1].state(one[0]) == "up" && all[0].state(one[0]) == "down"
	})
}

// poison is a member of the mesh that is no sidecar.
func poison(t *testing.T, victim *sidecar) *gossip.Mesh {
	t.Helper()
	mesh, err := gossip.New(gossip.Options{
		Name: "poison", Bind: netip.MustParseAddrPort("127.0.0.1:0"), Join: []string{victim.Peers().Self.Address},
		Log: newLogbook(t).logger, Rand: rand.New(rand.NewPCG(5, 6)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- mesh.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	<-mesh.Started()
	eventually(t, "it is a member", func() bool { return len(victim.Peers().Peers) == 1 && mesh.Size() == 1 })
	return mesh
}

func TestAPeerThatSaysEverythingIsDownTakesNothingOut(t *testing.T) {
	one, two := newBackends(t, "one-a", "one-b", "one-c"), newBackends(t, "two-a")
	s := start(t, twoClusters(one, two, quick)+gossiping())
	s.awaitReady()
	mesh := poison(t, s)
	end := time.Now().Add(2 * time.Second)
	for round := 0; time.Now().Before(end); round++ {
		for _, b := range append(one, two...) {
			for _, kind := range []health.ClaimKind{health.ByTCP, health.ByHTTP, health.ByTraffic, health.ByOwner} {
				subject := health.Subject{Place: health.Place{Addr: netip.MustParseAddrPort(b.addr)}, Kind: kind}
				state := gossip.Down
				if kind == health.ByOwner {
					state = gossip.Draining
				}
				if round%2 == 1 {
					state = gossip.Up
				}
				if err := mesh.Publish(subject.Key(), state); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, path := range []string{"/one/x", "/two/x"} {
			if a := s.get(path); a.status != http.StatusOK {
				t.Fatalf("%s: %+v", path, a)
			}
		}
		for _, b := range append(one, two...) {
			if s.state(b) == "down" {
				t.Fatalf("%s went out: %s", b.name, s.healthOf(b).Why)
			}
		}
	}
}

func TestADrainedAppGetsNoNewRequestsWhileOthersAreThere(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	owner := start(t, fmt.Sprintf("name: owner\napp: %q\nclusters:\n  one:\n    backends: %s\n    %s\n", one[0].addr, list(one...), quick)+gossiping())
	s := start(t, fmt.Sprintf("name: other\nclusters:\n  one:\n    backends: %s\n    %s\n", list(one...), quick)+gossiping(owner.Peers().Self.Address))
	acquainted(t, owner, s)
	if fronts := s.Peers().Peers[0].Fronts; fronts != one[0].addr {
		t.Errorf("the owner fronts %q, want %s", fronts, one[0].addr)
	}
	if err := owner.Drain(); err != nil {
		t.Fatal(err)
	}
	s.awaitState(one[0], "draining")
	if p := s.Peers().Peers[0]; !p.Draining {
		eventually(t, "the peer shows as draining", func() bool { return s.Peers().Peers[0].Draining })
	}
	for range 20 {
		if a := s.get("/"); a.body != "one-b" {
			t.Fatalf("a new request went to %s", a.body)
		}
	}
	one[1].die()
	eventually(t, "it is used when nobody else is left", func() bool { return s.get("/").body == "one-a" })
	one[1].revive()
	if err := owner.Undrain(); err != nil {
		t.Fatal(err)
	}
	s.awaitState(one[0], "up")

	owner.end() // which drains, too, and is not forgotten with its peer
	s.awaitState(one[0], "draining")
	eventually(t, "the peer has left", func() bool { return len(s.Peers().Peers) == 0 })
	holdsFor(t, 300*time.Millisecond, "its app is spared", func() bool { return s.state(one[0]) == "draining" })
	back := start(t, fmt.Sprintf("name: owner\napp: %q\nclusters:\n  one:\n    backends: %s\n    %s\n", one[0].addr, list(one...), quick)+
		gossiping(s.Peers().Self.Address))
	acquainted(t, back, s)
	s.awaitState(one[0], "up")
}

func TestDrainingNeedsPeersAndAnApp(t *testing.T) {
	one := newBackends(t, "one-a")
	clusters := fmt.Sprintf("clusters:\n  one: { backends: %s }\n", list(one...))
	if err := start(t, clusters).Drain(); err == nil || !strings.Contains(err.Error(), "gossip") {
		t.Errorf("without gossip: %v", err)
	}
	if err := start(t, clusters+gossiping()).Drain(); err == nil || !strings.Contains(err.Error(), "`app`") {
		t.Errorf("without an app: %v", err)
	}
}

func TestAGossipPortInUseIsNamed(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := &sidecar{t: t, file: filepath.Join(t.TempDir(), "outrider.yaml"), log: newLogbook(t)}
	s.write(fmt.Sprintf("clusters:\n  one: { backends: ['127.0.0.1:9'] }\ngossip: { listen: %q }\n", taken.LocalAddr()))
	c, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(c, app.Options{Log: s.log.logger, Load: s.load})
	if err != nil {
		t.Fatal(err)
	}
	err = a.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "gossip.listen can not use "+taken.LocalAddr().String()) {
		t.Errorf("it says %v", err)
	}
}

func key(fill byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(fill), 32)))
}

func TestTheSecretIsRotatedByEditingItsFile(t *testing.T) {
	one := newBackends(t, "one-a")
	secret := filepath.Join(t.TempDir(), "secret")
	writeFile(t, secret, key('a'))
	with := func(name string, join ...string) string {
		return fmt.Sprintf("name: %s\nclusters:\n  one: { backends: %s }\n", name, list(one...)) +
			strings.Replace(gossiping(join...), "}", ", secret_file: "+secret+" }", 1)
	}
	first := start(t, with("web-1"))
	all := []*sidecar{first, start(t, with("web-2", first.Peers().Self.Address))}
	acquainted(t, all...)
	for _, keys := range []string{key('a') + "\n" + key('b'), key('b') + "\n" + key('a'), key('b')} {
		writeFile(t, secret, keys)
		for _, s := range all {
			if err := s.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := len(s.Peers().Peers); n != 1 {
				t.Fatalf("%d peers while the secret is rotated", n)
			}
		}
	}
	late := start(t, with("web-3", first.Peers().Self.Address))
	acquainted(t, append(all, late)...)
	for _, s := range all {
		if rejected := s.Peers().Rejected; len(rejected) > 0 {
			t.Errorf("rejected meanwhile: %v", rejected)
		}
	}
	writeFile(t, secret, "c2hvcnQ=")
	if err := first.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "16, 24 or 32") {
		t.Errorf("a short secret: %v", err)
	}
	if n := len(first.Peers().Peers); n != 2 {
		t.Errorf("%d peers after a refused reload", n)
	}
}

func TestPeersShowWhoRunsAnotherScript(t *testing.T) {
	one := newBackends(t, "one-a")
	scripts := map[string]string{}
	for _, name := range []string{"web-1", "web-2"} {
		scripts[name] = filepath.Join(t.TempDir(), "route.js")
		writeFile(t, scripts[name], "function route() { return 'one'; }")
	}
	all := startPeers(t, func(name string) string {
		return fmt.Sprintf("script: { file: %q }\nclusters:\n  one: { backends: %s }\n", scripts[name], list(one...))
	}, "web-1", "web-2")
	eventually(t, "both run the same", func() bool {
		p := all[0].Peers()
		return p.Self.Script != "" && p.Peers[0].Script == p.Self.Script && p.Peers[0].Config == p.Self.Config && len(p.Peers[0].Drift) == 0
	})
	writeFile(t, scripts["web-2"], "function route() { return ['one']; }")
	eventually(t, "the drift shows", func() bool {
		drift := all[0].Peers().Peers[0].Drift
		return len(drift) == 1 && drift[0] == "script"
	})
}

func TestOtherPeersAreJoinedByAReload(t *testing.T) {
	one := newBackends(t, "one-a")
	clusters := fmt.Sprintf("clusters:\n  one: { backends: %s }\n", list(one...))
	a, b := start(t, "name: a\n"+clusters+gossiping()), start(t, "name: b\n"+clusters+gossiping())
	a.write("name: a\n" + clusters + gossiping(b.Peers().Self.Address))
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	acquainted(t, a, b)
	a.write("name: a\n" + clusters + strings.Replace(gossiping(), "}", ", label: other }", 1))
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "gossip") {
		t.Errorf("another label while running: %v", err)
	}
}

func TestForwardedFieldsOfPeersAreBelievedWhenAsked(t *testing.T) {
	one := newBackends(t, "one-a")
	one[0].does(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	})
	clusters := fmt.Sprintf("clusters:\n  one: { backends: %s }\n", list(one...))
	s := start(t, "name: a\ntrusted_proxies: [peers]\n"+clusters+gossiping())
	s.awaitReady()
	ask := func() string {
		s.client.CloseIdleConnections()
		request, _ := http.NewRequest(http.MethodGet, "http://"+s.addr+"/", http.NoBody)
		request.Header.Set("X-Forwarded-For", "192.0.2.7")
		a, err := s.do(request)
		if err != nil {
			t.Fatal(err)
		}
		return a.body
	}
	if got := ask(); got != "127.0.0.1" {
		t.Errorf("before there are peers: %q", got)
	}
	acquainted(t, s, start(t, "name: b\n"+clusters+gossiping(s.Peers().Self.Address)))
	if got := ask(); got != "192.0.2.7, 127.0.0.1" {
		t.Errorf("from the address of a peer: %q", got)
	}
}

func TestPeersOfOneNameAreToldApart(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	clusters := fmt.Sprintf("name: web\nclusters:\n  one:\n    backends: %s\n    %s\n", list(one...), quick)
	first := start(t, clusters+gossiping())
	all := []*sidecar{first}
	for range 2 {
		all = append(all, start(t, clusters+gossiping(first.Peers().Self.Address)))
	}
	acquainted(t, all...)
	one[0].die()
	for _, s := range all {
		s.awaitState(one[0], "down")
		peers := s.Health().Peers
		if len(peers) != 2 || peers[0] == peers[1] || !strings.HasPrefix(peers[0], "web-") {
			t.Errorf("the others are called %q", peers)
		}
	}
}
