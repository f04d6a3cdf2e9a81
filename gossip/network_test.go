package gossip

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

// A probe under way outlives memberlist's Shutdown by up to its interval, times 8
// where the machine is slow.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

// network is loopback with faults: sidecars in different groups do not reach each
// other, and a part of the packets is lost.
type network struct {
	mu     sync.Mutex
	groups map[string]int // by address; 0 for those that are not in it
	cuts   map[[2]string]bool
	loss   float64
	kept   int // packets that did not get through a cut
	rng    *rand.Rand
}

func newNetwork() *network {
	return &network{groups: map[string]int{}, cuts: map[[2]string]bool{}, rng: rand.New(rand.NewPCG(3, 4))}
}

func (n *network) isolate(group int, members ...*node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range members {
		n.groups[m.Address().String()] = group
	}
}

// cut keeps two sidecars from reaching each other.
func (n *network) cut(a, b *node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, y := a.Address().String(), b.Address().String()
	n.cuts[[2]string{x, y}], n.cuts[[2]string{y, x}] = true, true
}

func (n *network) keptBack() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kept
}

// lose makes each packet disappear with this probability.
func (n *network) lose(part float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = part
}

func (n *network) connected(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.groups[from] == n.groups[to] && !n.cuts[[2]string{from, to}] {
		return true
	}
	n.kept++
	return false
}

func (n *network) loses() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rng.Float64() < n.loss
}

// link is one sidecar's real sockets on such a network.
type link struct {
	*memberlist.NetTransport
	network *network
	self    string
}

var errCut = errors.New("the network is cut here")

func (l *link) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	if !l.network.connected(l.self, to.Addr) || l.network.loses() {
		return time.Now(), nil
	}
	return l.NetTransport.WriteToAddress(b, to)
}

func (l *link) WriteTo(b []byte, to string) (time.Time, error) {
	return l.WriteToAddress(b, memberlist.Address{Addr: to})
}

func (l *link) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if !l.network.connected(l.self, to.Addr) {
		return nil, errCut
	}
	return l.NetTransport.DialAddressTimeout(to, timeout)
}

func (l *link) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	return l.DialAddressTimeout(memberlist.Address{Addr: to}, timeout)
}

// attach gives a configuration real sockets on the network.
func (n *network) attach(t *testing.T) func(*memberlist.Config) {
	return func(conf *memberlist.Config) {
		transport, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{conf.BindAddr}, BindPort: conf.BindPort, Logger: log.New(conf.LogOutput, "", 0)})
		if err != nil {
			t.Fatal(err)
		}
		port := transport.GetAutoBindPort()
		conf.BindPort, conf.AdvertisePort = port, port
		self := netip.AddrPortFrom(netip.MustParseAddr(conf.BindAddr), uint16(port)).String()
		conf.Transport = &link{transport, n, self}
		conf.ProbeInterval, conf.ProbeTimeout = 200*time.Millisecond, 100*time.Millisecond
	}
}

// node is a Mesh under test, and what its Receiver was told.
type node struct {
	*Mesh
	stop context.CancelFunc
	done chan error

	mu        sync.Mutex
	told      map[register]Claim
	received  []Claim
	withdrawn []register
}

func (n *node) Receive(_ Peer, c Claim) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told[c.register()] = c
	n.received = append(n.received, c)
}

func (n *node) Withdraw(o Observer, key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.told, register{o, key})
	n.withdrawn = append(n.withdrawn, register{o, key})
}

// hears tells whether the Receiver holds a claim of this state, by anybody.
func (n *node) hears(key string, state State) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for at, c := range n.told {
		if at.key == key && c.State == state {
			return true
		}
	}
	return false
}

// holds is what the Receiver was told of a register.
func (n *node) holds(at register) (Claim, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, ok := n.told[at]
	return c, ok
}

func (n *node) heard() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.told)
}

func (n *node) names() []string {
	var names []string
	for _, p := range n.Peers() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

func options(name string) Options {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	return Options{
		Name:   name,
		Bind:   netip.MustParseAddrPort("127.0.0.1:0"),
		Label:  "test",
		Log:    quiet,
		Rand:   rand.New(rand.NewPCG(maphash.String(maphash.MakeSeed(), name), 2)), // equal ones would all tell the same peers
		Rejoin: 200 * time.Millisecond,
	}
}

// run starts a Mesh, and ends it with the test.
func run(t *testing.T, o Options, tune func(*memberlist.Config)) *node {
	t.Helper()
	n := &node{told: map[register]Claim{}, done: make(chan error, 1)}
	o.Receiver = n
	var err error
	if n.Mesh, err = New(o); err != nil {
		t.Fatal(err)
	}
	n.tune = tune
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() { n.done <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-n.over
	})
	select {
	case <-n.Started():
	case err := <-n.done:
		t.Fatalf("Run: %v", err)
	}
	return n
}

// mesh starts sidecars of these names that all know each other.
func mesh(t *testing.T, on *network, names ...string) []*node {
	t.Helper()
	return tunedMesh(t, on.attach(t), names...)
}

// tunedMesh is a mesh where memberlist is configured otherwise. Everybody joins
// everybody, so that nobody depends on gossip to know the others.
func tunedMesh(t *testing.T, tune func(*memberlist.Config), names ...string) []*node {
	t.Helper()
	var nodes []*node
	for _, name := range names {
		o := options(name)
		for _, n := range nodes {
			o.Join = append(o.Join, n.Address().String())
		}
		nodes = append(nodes, run(t, o, tune))
	}
	acquainted(t, nodes...)
	return nodes
}

func acquainted(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, n.options.Name+" knows all others", func() bool { return len(n.Peers()) == len(nodes)-1 })
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func publish(t *testing.T, n *node, key string, state State) {
	t.Helper()
	if err := n.Publish(key, state); err != nil {
		t.Fatal(err)
	}
}
