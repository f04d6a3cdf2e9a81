package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func TestAClaimReachesAllAndIsTakenBack(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a", "b", "c", "d", "e")
	publish(t, nodes[1], "10.0.0.7:80", Down)
	for i, n := range nodes {
		if i != 1 {
			eventually(t, "down is heard", func() bool { return n.hears("10.0.0.7:80", Down) })
		}
	}
	publish(t, nodes[1], "10.0.0.7:80", Up)
	for i, n := range nodes {
		if i != 1 {
			eventually(t, "up is heard", func() bool { return n.hears("10.0.0.7:80", Up) })
		}
	}
	if n := nodes[1].heard(); n != 0 {
		t.Errorf("the observer was told %d of its own claims", n)
	}
}

func TestABurstArrivesWholeThoughAQuarterOfThePacketsIsLost(t *testing.T) {
	loopback := newNetwork()
	nodes := mesh(t, loopback, "a", "b", "c", "d", "e")
	loopback.lose(0.25)
	const burst = 200
	for i := range burst {
		publish(t, nodes[0], fmt.Sprintf("backend %03d", i), Down)
	}
	for _, n := range nodes[1:] {
		eventually(t, "all is heard", func() bool { return n.heard() == burst })
	}
}

func TestTheReceiverIsToldWhoClaims(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a", "b")
	publish(t, nodes[0], "k", Draining)
	eventually(t, "the claim is heard", func() bool { return nodes[1].hears("k", Draining) })
	got := nodes[1].Peers()[0]
	if got.Name != "a" || got.ID != nodes[0].ID() || got.Observer != nodes[0].Observer() || got.Address != nodes[0].Address() {
		t.Errorf("b sees %+v; want a as it is", got)
	}
	if c := nodes[1].Claims()[0]; c.Observer != got.Observer || c.Key != "k" {
		t.Errorf("b holds %+v", c)
	}
}

func TestWhatWasPublishedBeforeTheStartIsHeard(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a")
	late, err := New(options("late"))
	if err != nil {
		t.Fatal(err)
	}
	if err := late.SetJoin([]string{nodes[0].Address().String()}); err != nil {
		t.Fatal(err)
	}
	if err := late.Publish("k", Down); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer func() { stop(); <-late.over }()
	go late.Run(ctx)
	eventually(t, "the claim is heard", func() bool { return nodes[0].hears("k", Down) })
}

func TestWhatIsSeenFirstIsPushedAtOnceAndRelayed(t *testing.T) {
	loopback := newNetwork()
	nodes := tunedMesh(t, func(conf *memberlist.Config) {
		loopback.attach(t)(conf)
		conf.GossipInterval, conf.ProbeInterval = time.Hour, time.Hour
		(*Mesh)(conf.Delegate.(*delegate)).tick = time.Hour // a push is all there is
	}, "a", "b", "c")
	loopback.cut(nodes[0], nodes[2])
	publish(t, nodes[0], "k", Down)
	eventually(t, "c hears by b", func() bool { return nodes[2].hears("k", Down) })
}

func TestACutOffSidecarCatchesUpByDigest(t *testing.T) {
	for _, claims := range []int{1, 200} { // as a packet, and as a stream
		t.Run(fmt.Sprint(claims), func(t *testing.T) { catchUp(t, claims) })
	}
}

func catchUp(t *testing.T, claims int) {
	loopback := newNetwork()
	nodes := tunedMesh(t, func(conf *memberlist.Config) {
		loopback.attach(t)(conf)
		conf.SuspicionMult = 1000 // nobody dies in this test
	}, "a", "b", "c")
	loopback.isolate(1, nodes[2])
	for i := range claims {
		publish(t, nodes[0], fmt.Sprintf("backend %03d", i), Down)
	}
	eventually(t, "b hears", func() bool { return nodes[1].heard() == claims })
	for _, n := range nodes[:2] {
		eventually(t, "nobody passes it on any more", func() bool {
			n.Mesh.mu.Lock()
			defer n.Mesh.mu.Unlock()
			return len(n.queue.waiting) == 0 && len(n.toPush) == 0
		})
	}
	if nodes[2].heard() != 0 {
		t.Fatal("the cut does not hold")
	}
	loopback.isolate(0, nodes[2])
	eventually(t, "c catches up", func() bool { return nodes[2].heard() == claims })
}

