package proxy

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// handed counts how a test's exchanges left their tickets.
type handed struct {
	left, taken [guardTasks * guardRounds]atomic.Int32
}

const (
	guardTasks  = 48
	guardRounds = 30
)

func TestEachTicketIsWonExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tasks := rapid.IntRange(1, guardTasks).Draw(rt, "tasks")
		lifetime := time.Duration(rapid.IntRange(0, 3).Draw(rt, "lifetime")) * time.Millisecond
		seed := rapid.Uint64().Draw(rt, "seed")

		g, now, counts := newGuard(), new(atomic.Int64), new(handed)
		numbers := make(map[*exchange]int)
		exchanges := make([]*exchange, tasks*guardRounds)
		for i := range exchanges {
			exchanges[i] = new(exchange)
			numbers[exchanges[i]] = i
		}
		var working, watching sync.WaitGroup
		over := make(chan struct{})
		for range 2 { // two that take: more than the guard ever has
			watching.Go(func() {
				for {
					g.takeOverdue(time.Duration(now.Load()), func(x *exchange) { counts.taken[numbers[x]].Add(1) })
					select {
					case <-over:
						return
					default:
						now.Add(int64(100 * time.Microsecond))
					}
				}
			})
		}
		var refused atomic.Int32
		for task := range tasks {
			working.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(task)))
				for round := range guardRounds {
					i := task*guardRounds + round
					ticket, ok := g.enter(exchanges[i], time.Duration(now.Load())+lifetime)
					if !ok {
						refused.Add(1)
						counts.left[i].Add(1)
						continue
					}
					for range rng.IntN(200) {
						_ = now.Load()
					}
					if g.leave(ticket) {
						counts.left[i].Add(1)
					}
				}
			})
		}
		working.Wait()
		close(over)
		watching.Wait()
		for i := range exchanges {
			if left, taken := counts.left[i].Load(), counts.taken[i].Load(); left+taken != 1 {
				rt.Errorf("exchange %d was left %d times and taken %d times", i, left, taken)
			}
		}
		if n := refused.Load(); n > 0 {
			rt.Errorf("%d tickets were refused to %d tasks", n, tasks)
		}
		if g.takeOverdue(time.Hour, func(*exchange) {}) {
			rt.Errorf("a slot is not free again")
		}
	})
}

func TestAStuckRouteKeepsItsSlotUntilItReturns(t *testing.T) {
	g := newGuard()
	tickets := make([]ticket, guardSlots)
	for i := range tickets {
		issued, ok := g.enter(new(exchange), time.Duration(i)*time.Millisecond)
		if !ok {
			t.Fatalf("no ticket for exchange %d", i)
		}
		tickets[i] = issued
	}
	taken := 0
	g.takeOverdue(9*time.Millisecond, func(*exchange) { taken++ })
	if taken != 10 {
		t.Errorf("%d tickets were overdue, want 10", taken)
	}
	if _, ok := g.enter(new(exchange), 0); ok {
		t.Error("a ticket was issued while every slot is held")
	}
	if g.leave(tickets[3]) {
		t.Error("a ticket that was taken could be handed in")
	}
	if _, ok := g.enter(new(exchange), 0); !ok {
		t.Error("a Route that returned late still holds its slot")
	}
	if !g.leave(tickets[12]) {
		t.Error("a ticket in time could not be handed in")
	}
}

func TestTheGuardSleepsBesideRoutesThatAreStuckForEver(t *testing.T) {
	g := newGuard()
	if _, ok := g.enter(new(exchange), 0); !ok {
		t.Fatal("no ticket")
	}
	if !g.takeOverdue(time.Second, func(*exchange) {}) {
		t.Error("a ticket was out, and the guard did not see it")
	}
	if g.takeOverdue(time.Hour, func(*exchange) { t.Error("taken twice") }) {
		t.Error("the guard stays awake for a ticket that it has taken")
	}
}
