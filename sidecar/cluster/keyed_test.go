package cluster

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

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

// Whoever gets more weight takes keys from all, and nobody else moves any; and the
// other way round.
func TestMoreWeightMovesKeysToThatBackendAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 8).Draw(t, "weights")
		i := rapid.IntRange(0, len(weights)-1).Draw(t, "which")
		c := New("one", &Policy{}, rand.New(rand.NewPCG(1, 2)))
		c.SetMembers(members(weights...))
		before := keyed(c, 300)
		weights[i] += rapid.IntRange(1, 20).Draw(t, "more")
		c.SetMembers(members(weights...))
		for key, now := range keyed(c, 300) {
			if now != before[key] && now != at(i) {
				t.Fatalf("key %d moved from %v to %v, and neither has more weight", key, before[key], now)
			}
		}
	})
}

// Step by step a backend that has returned has its keys again, and none but its own.
func TestAReturningBackendGetsItsKeysLittleByLittle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 8).Draw(rt, "weights")
		slow := time.Duration(rapid.IntRange(2, 60).Draw(rt, "slow start")) * time.Second
		synctest.Test(t, func(*testing.T) {
			c := newCluster(t, weights...)
			c.SetPolicy(&Policy{Balance: Hash, SlowStart: slow})
			const keys = 2000
			own := keyed(c, keys)
			sum := 0.0
			for _, w := range weights {
				sum += float64(w)
			}
			c.SetState(at(0), Down)
			last := keyed(c, keys)
			c.SetState(at(0), Up)
			for began := time.Now(); ; c.Tick() {
				now, has := keyed(c, keys), 0
				for key := range now {
					if now[key] == at(0) {
						has++
					}
					if now[key] != last[key] && (now[key] != at(0) || own[key] != at(0)) {
						rt.Fatalf("key %d moved from %v to %v; it is %v's", key, last[key], now[key], own[key])
					}
				}
				last = now
				since := time.Since(began)
				w := float64(weights[0]) * float64(rampStep(since, slow)) / rampSteps
				part := w / (w + sum - float64(weights[0]))
				if stray := 6 * math.Sqrt(keys*part*(1-part)); math.Abs(float64(has)-keys*part) > stray+1 {
					rt.Fatalf("after %v of %v it has %d of %d keys, want about %.0f", since, slow, has, keys, keys*part)
				}
				if since >= slow {
					break
				}
				time.Sleep(time.Second)
			}
			if !slices.Equal(last, own) {
				rt.Fatal("in the end not everybody has the own keys")
			}
		})
	})
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
