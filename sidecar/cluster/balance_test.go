package cluster

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func balances() map[string]Balance {
	return map[string]Balance{"round_robin": RoundRobin, "least_requests": LeastRequests, "random_two": RandomTwo, "hash": Hash}
}

func anyBalance() *rapid.Generator[Balance] {
	return rapid.SampledFrom([]Balance{RoundRobin, LeastRequests, RandomTwo, Hash})
}

func balanced(balance Balance, seed uint64, weights ...int) *Cluster {
	c := New("one", &Policy{Balance: balance}, rand.New(rand.NewPCG(seed, 0)))
	c.SetMembers(members(weights...))
	return c
}

// finished picks, and gives the place back at once: nothing is ever under way.
func finished(c *Cluster, times int) map[netip.AddrPort]int {
	turns := map[netip.AddrPort]int{}
	for range times {
		b := c.Pick(nil)
		turns[b.Addr()]++
		b.Leave()
	}
	return turns
}

func TestWhoeverIsIdleGetsTheShareOfItsWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		balance := anyBalance().Draw(t, "balance")
		weights := rapid.SliceOfN(rapid.IntRange(1, 20), 1, 12).Draw(t, "weights")
		c := balanced(balance, rapid.Uint64().Draw(t, "seed"), weights...)
		sum := 0
		for _, w := range weights {
			sum += w
		}
		const picks = 20_000
		slack := 5.0
		turns := finished(c, picks)
		for i, w := range weights {
			part := float64(w) / float64(sum)
			if balance == RandomTwo {
				slack = 6 * math.Sqrt(picks*part*(1-part)) // deviations: one such in 500 million
			}
			if diff := float64(turns[at(i)]) - picks*part; math.Abs(diff) > slack {
				t.Fatalf("app-%d of weight %d has %d of %d requests, want %.0f", i, w, turns[at(i)], picks, picks*part)
			}
		}
	})
}

func TestRequestsUnderWayAreSpreadByWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		balance := rapid.SampledFrom([]Balance{LeastRequests, RandomTwo}).Draw(t, "balance")
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 12).Draw(t, "weights")
		c := balanced(balance, rapid.Uint64().Draw(t, "seed"), weights...)
		sum := 0
		for _, w := range weights {
			sum += w
		}
		const each = 100 // for a weight of 1
		pick(c, each*sum)
		for i, b := range c.Backends() {
			// Chance alone would stray by some sqrt(100): 40 and more of 100.
			if got := float64(b.Counters().InFlight.Load()) / float64(weights[i]); math.Abs(got-each) > 12 {
				t.Fatalf("%v of weight %d has %.1f requests for each unit of it, want about %d", b, weights[i], got, each)
			}
		}
	})
}

// closed is what becomes of so many clients, each of which sends its next request
// when the last one is answered: how many requests each backend has answered, where
// one takes it as many ticks as took says.
func closed(c *Cluster, clients, ticks int, took []int) []int {
	type request struct {
		backend *Backend
		until   int
	}
	under := make([]request, clients)
	answered := make([]int, len(took))
	for now := range ticks {
		for i := range under {
			r := &under[i]
			if r.backend != nil && r.until > now {
				continue
			}
			if r.backend != nil {
				answered[r.backend.addr.Addr().As4()[3]]++
				r.backend.Leave()
			}
			r.backend = c.Pick(nil)
			r.until = now + took[r.backend.addr.Addr().As4()[3]]
		}
	}
	return answered
}

func TestASlowBackendDoesNotGatherTheRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "backends")
		slower := rapid.IntRange(10, 30).Draw(t, "times slower")
		seed := rapid.Uint64().Draw(t, "seed")
		weights, took := make([]int, n), make([]int, n)
		for i := range took {
			took[i] = 10
		}
		took[0] *= slower
		total := func(balance Balance) (all int) {
			for _, answered := range closed(balanced(balance, seed, weights...), 4*n, 5000, took) {
				all += answered
			}
			return all
		}
		inTurn := total(RoundRobin)
		for name, balance := range map[string]Balance{"least_requests": LeastRequests, "random_two": RandomTwo} {
			// In turn all wait for the slow one: n requests in the time of one of its own.
			if got := total(balance); float64(got) < 1.3*float64(inTurn) {
				t.Fatalf("%s: %d answers, round_robin: %d", name, got, inTurn)
			}
		}
	})
}

