package cluster

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func newCluster(t testing.TB, weights ...int) *Cluster {
	t.Helper()
	c := New("one", &Policy{}, rand.New(rand.NewPCG(1, 2)))
	c.SetMembers(members(weights...))
	return c
}

// members are app-0:8080 at 10.0.0.0:8080, app-1:8080 at 10.0.0.1:8080 ...
func members(weights ...int) []Member {
	all := make([]Member, len(weights))
	for i, w := range weights {
		all[i] = Member{Name: fmt.Sprintf("app-%d:8080", i), Addr: at(i), Weight: w}
	}
	return all
}

func at(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 8080)
}

// pick notes who had how many turns.
func pick(c *Cluster, times int) map[netip.AddrPort]int {
	turns := map[netip.AddrPort]int{}
	for range times {
		if b := c.Pick(nil); b != nil {
			turns[b.Addr()]++
		}
	}
	return turns
}

func TestPickTakesTurnsAmongTheUsable(t *testing.T) {
	c := newCluster(t, 1, 1, 1)
	c.SetState(at(1), Down)
	turns := pick(c, 10)
	if turns[at(0)] != 5 || turns[at(2)] != 5 || len(turns) != 2 {
		t.Errorf("turns %v, want 5 each for the two that are up", turns)
	}
	c.SetState(at(1), Up)
	if turns := pick(c, 9); len(turns) != 3 {
		t.Errorf("turns %v, want the recovered backend among them", turns)
	}
}

func TestSharesAndSpacingHoldForAnyWeightsAndAnyDeadSubset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.IntRange(1, 4)
		weights := rapid.SliceOfN(rapid.OneOf(few, rapid.IntRange(1, 1000)), 1, 12).Draw(t, "weights")
		dead := rapid.SliceOfN(rapid.Bool(), len(weights), len(weights)).Draw(t, "dead")
		seed := rapid.Uint64().Draw(t, "seed")

		c := New("one", &Policy{}, rand.New(rand.NewPCG(seed, 0)))
		c.SetMembers(members(weights...))
		usable, sum := 0, 0
		equals := map[int]int{}
		for i, w := range weights {
			if dead[i] {
				c.SetState(at(i), Down)
				continue
			}
			usable++
			sum += w
			equals[w]++
		}
		if c.Usable() != usable || c.Total() != len(weights) {
			t.Fatalf("usable %d of %d, want %d of %d", c.Usable(), c.Total(), usable, len(weights))
		}
		if usable == 0 {
			if b := c.Pick(nil); b != nil {
				t.Fatalf("picked %v though all are down", b)
			}
			return
		}

		const picks = 10_000
		turns := map[netip.AddrPort]int{}
		var last *Backend
		for range picks {
			b := c.Pick(nil)
			if b.State() == Down {
				t.Fatalf("picked %v, which is down", b)
			}
			turns[b.Addr()]++
			if weight := weights[b.Addr().Addr().As4()[3]]; b == last && equals[weight] > 1 {
				t.Fatalf("picked %v twice in a row though another has weight %d, too", b, weight)
			}
			last = b
		}
		for i, w := range weights {
			if dead[i] {
				continue
			}
			// Closer than asked for: within 1 % of the picks would be 100.
			share := float64(picks) * float64(w) / float64(sum)
			if diff := float64(turns[at(i)]) - share; diff > 5 || diff < -5 {
				t.Fatalf("app-%d of weight %d had %d turns of %d, want %.1f", i, w, turns[at(i)], picks, share)
			}
		}
	})
}

func TestAnyTriesReachEveryUsableBackendOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 50), 1, 12).Draw(t, "weights")
		states := rapid.SliceOfN(rapid.SampledFrom([]State{Up, Suspect, Down}), len(weights), len(weights)).Draw(t, "states")
		try := rapid.Bool().Draw(t, "try when all down")
		c := New("one", &Policy{TryWhenAllDown: try}, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		c.SetMembers(members(weights...))
		for i, s := range states {
			c.SetState(at(i), s)
		}
		want := c.Usable()
		if want == 0 && try {
			want = c.Total()
		}

		var tried Tried
		for b := c.Pick(&tried); b != nil; b = c.Pick(&tried) {
			if tried.Has(b) || tried.Len() == MaxTries {
				t.Fatalf("picked %v after %d tries", b, tried.Len())
			}
			tried.Add(b)
		}
		if tried.Len() != min(want, MaxTries) {
			t.Fatalf("%d tries, want %d", tried.Len(), min(want, MaxTries))
		}
	})
}