func TestWhoMissedThatSomebodyJoinedLearnsItByDigest(t *testing.T) {
	loopback := newNetwork()
	patient := func(conf *memberlist.Config) {
		loopback.attach(t)(conf)
		conf.SuspicionMult = 1000 // nobody dies in this test
	}
	nodes := tunedMesh(t, patient, "a", "b")
	loopback.isolate(1, nodes[1])
	o := options("c")
	o.Join = []string{nodes[0].Address().String()}
	c := run(t, o, patient)
	eventually(t, "c knows both", func() bool { return len(c.Peers()) == 2 })
	before := loopback.keptBack()
	eventually(t, "all that is told of c is lost on b", func() bool { return loopback.keptBack() > before+100 })
	loopback.isolate(0, nodes[1])
	acquainted(t, nodes[0], nodes[1], c)
}

// age makes all that a sidecar holds older.
func age(n *node, by time.Duration) {
	n.Mesh.mu.Lock()
	defer n.Mesh.mu.Unlock()
	for _, from := range n.store.observers {
		for _, h := range from.claims {
			h.born = h.born.Add(-by)
		}
	}
	n.store.oldest = n.store.oldest.Add(-by)
}

func TestAClaimInForceIsRepeatedBeforeItExpires(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a", "b")
	publish(t, nodes[0], "k", Down)
	eventually(t, "it is heard", func() bool { return nodes[1].hears("k", Down) })
	age(nodes[0], repeatAge)
	eventually(t, "it is heard again", func() bool {
		c, _ := nodes[1].holds(register{nodes[0].Observer(), "k"})
		return c.Seq == 2
	})
}

func TestAClaimThatIsNotRepeatedIsWithdrawn(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a", "b")
	publish(t, nodes[0], "k", Down)
	eventually(t, "down is heard", func() bool { return nodes[1].hears("k", Down) })
	publish(t, nodes[0], "k", Up)
	eventually(t, "up is heard", func() bool { return nodes[1].hears("k", Up) })
	for _, n := range nodes { // Up is not repeated
		age(n, TTL)
	}
	eventually(t, "it is withdrawn", func() bool { return nodes[1].heard() == 0 })
}

func TestAClaimTakenBackDuringACutDoesNotReturnAfterIt(t *testing.T) {
	loopback := newNetwork()
	nodes := mesh(t, loopback, "a", "b", "c", "d")
	here, there := nodes[:2], nodes[2:]
	publish(t, there[0], "k", Down)
	for _, n := range here {
		eventually(t, "down is heard", func() bool { return n.hears("k", Down) })
	}
	loopback.isolate(1, there...)
	for _, n := range here {
		eventually(t, "who is gone has no say", func() bool { return len(n.Peers()) == 1 && n.heard() == 0 })
	}
	publish(t, there[0], "k", Up)
	eventually(t, "up is heard on its side", func() bool { return there[1].hears("k", Up) })
	for _, n := range here {
		n.mu.Lock()
		n.received = nil
		n.mu.Unlock()
	}
	loopback.isolate(0, there...)
	acquainted(t, nodes...)
	for _, n := range here {
		eventually(t, "up is heard", func() bool { return n.hears("k", Up) })
		n.mu.Lock()
		if slices.ContainsFunc(n.received, func(c Claim) bool { return c.State == Down }) {
			t.Errorf("%s was told the old claim again", n.options.Name)
		}
		n.mu.Unlock()
	}
}

