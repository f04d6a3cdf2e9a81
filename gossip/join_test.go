package gossip

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// zone answers for one name, and counts how often it was asked.
type zone struct {
	mu    sync.Mutex
	addrs []netip.Addr
	err   error
	asked int
}

func (z *zone) set(err error, addrs ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.err, z.addrs = err, nil
	for _, a := range addrs {
		z.addrs = append(z.addrs, netip.MustParseAddr(a))
	}
}

func (z *zone) resolve(context.Context, string) ([]netip.Addr, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	return z.addrs, z.err
}

func (z *zone) questions() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked
}

func (z *zone) askedTwiceMore(t *testing.T) {
	t.Helper()
	before := z.questions()
	eventually(t, "the name is resolved again", func() bool { return z.questions() >= before+2 })
}

// onePort is a port that is free on all these addresses, as peers behind one name
// have it.
func onePort(t *testing.T, addrs ...string) uint16 {
	t.Helper()
search:
	for range 100 {
		first, err := net.Listen("tcp", addrs[0]+":0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).AddrPort().Port()
		first.Close()
		for _, a := range addrs {
			l, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr(a), port).String())
			if err != nil {
				continue search
			}
			l.Close()
		}
		return port
	}
	t.Fatal("no port is free on all addresses")
	return 0
}

func at(name, address string, port uint16) Options {
	o := options(name)
	o.Bind = netip.AddrPortFrom(netip.MustParseAddr(address), port)
	return o
}

func notFound() error { return &net.DNSError{Err: "no such host", Name: "peers", IsNotFound: true} }

func TestAfterATotalOutageThePeersThatDNSNamesNowAreFound(t *testing.T) {
	loopback, dns := newNetwork(), &zone{}
	port := onePort(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	survivor := at("survivor", "127.0.0.1", port)
	survivor.Join, survivor.Resolve = []string{"peers"}, dns.resolve
	first := run(t, at("first", "127.0.0.2", port), loopback.attach(t))
	dns.set(nil, "127.0.0.1", "127.0.0.2")
	s := run(t, survivor, loopback.attach(t))
	acquainted(t, s, first)

	loopback.isolate(1, first) // it crashes
	eventually(t, "nobody is left", func() bool { return len(s.Peers()) == 0 })
	dns.set(notFound())
	dns.askedTwiceMore(t)

	second := run(t, at("second", "127.0.0.3", port), loopback.attach(t))
	dns.set(nil, "127.0.0.1", "127.0.0.3")
	eventually(t, "the new peer is found", func() bool {
		p := s.Peers()
		return len(p) == 1 && p[0].Name == "second" && len(second.Peers()) == 1
	})
}

func TestAllThatStartAtOnceFindEachOther(t *testing.T) {
	dns := &zone{}
	addrs := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}
	port := onePort(t, addrs...)
	dns.set(nil, addrs...)
	var nodes []*node
	for _, a := range addrs {
		o := at("n"+a, a, port)
		o.Join, o.Resolve = []string{"peers"}, dns.resolve
		nodes = append(nodes, run(t, o, nil))
	}
	acquainted(t, nodes...)
}

func TestNobodyJoinsItselfOrTheSameTwice(t *testing.T) {
	n := run(t, options("a"), nil)
	other := netip.MustParseAddrPort("127.0.0.9:1")
	got := n.candidates([]*seed{{addrs: []netip.AddrPort{other, n.Address()}}, {addrs: []netip.AddrPort{other}}})
	if len(got) != 1 || got[0] != other {
		t.Errorf("candidates: %v; want %v alone", got, other)
	}
}

func TestAnAddressThatDNSForgotIsNotTriedAnyMore(t *testing.T) {
	stranger, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	calls := make(chan struct{}, 1000)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := stranger.Accept()
			if err != nil {
				return
			}
			conn.Close()
			calls <- struct{}{}
		}
	})
	defer accepting.Wait()
	defer stranger.Close()

	dns := &zone{}
	dns.set(nil, "127.0.0.2")
	o := options("a")
	_, port, _ := net.SplitHostPort(stranger.Addr().String())
	o.Join, o.Resolve = []string{"peers:" + port}, dns.resolve
	run(t, o, nil)
	<-calls
	dns.set(errors.New("the resolver does not answer"))
	dns.askedTwiceMore(t)
	for len(calls) > 0 {
		<-calls
	}
	<-calls // the last answer holds as long as there is no other

	dns.set(notFound())
	dns.askedTwiceMore(t) // what the round before began is over
	for len(calls) > 0 {
		<-calls
	}
	dns.askedTwiceMore(t)
	if n := len(calls); n > 0 {
		t.Errorf("tried %d times more", n)
	}
}

func TestANameThatDoesNotResolveIsToldOnceAndTriedOn(t *testing.T) {
	loopback, dns := newNetwork(), &zone{}
	dns.set(notFound())
	b := run(t, options("b"), loopback.attach(t))
	var said lockedBuffer
	o := options("a")
	o.Log.(*logrus.Logger).SetOutput(&said)
	_, port, _ := net.SplitHostPort(b.Address().String())
	o.Join, o.Resolve = []string{"nowhere:" + port}, dns.resolve
	a := run(t, o, loopback.attach(t))
	dns.askedTwiceMore(t)
	if n := strings.Count(said.String(), "does not resolve"); n != 1 || !strings.Contains(said.String(), "host=nowhere") {
		t.Errorf("said %d times, in:\n%s", n, said.String())
	}
	dns.set(nil, "127.0.0.1")
	acquainted(t, a, b)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestEntriesToJoinAreReadInAllTheirForms(t *testing.T) {
	tests := map[string]struct {
		host string
		port uint16
	}{
		"api:7946":           {"api", 7946},
		"api.internal":       {"api.internal", 7000},
		"10.0.0.7":           {"10.0.0.7", 7000},
		"10.0.0.7:1":         {"10.0.0.7", 1},
		"2001:db8::1":        {"2001:db8::1", 7000},
		"[2001:db8::1]:7946": {"2001:db8::1", 7946},
	}
	for entry, want := range tests {
		host, port, err := splitJoin(entry, 7000)
		if err != nil || host != want.host || port != want.port {
			t.Errorf("%s: %s %d, %v", entry, host, port, err)
		}
	}
	for _, entry := range []string{"", ":7946", "api:http", "api:70000", "a:b:c"} {
		if _, _, err := splitJoin(entry, 7000); err == nil || !strings.Contains(err.Error(), "join") {
			t.Errorf("%q: %v; want it refused", entry, err)
		}
	}
}

func TestOtherEntriesToJoinAreUsedAtOnce(t *testing.T) {
	loopback := newNetwork()
	o := options("late")
	o.Rejoin = time.Hour
	late := run(t, o, loopback.attach(t))
	n := run(t, options("n"), loopback.attach(t))
	if err := late.SetJoin([]string{n.Address().String()}); err != nil {
		t.Fatal(err)
	}
	acquainted(t, late, n)
	if !late.Knows(n.Address().Addr()) || late.Knows(netip.MustParseAddr("127.1.2.3")) || late.Size() != 1 {
		t.Error("it does not know its peer by the address, or knows others")
	}
	if err := late.SetJoin([]string{"n:http"}); err == nil {
		t.Error("a strange entry is taken")
	}
}

func TestPeersThatOnlyTCPReachesAreCounted(t *testing.T) {
	loopback := newNetwork()
	nodes := mesh(t, loopback, "a", "b")
	loopback.lose(1)
	eventually(t, "somebody sees that UDP is blocked", func() bool { return nodes[0].OnlyTCP()+nodes[1].OnlyTCP() > 0 })
}