func TestSuspectsAreTheLastResort(t *testing.T) {
	c := newCluster(t, 1, 1, 1, 1)
	c.SetState(at(0), Suspect)
	c.SetState(at(1), Suspect)
	if turns := pick(c, 10); turns[at(2)] != 5 || turns[at(3)] != 5 {
		t.Errorf("turns %v, want only those beyond doubt", turns)
	}

	var tried Tried
	for range 2 {
		tried.Add(c.Pick(&tried))
	}
	if b := c.Pick(&tried); b == nil || b.State() != Suspect {
		t.Errorf("picked %v, want a suspect when all others were tried", b)
	}
	c.SetState(at(2), Down)
	c.SetState(at(3), Down)
	if turns := pick(c, 10); turns[at(0)] != 5 || turns[at(1)] != 5 {
		t.Errorf("turns %v, want the suspects when nobody else is left", turns)
	}
}

func TestDoubtAboutMostOfAClusterChangesNothing(t *testing.T) {
	c := newCluster(t, 1, 1, 1, 1)
	for i := range 3 {
		c.SetState(at(i), Suspect)
	}
	if turns := pick(c, 20); len(turns) != 4 || turns[at(3)] != 5 {
		t.Errorf("turns %v, want 5 for each of the four", turns)
	}
	if c.Usable() != 4 {
		t.Errorf("usable %d, want suspects among the 4", c.Usable())
	}
}

func TestPolicyDecidesWhatHappensWhenAllAreDown(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.SetState(at(0), Down)
	c.SetState(at(1), Down)
	if b := c.Pick(nil); b != nil {
		t.Errorf("picked %v, want none", b)
	}
	c.SetPolicy(&Policy{TryWhenAllDown: true})
	if turns := pick(c, 4); turns[at(0)] != 2 || turns[at(1)] != 2 {
		t.Errorf("turns %v, want all to be tried", turns)
	}
	c.SetMembers(nil)
	if b := c.Pick(nil); b != nil {
		t.Errorf("picked %v from an empty cluster", b)
	}
}

func TestABackendSurvivesWhateverKeepsItsAddress(t *testing.T) {
	c := newCluster(t, 1, 1, 1)
	before := c.Backends()
	before[1].Counters().Requests.Add(7)
	c.SetState(at(1), Down)

	left := c.SetMembers([]Member{
		{Name: "new:1", Addr: at(9)},
		{Name: "renamed:8080", Addr: at(1), Weight: 5},
		{Name: "app-2:8080", Addr: at(2)},
	})
	after := c.Backends()
	if after[1] != before[1] || after[2] != before[2] {
		t.Error("a backend whose address stayed is another one now")
	}
	if after[1].Counters().Requests.Load() != 7 || after[1].State() != Down {
		t.Error("counters or state were lost")
	}
	if after[1].Name() != "renamed:8080" {
		t.Errorf("name %q, want the new one", after[1].Name())
	}
	if !slices.Equal(left, before[:1]) {
		t.Errorf("left %v, want %v", left, before[:1])
	}

	c.SetMembers(members(1, 1, 1))
	if b := c.Backends()[0]; b == before[0] || b.State() != Up {
		t.Error("a backend that left and returned is not a new one")
	}
}

func TestMembersWithOneAddressAreOneBackend(t *testing.T) {
	c := newCluster(t)
	c.SetMembers([]Member{
		{Name: "a:8080", Addr: at(0), Weight: 1},
		{Name: "b:8080", Addr: at(1), Weight: 1},
		{Name: "alias:8080", Addr: at(0), Weight: 2},
	})
	if c.Total() != 2 {
		t.Fatalf("%d backends, want 2", c.Total())
	}
	if turns := pick(c, 8); turns[at(0)] != 6 {
		t.Errorf("turns %v, want 6 of 8 for the one that is named twice", turns)
	}
	if name := c.Backends()[0].Name(); name != "a:8080" {
		t.Errorf("name %q, want the first", name)
	}
}

func TestTurnsGoOnAfterAChange(t *testing.T) {
	c := newCluster(t, 1, 1, 1, 1)
	first := c.Pick(nil)
	for range 1000 { // the rotation is replaced before every pick
		c.SetState(at(3), Down)
		c.SetState(at(3), Up)
		b := c.Pick(nil)
		if b == first {
			t.Fatal("the same backend twice in a row: the position was lost")
		}
		first = b
	}
}

func TestSidecarsStartAnywhere(t *testing.T) {
	starts := map[netip.AddrPort]bool{}
	for seed := range uint64(64) {
		c := New("one", &Policy{}, rand.New(rand.NewPCG(seed, seed)))
		c.SetMembers(members(1, 1, 1))
		starts[c.Pick(nil).Addr()] = true
	}
	if len(starts) != 3 {
		t.Errorf("64 sidecars started with %v only", starts)
	}
}

