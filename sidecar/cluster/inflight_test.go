package cluster

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func limited(t testing.TB, limit int, weights ...int) *Cluster {
	c := newCluster(t, weights...)
	c.SetPolicy(&Policy{MaxInFlight: limit})
	return c
}

func TestPickPassesFullBackendsOver(t *testing.T) {
	c := limited(t, 2, 1, 1, 1)
	turns := pick(c, 6)
	for i := range 3 {
		if turns[at(i)] != 2 {
			t.Errorf("backend %d has %d of 6 places, want its 2", i, turns[at(i)])
		}
	}
	var tried Tried
	if b := c.Pick(&tried); b != nil || !tried.Full() {
		t.Errorf("with all places taken Pick gives %v (full: %t)", b, tried.Full())
	}
	second := c.Backends()[1]
	second.Leave()
	tried.Reset()
	if b := c.Pick(&tried); b != second {
		t.Errorf("one place is free, at %v, and Pick gives %v", second, b)
	}
	if c.Again(second) {
		t.Error("Again gives a place that is not there")
	}
}

func TestNothingIsFullWhenNothingIsUsable(t *testing.T) {
	c := limited(t, 1, 1)
	c.SetState(at(0), Down)
	var tried Tried
	if b := c.Pick(&tried); b != nil || tried.Full() {
		t.Errorf("got %v, full %t", b, tried.Full())
	}
}

func TestATrialIsOneRequestAtATime(t *testing.T) {
	c := newCluster(t, 1)
	c.SetState(at(0), Trial)
	b := c.Pick(nil)
	if b == nil || c.Usable() != 1 {
		t.Fatal("a backend on trial can not be picked")
	}
	if c.Pick(nil) != nil {
		t.Error("a second request was sent to a backend on trial")
	}
	b.Leave()
	if c.Pick(nil) == nil {
		t.Error("the next request was not sent to a backend on trial")
	}
}

func TestTheLimitHoldsAtEveryMoment(t *testing.T) {
	const limit = 3
	c := limited(t, limit, 1, 3, 2)
	under := make(map[*Backend]*atomic.Int64)
	for _, b := range c.Backends() {
		under[b] = new(atomic.Int64)
	}
	var all sync.WaitGroup
	var served atomic.Int64
	for range 16 {
		all.Go(func() {
			for range 3000 {
				b := c.Pick(nil)
				if b == nil {
					continue
				}
				if n := under[b].Add(1); n > limit {
					t.Errorf("%d requests at a time on %v", n, b)
				}
				served.Add(1)
				under[b].Add(-1)
				b.Leave()
			}
		})
	}
	all.Wait()
	if served.Load() == 0 {
		t.Error("nothing was served")
	}
	for _, b := range c.Backends() {
		if n := b.Counters().InFlight.Load(); n != 0 {
			t.Errorf("%d places of %v were not given back", n, b)
		}
	}
}

// Both see the last place free before either takes it, in some of the rounds:
// they start each one together, which is where a check apart from the taking
// gives two places out.
func TestTwoWhoWantTheLastPlaceDoNotBothGetIt(t *testing.T) {
	const rounds = 100_000
	b := limited(t, 1, 1).Backends()[0]
	var arrived, had, left atomic.Int64
	meet := func(at *atomic.Int64, round int64) {
		for at.Add(1); at.Load() < 2*round; {
			runtime.Gosched()
		}
	}
	compete := func() {
		for round := int64(1); round <= rounds; round++ {
			meet(&arrived, round)
			entered := b.enter(1)
			if entered && had.Add(1) > 1 {
				t.Errorf("round %d: the one place was given out twice", round)
			}
			meet(&left, round)
			if entered {
				had.Add(-1)
				b.Leave()
			}
		}
	}
	var both sync.WaitGroup
	both.Go(compete)
	both.Go(compete)
	both.Wait()
}

func BenchmarkPickWithLimit(b *testing.B) {
	c := limited(b, 1024, 1, 1, 1)
	b.ReportAllocs()
	for b.Loop() {
		c.Pick(nil).Leave()
	}
}

func BenchmarkPickOfFull(b *testing.B) {
	c := limited(b, 1, 1000, 999, 1)
	pick(c, 3)
	for b.Loop() {
		c.Pick(nil)
	}
}
