package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"outrider/sidecar/config"
)

// patient is one with the given configuration file.
func patient(t *testing.T, yaml string) Patient {
	t.Helper()
	c, places, err := config.LoadPlaces(config.Source{Env: []string{"OUTRIDER_CONFIG=" + yaml + "\n"}, Files: config.Files{}})
	if err != nil {
		t.Fatal(err)
	}
	return Patient{Config: c, Places: places, Patience: time.Minute}
}

// clusterOne is a configuration with one backend, and more keys of its cluster.
func clusterOne(backend string, more ...string) string {
	return fmt.Sprintf("clusters:\n  one: { backends: [%q]%s }", backend, strings.Join(append([]string{""}, more...), ", "))
}

// expect tells whether the only finding is of the severity, and says the words.
func expect(t *testing.T, found []Finding, severity Severity, words ...string) {
	t.Helper()
	if len(found) != 1 || found[0].Severity != severity {
		t.Fatalf("want one finding of severity %d: %+v", severity, found)
	}
	text := fmt.Sprintf("%s: %s: %s\n%s", found[0].Where, found[0].Key, found[0].What, found[0].Remedy)
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not told in:\n%s", w, text)
		}
	}
}

func expectNothing(t *testing.T, found []Finding) {
	t.Helper()
	if len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

// backend serves with a keep-alive of its own.
func backend(t *testing.T, idle time.Duration, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.IdleTimeout = idle
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func fine(http.ResponseWriter, *http.Request) {}

func TestABackendThatClosesFirstIsWrong(t *testing.T) {
	server := backend(t, 400*time.Millisecond, fine)
	p := patient(t, clusterOne(server.Listener.Addr().String(), "timeouts: { upstream_idle: 50s }"))
	found := p.backends(t.Context(), names{})
	expect(t, found, Wrong, "OUTRIDER_CONFIG:2:", "clusters.one.timeouts.upstream_idle",
		server.Listener.Addr().String()+" closed an idle connection after", "the sidecar keeps it for 50s", "write upstream_idle: ")
}

func TestABackendThatKeepsLongerIsFine(t *testing.T) {
	server := backend(t, time.Hour, fine)
	p := patient(t, clusterOne(server.Listener.Addr().String(), "timeouts: { upstream_idle: 300ms }"))
	expectNothing(t, p.backends(t.Context(), names{}))
}

func TestWhatWasNotWatchedLongEnoughIsTold(t *testing.T) {
	server := backend(t, time.Hour, fine)
	p := patient(t, clusterOne(server.Listener.Addr().String(), "timeouts: { upstream_idle: 10m }"))
	p.Patience = 100 * time.Millisecond
	expect(t, p.backends(t.Context(), names{}), Note, "for 100ms, and was not watched for longer", "--patience 10m0s")
}

func TestABackendIsBelievedThatTellsItsTime(t *testing.T) {
	for field, ours := range map[string]string{"timeout=5": "6s", "max=100, timeout=5": "5s", "Timeout=5; max=1": "1h"} {
		server := backend(t, time.Hour, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Keep-Alive", field) })
		p := patient(t, clusterOne(server.Listener.Addr().String(), "timeouts: { upstream_idle: "+ours+" }"))
		expect(t, p.backends(t.Context(), names{}), Wrong, "says that it closes an idle connection after 5s", "write upstream_idle: 3.5s")
	}
	server := backend(t, time.Hour, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Keep-Alive", "timeout=5") })
	p := patient(t, clusterOne(server.Listener.Addr().String(), "timeouts: { upstream_idle: 4s }"))
	expectNothing(t, p.backends(t.Context(), names{}))
}

func TestABackendThatKeepsNothingIsNoted(t *testing.T) {
	server := backend(t, time.Hour, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	expect(t, patient(t, clusterOne(server.Listener.Addr().String())).backends(t.Context(), names{}), Note, "closes the connection after each response")
}

func TestABackendIsAskedAsItsCheckAsks(t *testing.T) {
	asked := make(chan string, 1)
	server := backend(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host + r.URL.String()
		w.Header().Set("Keep-Alive", "timeout=60")
	})
	p := patient(t, clusterOne(server.Listener.Addr().String(), "check: { type: http, path: /up, host: shop.example }"))
	expectNothing(t, p.backends(t.Context(), names{}))
	if got := <-asked; got != "HEAD shop.example/up" {
		t.Errorf("asked: %s", got)
	}
}

func TestABackendWithTLSIsAskedByTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Keep-Alive", "timeout=60") }))
	t.Cleanup(server.Close)
	p := patient(t, clusterOne("https://"+server.Listener.Addr().String()))
	p.Config.Clusters[0].TLS.Roots = x509.NewCertPool()
	expect(t, p.backends(t.Context(), names{}), Wrong, "cannot be reached", "certificate")
	p.Config.Clusters[0].TLS.Roots.AddCert(server.Certificate())
	expectNothing(t, p.backends(t.Context(), names{}))
}

func TestABackendThatIsNotThereIsWrong(t *testing.T) {
	expect(t, patient(t, clusterOne(closedPort(t))).backends(t.Context(), names{}), Wrong,
		"clusters.one.backends[0]", "cannot be reached", "connection refused")
}

func TestABackendThatSpeaksSomethingElseIsWrong(t *testing.T) {
	ln := listen(t)
	go func() {
		if conn, err := ln.Accept(); err == nil {
			_, _ = io.WriteString(conn, "220 mail\r\n")
			_ = conn.Close()
		}
	}()
	expect(t, patient(t, clusterOne(ln.Addr().String())).backends(t.Context(), names{}), Wrong, "does not answer as HTTP/1.1")
}

func TestANameThatNobodyKnowsIsWrong(t *testing.T) {
	expect(t, patient(t, clusterOne("shop:80")).backends(t.Context(), names{}), Wrong, "the name shop cannot be resolved: no such host")
}

// names are what a resolver knows: addresses by name and, the other way, names by
// address.
type names map[string][]string

func (n names) LookupHost(_ context.Context, host string) ([]string, error) { return n.answer(host) }
func (n names) LookupAddr(_ context.Context, a string) ([]string, error)    { return n.answer(a) }

func (n names) answer(key string) ([]string, error) {
	if found := n[key]; len(found) > 0 {
		return found, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: key, IsNotFound: true}
}

func TestAnAddressThatStandsForOthersIsVirtual(t *testing.T) {
	for _, c := range []struct {
		what  string
		known names
		owner string
	}{
		{"a Kubernetes Service", names{"10.96.0.7": {"shop.web.svc.cluster.local."}}, "the Kubernetes Service shop.web.svc.cluster.local"},
		{"a pod behind a headless one", names{"10.96.0.7": {"10-96-0-7.shop.web.svc.cluster.local."}}, ""},
		{"a host called svc", names{"10.96.0.7": {"a.b.svc."}}, ""},
		{"a service of a swarm", names{"tasks.shop": {"10.0.1.4", "10.0.1.5"}}, "a swarm service"},
		{"a service of a swarm that answers for itself", names{"tasks.shop": {"10.96.0.7"}}, ""},
		{"any other host", names{"10.96.0.7": {"shop.example."}}, ""},
	} {
		got := virtual(t.Context(), c.known, "shop", netip.MustParseAddr("10.96.0.7"))
		if (got == nil) != (c.owner == "") || got != nil && got.owner != c.owner {
			t.Errorf("%s: %+v, want %q", c.what, got, c.owner)
		}
	}
}

func TestAVirtualAddressIsWrong(t *testing.T) {
	if got := virtual(t.Context(), names{"127.0.0.1": {"shop.web.svc.cluster.local."}}, "shop", netip.MustParseAddr("127.0.0.1")); got != nil {
		t.Errorf("loopback stands for others: %+v", got)
	}
	p := patient(t, clusterOne("shop:80"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody is to be dialed
	found := p.backends(ctx, names{"shop": {"192.0.2.7"}, "192.0.2.7": {"shop.web.svc.cluster.local."}})
	i := slices.IndexFunc(found, func(f Finding) bool { return strings.Contains(f.What, "virtual") })
	if i < 0 {
		t.Fatalf("%+v", found)
	}
	expect(t, found[i:i+1], Wrong, "clusters.one.backends[0]", "shop is the virtual address of the Kubernetes Service", "192.0.2.7", "headless")
}

func TestAddressesThatAreTakenAreWrong(t *testing.T) {
	main, status, admin, peers := listen(t), listen(t), listen(t), listen(t)
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = packets.Close() })
	yaml := fmt.Sprintf("listen: %q\nstatus: { listen: %q }\nadmin: { listen: %q }\ngossip: { listen: %q }\n%s",
		main.Addr(), status.Addr(), admin.Addr(), peers.Addr(), clusterOne("127.0.0.1:9"))
	p := patient(t, yaml)
	found := p.ports(t.Context())
	for i, want := range []struct{ key, at, what string }{
		{"listen[0].address", "OUTRIDER_CONFIG:1:1", "tcp " + main.Addr().String()}, {"status.listen", "OUTRIDER_CONFIG:2:", "tcp " + status.Addr().String()},
		{"admin.listen", "OUTRIDER_CONFIG:3:", "tcp " + admin.Addr().String()}, {"gossip.listen", "OUTRIDER_CONFIG:4:", "tcp " + peers.Addr().String()},
	} {
		if i >= len(found) || found[i].Key != want.key || !strings.HasPrefix(found[i].Where, want.at) || !strings.HasPrefix(found[i].What, want.what) {
			t.Errorf("want %+v in %+v", want, found)
		}
	}
	p.Running = true
	expectNothing(t, p.ports(t.Context()))

	p = patient(t, fmt.Sprintf("listen: \"127.0.0.1:0\"\nstatus: { listen: \"\" }\nadmin: { listen: \"\" }\ngossip: { listen: %q }\n%s",
		packets.LocalAddr(), clusterOne("127.0.0.1:9")))
	found = slices.DeleteFunc(p.ports(t.Context()), func(f Finding) bool { return strings.HasPrefix(f.What, "tcp ") }) // another program may have taken it
	expect(t, found, Wrong, "gossip.listen", "udp "+packets.LocalAddr().String()+": address already in use", "ss -lunp")
}

func TestAnAddressThatIsNotHereIsWrong(t *testing.T) {
	p := patient(t, "listen: \"192.0.2.1:7000\"\nstatus: { listen: \"\" }\nadmin: { listen: \"\" }\n"+clusterOne("127.0.0.1:9"))
	expect(t, p.ports(t.Context()), Wrong, "tcp 192.0.2.1:7000: cannot assign requested address", `write ":7000"`)
}

func peerConfig(join string) string {
	return fmt.Sprintf("gossip: { listen: \"127.0.0.1:6191\", join: [%q] }\n%s", join, clusterOne("127.0.0.1:9"))
}

func TestAPeerThatTakesOnlyTCPIsWrong(t *testing.T) {
	ln := listen(t)
	expect(t, patient(t, peerConfig(ln.Addr().String())).peers(t.Context(), names{}), Wrong,
		"gossip.join[0]", ln.Addr().String()+" takes TCP, and refuses UDP", "/udp")
}

func TestAPeerThatTakesBothIsFine(t *testing.T) {
	ln := listen(t)
	packets, err := net.ListenPacket("udp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = packets.Close() })
	expectNothing(t, patient(t, peerConfig(ln.Addr().String())).peers(t.Context(), names{}))
}

func TestUDPThatIsDroppedOnTheWayIsWrong(t *testing.T) {
	p := patient(t, "gossip: { listen: \"127.0.0.1:6191\" }\n"+clusterOne("127.0.0.1:9"))
	expectNothing(t, p.peers(t.Context(), names{}))
	p.OnlyTCP = 7
	expect(t, p.peers(t.Context(), names{}), Wrong, "OUTRIDER_CONFIG:1:11", "gossip.listen", "drops UDP: so 7 pings went", "open port 6191 for UDP")
}

func TestAPeerThatIsNotThereYetIsNoted(t *testing.T) {
	expect(t, patient(t, peerConfig(closedPort(t))).peers(t.Context(), names{}), Note, "no sidecar listens on")
}

func TestJoinByANameThatNobodyKnowsIsWrong(t *testing.T) {
	expect(t, patient(t, peerConfig("outrider")).peers(t.Context(), names{}), Wrong, "the name outrider cannot be resolved")
}

func TestOurOwnAddressesAreNoPeers(t *testing.T) {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range interfaces {
		own := netip.MustParsePrefix(network.String()).Addr()
		if got := others([]netip.Addr{own}); (len(got) == 0) == own.IsLoopback() {
			t.Errorf("%s: %v", own, got)
		}
	}
	if got := others([]netip.Addr{netip.MustParseAddr("192.0.2.1")}); len(got) != 1 {
		t.Errorf("another's address is taken for our own: %v", got)
	}
}

func TestWhoNeedsANetwork(t *testing.T) {
	const here = "listen: \"127.0.0.1:6188\"\nclusters: { one: { backends: [\"127.0.0.1:80\", \"[::1]:80\", \"localhost:80\"] } }\n"
	for yaml, want := range map[string]bool{
		here: false,
		strings.Replace(here, "127.0.0.1:6188", ":6188", 1):           true,
		strings.Replace(here, "localhost", "app-a", 1):                true,
		here + "gossip: { listen: \"127.0.0.1:6191\" }":               false,
		here + "gossip: { listen: \"0.0.0.0:6191\", insecure: true }": true,
	} {
		if got := needsNetwork(patient(t, yaml).Config); got != want {
			t.Errorf("%v, want %v:\n%s", got, want, yaml)
		}
	}
}

func TestReasonsAreTheInnermost(t *testing.T) {
	_, err := net.Dial("tcp", closedPort(t))
	if got := reason(fmt.Errorf("dial: %w", err)); got != "connection refused" {
		t.Errorf("%q", got)
	}
	if got := reason(errors.New(" odd ")); got != "odd" {
		t.Errorf("%q", got)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln := listen(t)
	_ = ln.Close()
	return ln.Addr().String()
}