func TestBackendsSayWhoTheyAre(t *testing.T) {
	c := newCluster(t)
	c.SetMembers([]Member{{Name: "app-a:8080", Addr: at(7)}, {Name: "10.0.0.8:8080", Addr: at(8)}})
	for i, want := range []string{"app-a:8080 (10.0.0.7:8080)", "10.0.0.8:8080"} {
		b := c.Backends()[i]
		if b.String() != want || b.ClusterName() != "one" {
			t.Errorf("%q of %q, want %q of one", b.String(), b.ClusterName(), want)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	c := newCluster(t, 3, 2, 1, 1)
	c.SetState(at(0), Suspect)
	var tried Tried
	allocations := testing.AllocsPerRun(1000, func() {
		tried.Reset()
		for b := c.Pick(&tried); b != nil; b = c.Pick(&tried) {
			tried.Add(b)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want 0", allocations)
	}
}

func TestCountersShareNoCacheLine(t *testing.T) {
	var b Backend
	begin := unsafe.Offsetof(b.counters) + unsafe.Offsetof(b.counters.Requests)
	end := unsafe.Offsetof(b.counters) + unsafe.Offsetof(b.counters.Retried) + unsafe.Sizeof(b.counters.Retried)
	if before := begin - unsafe.Offsetof(b.state); before < cacheLine {
		t.Errorf("%d bytes before the counters, want %d", before, cacheLine)
	}
	if after := unsafe.Sizeof(b) - end; after < cacheLine {
		t.Errorf("%d bytes behind the counters, want %d", after, cacheLine)
	}
}

func TestPicksGoOnWhileEverythingChanges(t *testing.T) {
	c := newCluster(t, 1, 2, 3, 4)
	stop := make(chan struct{})
	var pickers, changers sync.WaitGroup
	for range 4 {
		pickers.Go(func() {
			for range 20_000 {
				var tried Tried
				for b := c.Pick(&tried); b != nil; b = c.Pick(&tried) {
					_ = b.String()
					b.Counters().Requests.Add(1)
					tried.Add(b)
				}
				_, _ = c.Usable(), c.Policy().Retries
			}
		})
	}
	change := func(do func(rng *rand.Rand)) {
		changers.Go(func() {
			rng := rand.New(rand.NewPCG(3, 4))
			for {
				select {
				case <-stop:
					return
				default:
					do(rng)
				}
			}
		})
	}
	change(func(rng *rand.Rand) { c.SetState(at(rng.IntN(5)), State(rng.IntN(3))) })
	change(func(rng *rand.Rand) { c.SetMembers(members(1, 2, 3, 4)[:1+rng.IntN(4)]) })
	change(func(rng *rand.Rand) { c.SetPolicy(&Policy{TryWhenAllDown: rng.IntN(2) == 0}) })

	pickers.Wait()
	close(stop)
	changers.Wait()
}

func TestConcurrentPicksShareExactly(t *testing.T) {
	c := newCluster(t, 3, 1)
	var pickers sync.WaitGroup
	for range 4 {
		pickers.Go(func() {
			for range 1000 {
				c.Pick(nil).Counters().Requests.Add(1)
			}
		})
	}
	pickers.Wait()
	a, b := c.Backends()[0].Counters().Requests.Load(), c.Backends()[1].Counters().Requests.Load()
	if a != 3000 || b != 1000 {
		t.Errorf("%d and %d turns, want 3000 and 1000", a, b)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{2, 12, 200} {
		b.Run(fmt.Sprintf("backends=%d", n), func(b *testing.B) {
			c := newCluster(b, slices.Repeat([]int{1}, n)...)
			b.ReportAllocs()
			for b.Loop() {
				c.Pick(nil)
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		c := newCluster(b, 1, 1, 1, 1)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			var tried Tried
			for pb.Next() {
				c.Pick(&tried)
			}
		})
	})
	b.Run("second try", func(b *testing.B) {
		c := newCluster(b, 1, 1, 1, 1)
		var tried Tried
		tried.Add(c.Pick(nil))
		b.ReportAllocs()
		for b.Loop() {
			c.Pick(&tried)
		}
	})
}

func BenchmarkChange(b *testing.B) {
	weights := make([]int, 100)
	for i := range weights {
		weights[i] = 100 + i
	}
	c := newCluster(b, weights...)
	b.ReportAllocs()
	for b.Loop() {
		c.SetState(at(0), Down)
		c.SetState(at(0), Up)
	}
}

func TestAFurtherTryDoesNotTakeTheTurnOfTheNextRequest(t *testing.T) {
	c := New("one", &Policy{}, rand.New(rand.NewPCG(1, 2)))
	c.SetMembers([]Member{{Name: "a", Addr: at(1), Weight: 1}, {Name: "b", Addr: at(2), Weight: 1}})
	first := c.Pick(nil)
	for i := range 10 {
		var tried Tried
		b := c.Pick(&tried)
		if same := b == first; same != (i%2 == 1) {
			t.Fatalf("request %d begins with %s: the turns do not alternate", i, b)
		}
		tried.Add(b)
		if other := c.Pick(&tried); other == nil || other == b {
			t.Fatalf("the further try of request %d got %v", i, other)
		}
	}
}
