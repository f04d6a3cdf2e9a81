package cluster

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// keyed is who has each of so many keys.
func keyed(c *Cluster, keys int) []netip.AddrPort {
	all := make([]netip.AddrPort, keys)
	for i := range all {
		b := c.PickKeyed(KeyOf(fmt.Sprint("key ", i)), nil)
		b.Leave()
		all[i] = b.Addr()
	}
	return all
}

func TestAKeyHasItsBackendWhileThatOneIsUsable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 8).Draw(t, "weights")
		c := New("one", &Policy{}, rand.New(rand.NewPCG(1, 2)))
		c.SetMembers(members(weights...))
		before := keyed(c, 300)
		gone := at(rapid.IntRange(0, len(weights)-1).Draw(t, "gone"))
		c.SetState(gone, Down)
		for i, now := range keyed(c, 300) {
			if now == gone {
				t.Fatalf("key %d has a backend that is down", i)
			}
			if before[i] != gone && now != before[i] {
				t.Fatalf("key %d moved from %v, which is up, to %v", i, before[i], now)
			}
		}
		c.SetState(gone, Suspect)
		for i, now := range keyed(c, 300) {
			if now != before[i] {
				t.Fatalf("key %d has not come back to %v", i, before[i])
			}
		}
	})
}

func TestKeysAreSharedByWeight(t *testing.T) {
	const keys = 8000
	counts := make(map[netip.AddrPort]float64)
	for _, b := range keyed(newCluster(t, 1, 2, 5), keys) {
		counts[b]++
	}
	for i, weight := range []float64{1, 2, 5} {
		if want := keys * weight / 8; math.Abs(counts[at(i)]-want) > 0.1*want {
			t.Errorf("backend %d has %v keys, want about %v", i, counts[at(i)], want)
		}
	}
}

func TestTheOrderOfBackendsDoesNotMatterToKeys(t *testing.T) {
	c, other := newCluster(t, 1, 1, 1), New("other", &Policy{}, rand.New(rand.NewPCG(1, 2)))
	other.SetMembers([]Member{{Addr: at(2), Weight: 1}, {Addr: at(0), Weight: 1}, {Addr: at(1), Weight: 1}})
	for i, b := range keyed(other, 200) {
		if want := keyed(c, 200)[i]; b != want {
			t.Fatalf("key %d has %v there and %v here", i, b, want)
		}
	}
}

func TestAFurtherTryOfAKeyGoesToAnotherBackend(t *testing.T) {
	c := newCluster(t, 1, 1, 1)
	var tried Tried
	for range 3 {
		b := c.PickKeyed(7, &tried)
		if b == nil || tried.Has(b) {
			t.Fatalf("got %v", b)
		}
		tried.Add(b)
	}
	if b := c.PickKeyed(7, &tried); b != nil {
		t.Errorf("a fourth: %v", b)
	}
}

func TestAFullBackendGivesItsKeysAway(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.SetPolicy(&Policy{MaxInFlight: 1})
	first, second := c.PickKeyed(7, nil), c.PickKeyed(7, nil)
	if first == nil || second == nil || first == second {
		t.Fatalf("got %v and %v", first, second)
	}
	var tried Tried
	if third := c.PickKeyed(7, &tried); third != nil || !tried.Full() {
		t.Errorf("got %v, full: %v", third, tried.Full())
	}
	first.Leave()
	if again := c.PickKeyed(7, nil); again != first {
		t.Errorf("got %v, want %v", again, first)
	}
}

func TestWithNothingUsableKeysDoAsThePolicySays(t *testing.T) {
	c := newCluster(t, 1)
	c.SetState(at(0), Down)
	if b := c.PickKeyed(7, nil); b != nil {
		t.Errorf("got %v", b)
	}
	c.SetPolicy(&Policy{TryWhenAllDown: true})
	if b := c.PickKeyed(7, nil); b == nil {
		t.Error("got none")
	}
}

func TestPickKeyedAllocatesNothing(t *testing.T) {
	c := newCluster(t, 1, 1, 1)
	if got := testing.AllocsPerRun(100, func() { c.PickKeyed(KeyOf("ann"), nil).Leave() }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkPickKeyed(b *testing.B) {
	for _, n := range []int{3, 30} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := New("one", &Policy{}, rand.New(rand.NewPCG(1, 2)))
			weights := make([]int, n)
			c.SetMembers(members(weights...))
			for b.Loop() {
				c.PickKeyed(KeyOf("somebody@example.com"), nil).Leave()
			}
		})
	}
}