func TestABackendThatFailsAtOnceHasTwoSharesAtMost(t *testing.T) {
	for _, balance := range []Balance{LeastRequests, RandomTwo} {
		for n := 3; n <= 10; n++ {
			c := balanced(balance, uint64(n), make([]int, n)...)
			const picks = 5000
			for range picks {
				if b := c.Pick(nil); b.Addr() == at(0) {
					b.Leave() // the others answer never
				}
			}
			failing := picks - sumInFlight(c)
			if most := 2.3 * picks / float64(n); float64(failing) > most {
				t.Errorf("balance %d: one of %d backends has %d of %d requests, want %.0f at most", balance, n, failing, picks, most)
			}
		}
	}
}

func sumInFlight(c *Cluster) (sum int) {
	for _, b := range c.Backends() {
		sum += int(b.Counters().InFlight.Load())
	}
	return sum
}

// Whatever the balance: what must never be picked, what has to be, and in which
// order of resort.
func TestEveryBalanceKeepsTheRulesOfPick(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 8).Draw(t, "weights")
		states := rapid.SliceOfN(rapid.SampledFrom([]State{Up, Up, Suspect, Down, Trial, Draining}), len(weights), len(weights)).Draw(t, "states")
		policy := &Policy{
			Balance:        anyBalance().Draw(t, "balance"),
			MaxInFlight:    rapid.IntRange(0, 3).Draw(t, "limit"),
			TryWhenAllDown: rapid.Bool().Draw(t, "try when all down"),
		}
		keyed := rapid.Bool().Draw(t, "keyed")
		c := New("one", policy, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		c.SetMembers(members(weights...))
		for i, s := range states {
			c.SetState(at(i), s)
		}
		var under []*Backend
		for range rapid.IntRange(1, 30).Draw(t, "requests") {
			var tried Tried
			for range rapid.IntRange(1, 3).Draw(t, "tries") {
				open := openBackends(c, policy, &tried)
				b := pickEither(c, keyed, &tried)
				if b == nil && len(open) > 0 {
					t.Fatalf("nobody was picked, and %v could have been", open)
				}
				if b == nil {
					break
				}
				if _, ok := open[b]; !ok {
					t.Fatalf("%v was picked, which is %v or full or was tried", b, b.State())
				}
				for other := range open {
					if resort(c, other, keyed) < resort(c, b, keyed) {
						t.Fatalf("%v was picked, which is %v, and %v is left, which is %v", b, b.State(), other, other.State())
					}
				}
				tried.Add(b)
				under = append(under, b)
			}
			if len(under) > 0 && rapid.Bool().Draw(t, "one ends") {
				under[0].Leave()
				under = under[1:]
			}
		}
	})
}

func pickEither(c *Cluster, keyed bool, tried *Tried) *Backend {
	if keyed {
		return c.PickKeyed(c.turn.Load(), tried)
	}
	return c.Pick(tried)
}

// openBackends are those that may be picked.
func openBackends(c *Cluster, policy *Policy, tried *Tried) map[*Backend]bool {
	open := make(map[*Backend]bool)
	for _, b := range c.Backends() {
		down := b.State() == Down && (c.Usable() > 0 || !policy.TryWhenAllDown)
		under, limit := b.counters.InFlight.Load(), int64(policy.MaxInFlight)
		full := limit > 0 && under >= limit || b.State() == Trial && under > 0
		if !down && !full && !tried.Has(b) {
			open[b] = true
		}
	}
	return open
}