func TestWhoLeavesIsGoneAtOnceAndItsClaimsAreWithdrawn(t *testing.T) {
	loopback := newNetwork()
	nodes := tunedMesh(t, func(conf *memberlist.Config) {
		loopback.attach(t)(conf)
		conf.ProbeInterval = time.Minute // nobody finds out in another way
	}, "a", "b", "c")
	publish(t, nodes[2], "k", Down)
	for _, n := range nodes[:2] {
		eventually(t, "down is heard", func() bool { return n.hears("k", Down) })
	}
	if err := nodes[2].Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-nodes[2].done; err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, n := range nodes[:2] {
		eventually(t, "c is gone, and so is its claim", func() bool { return len(n.Peers()) == 1 && n.heard() == 0 })
	}
	if err := nodes[2].Leave(t.Context()); err != nil {
		t.Errorf("Leave for a second time: %v", err)
	}
}

func TestWhatASidecarAnnouncesIsSeenByAll(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a", "b", "c")
	since := nodes[1].Peers()
	want := Info{Version: "1.2.3", Script: "abc", Config: "def", Draining: true}
	if err := nodes[0].Announce(want); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes[1:] {
		eventually(t, "all is seen", func() bool {
			return slices.ContainsFunc(n.Peers(), func(p Peer) bool { return p.Name == "a" && p.Info == want })
		})
	}
	for i, p := range nodes[1].Peers() {
		if !p.Since.Equal(since[i].Since) {
			t.Errorf("%s is there since %v; it was %v before", p.Name, p.Since, since[i].Since)
		}
	}
	if err := nodes[0].Announce(Info{Script: strings.Repeat("x", MaxInfo+1)}); err == nil {
		t.Error("more was announced than fits")
	}
}

func TestTwoOfTheSameNameAreTwoPeers(t *testing.T) {
	nodes := mesh(t, newNetwork(), "twin", "twin", "other")
	if got := nodes[2].names(); !slices.Equal(got, []string{"twin", "twin"}) {
		t.Errorf("other sees %v", got)
	}
}

func TestBeforeTheStartThereIsNobodyAndNothingToDoubt(t *testing.T) {
	m, err := New(options("a"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Address().IsValid() || len(m.Peers()) != 0 || m.HealthScore() != 0 {
		t.Errorf("address %v, peers %v, health score %d", m.Address(), m.Peers(), m.HealthScore())
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Leave(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("Leave: %v; want that nobody waits any more", err)
	}
	if err := m.Run(t.Context()); err != nil {
		t.Errorf("Run after Leave: %v; want its end at once", err)
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := options("a")
	o.Bind = taken.Addr().(*net.TCPAddr).AddrPort()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), o.Bind.String()) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Run: %v; want one that names %s", err, o.Bind)
	}
}

func TestWhatCannotBePublishedIsRefused(t *testing.T) {
	m, err := New(options("a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{m.Publish("", Down), m.Publish(strings.Repeat("k", MaxKey+1), Down), m.Publish("k", 0), m.Publish("k", 4)} {
		if err == nil {
			t.Error("it was taken")
		}
	}
}

func TestWhatAPushLostIsToldWithoutMemberlistsTicks(t *testing.T) {
	loopback := newNetwork()
	nodes := tunedMesh(t, func(conf *memberlist.Config) {
		loopback.attach(t)(conf)
		conf.GossipInterval, conf.ProbeInterval, conf.PushPullInterval = time.Hour, time.Hour, 0
	}, "a", "b")
	attempt := 0
	eventually(t, "b hears what was published while it was cut off", func() bool {
		attempt++
		before := loopback.keptBack()
		loopback.isolate(1, nodes[1])
		publish(t, nodes[0], fmt.Sprint("k", attempt), Down)
		eventually(t, "the push is lost", func() bool { return loopback.keptBack() > before })
		loopback.isolate(0, nodes[1])
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
			if nodes[1].hears(fmt.Sprint("k", attempt), Down) {
				return true
			}
		}
		return false
	})
}
