package cluster

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// Whatever fails and whenever: tries are at most 1.2 x requests + 3/s x t + 30.
func TestFurtherTriesDoNotMultiplyAnOutage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seconds := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 7, 50, 1000}), 1, 60).Draw(rt, "requests in each second")
		failing := rapid.SliceOfN(rapid.IntRange(0, 100), len(seconds), len(seconds)).Draw(rt, "percent that fail")
		retries := rapid.IntRange(1, 10).Draw(rt, "retries")
		synctest.Test(t, func(*testing.T) {
			c := New("one", &Policy{}, rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "seed"))))
			c.SetMembers(members(1, 1))
			rng := rand.New(rand.NewPCG(3, 4))
			began, requests, tries := time.Now(), 0, 0
			for second, n := range seconds {
				for range n {
					time.Sleep(time.Second / time.Duration(n))
					requests, tries = requests+1, tries+1
					c.Pick(nil)
					for range retries {
						if rng.IntN(100) >= failing[second] || !c.MayRetry() {
							break
						}
						tries++
					}
				}
				if n == 0 {
					time.Sleep(time.Second)
				}
				c.Tick()
				bound := 1.2*float64(requests) + 3*time.Since(began).Seconds() + 30
				if float64(tries) > bound {
					rt.Fatalf("after %v: %d tries for %d requests, more than %.0f", time.Since(began), tries, requests, bound)
				}
			}
		})
	})
}

// A busy cluster that was well for long has saved no more than ten seconds allow.
func TestTheBudgetForgetsWhatWasSavedLongAgo(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		c := newCluster(t, 1)
		for range 60 { // 60,000 requests, and a second each
			for range 1000 {
				c.Pick(nil)
			}
			time.Sleep(time.Second)
			c.Tick()
		}
		spent := 0
		for c.MayRetry() {
			spent++
		}
		if spent < 1800+30 || spent > 2200+30 {
			t.Errorf("%d further tries at once, want about a fifth of 10,000 requests, and 30", spent)
		}
		time.Sleep(time.Second)
		c.Tick()
		if !c.MayRetry() {
			t.Error("a second later not one is allowed")
		}
	})
}

func TestAQuietClusterMayAlwaysRetryThreeTimesASecond(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		c := newCluster(t, 1)
		for c.MayRetry() {
		}
		for range 100 {
			time.Sleep(time.Second)
			c.Tick()
			n := 0
			for c.MayRetry() {
				n++
			}
			if n != 3 {
				t.Fatalf("%d in a second, want 3", n)
			}
		}
	})
}

func TestConcurrentTriesSpendEachPieceOfTheBudgetOnce(t *testing.T) {
	c := newCluster(t, 1)
	for range 1000 {
		c.Pick(nil)
	}
	var spent atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				if c.MayRetry() {
					spent.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := spent.Load(); n < 200 || n > 200+30+3*10 {
		t.Errorf("%d further tries for 1000 requests, want 200, and 30 or a few more", n)
	}
}

func BenchmarkMayRetry(b *testing.B) {
	c := newCluster(b, 1)
	for b.Loop() {
		c.MayRetry()
	}
}