// resort is the place of a backend in the order in which they are picked. A key
// stays where it is while its backend is only suspect.
func resort(c *Cluster, b *Backend, keyed bool) int {
	staying, suspects := 0, 0
	for _, other := range c.Backends() {
		switch other.State() {
		case Up, Trial:
			staying++
		case Suspect:
			staying++
			suspects++
		}
	}
	switch {
	case b.State() == Draining:
		return 2
	case b.State() == Suspect && 2*suspects <= staying && !keyed:
		return 1
	}
	return 0
}

func TestEveryBalanceStartsAReturningBackendSlowly(t *testing.T) {
	for name, balance := range balances() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const picks = 20_000
				c := balanced(balance, 1, 1, 1)
				c.SetPolicy(&Policy{Balance: balance, SlowStart: 20 * time.Second})
				c.SetState(at(0), Down)
				c.SetState(at(0), Up)
				for _, want := range []float64{1. / 21, 10. / 30, 1. / 2} {
					if got := float64(finished(c, picks)[at(0)]) / picks; math.Abs(got-want) > 0.02 {
						t.Errorf("the share is %.3f, want %.3f", got, want)
					}
					for range 10 {
						time.Sleep(time.Second)
						c.Tick()
					}
				}
			})
		})
	}
}

// Busy as the others are, the one that has just returned is not given more than
// what its share of them is.
func TestAReturningBackendIsNotTakenForAnIdleOne(t *testing.T) {
	for name, balance := range map[string]Balance{"least_requests": LeastRequests, "random_two": RandomTwo} {
		c := balanced(balance, 1, 1, 1, 1)
		c.SetPolicy(&Policy{Balance: balance, SlowStart: time.Hour})
		c.SetState(at(0), Down)
		pick(c, 200)
		c.SetState(at(0), Up)
		pick(c, 100)
		if n := c.Backends()[0].Counters().InFlight.Load(); n < 1 || n > 10 {
			t.Errorf("%s: a backend at a twentieth of its share has %d of 100 requests while others have 100 each", name, n)
		}
	}
}

func TestAnotherBalanceTakesOverWhereTheFirstHasStopped(t *testing.T) {
	c := balanced(RoundRobin, 1, 1, 1, 1)
	pick(c, 30)
	first := c.Backends()[0]
	for range 10 {
		first.Leave()
	}
	c.SetPolicy(&Policy{Balance: LeastRequests})
	pick(c, 10)
	if n := first.Counters().InFlight.Load(); n < 6 {
		t.Errorf("the idle one of three has %d of the next 10 requests", n)
	}
	for _, balance := range balances() {
		before := c.turn.Load()
		c.SetPolicy(&Policy{Balance: balance})
		pick(c, 5)
		if got := c.turn.Load() - before; got != 5 {
			t.Errorf("balance %d: %d turns for 5 requests: the retry budget counts by them", balance, got)
		}
	}
}

func TestTwoSidecarsDrawDifferently(t *testing.T) {
	c, other := balanced(RandomTwo, 1, 1, 1, 1, 1), balanced(RandomTwo, 2, 1, 1, 1, 1)
	same := 0
	for range 400 {
		if c.Pick(nil).Addr() == other.Pick(nil).Addr() {
			same++
		}
	}
	if same < 50 || same > 160 {
		t.Errorf("%d of 400 requests go to the same of 4 backends, want about 100", same)
	}
}

func TestPickAllocatesNothingWhateverTheBalance(t *testing.T) {
	for name, balance := range balances() {
		c := balanced(balance, 1, 3, 1, 1)
		if got := testing.AllocsPerRun(100, func() { c.Pick(nil).Leave() }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func BenchmarkBalance(b *testing.B) {
	for name, balance := range balances() {
		for _, n := range []int{3, 200} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				c := balanced(balance, 1, make([]int, n)...)
				for b.Loop() {
					c.Pick(nil).Leave()
				}
			})
		}
	}
}
