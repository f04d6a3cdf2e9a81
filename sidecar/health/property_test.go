package health

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"outrider/sidecar/cluster"
)

// seeds are those of so many random histories; RULE_SEED repeats one.
func seeds(t *testing.T, n int) []uint64 {
	t.Helper()
	if text := os.Getenv("RULE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{seed}
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = rand.Uint64()
	}
	return all
}

// histories runs a property on random histories, each in a bubble of its own.
func histories(t *testing.T, n int, property func(*testing.T, *rand.Rand)) {
	t.Helper()
	for _, seed := range seeds(t, n) {
		t.Run(fmt.Sprintf("RULE_SEED=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { property(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

// episode is a time during which a target was not up.
type episode struct {
	from, to time.Time
	state    State
}

// observed follows a Monitor's verdicts into a real cluster.
type observed struct {
	mu       sync.Mutex
	cluster  *cluster.Cluster
	current  map[Key]*episode
	episodes map[Key][]episode
}

func (o *observed) change(c Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cluster.SetState(c.Addr, map[State]cluster.State{
		Up: cluster.Up, Suspect: cluster.Suspect, Down: cluster.Down, Trial: cluster.Trial, Draining: cluster.Draining,
	}[c.To])
	if e := o.current[c.Key]; e != nil {
		e.to = time.Now()
		o.episodes[c.Key] = append(o.episodes[c.Key], *e)
		delete(o.current, c.Key)
	}
	if c.To != Up {
		o.current[c.Key] = &episode{from: time.Now(), state: c.To}
	}
}

const properMembers = 5

// clusterOf has the first n targets as members.
func clusterOf(n int, tryWhenAllDown bool) *cluster.Cluster {
	c := cluster.New("one", &cluster.Policy{TryWhenAllDown: tryWhenAllDown}, rand.New(rand.NewPCG(1, 2)))
	var members []cluster.Member
	for i := 1; i <= n; i++ {
		members = append(members, cluster.Member{Name: key(i).Addr.String(), Addr: key(i).Addr, Weight: 1})
	}
	c.SetMembers(members)
	return c
}

// follow runs a Monitor over targets, and a cluster that does what it says.
func follow(t *testing.T, rng *rand.Rand, checkers ...Checker) (*Monitor, *observed) {
	t.Helper()
	o := &observed{cluster: clusterOf(len(checkers), false), current: map[Key]*episode{}, episodes: map[Key][]episode{}}
	var targets []Target
	for i, c := range checkers {
		targets = append(targets, shared(i+1, c))
	}
	m := New(Options{
		OnChange: o.change, Rand: rand.New(rand.NewPCG(rng.Uint64(), 3)), Local: true,
		Publish: func(Subject, ClaimState) {}, Hearing: func() Hearing { return Hearing{Peers: 5, Most: 5} },
	})
	m.Set(targets)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return m, o
}

// anyClaim is one as the worst of peers could make it: what they say has nothing to do
// with what is, comes in any order and as often as they like, and is as old as they say.
func anyClaim(rng *rand.Rand) Claim {
	i := 1 + rng.IntN(properMembers)
	kinds := []ClaimKind{ByTCP, ByTCP, ByTraffic, ByTLS, ByHTTP, ByOwner, 99}
	c := claim(i, rng.Uint64N(6), []ClaimState{ClaimedUp, ClaimedDown, ClaimedDown, ClaimedDown, ClaimedDraining}[rng.IntN(5)], kinds[rng.IntN(len(kinds))])
	c.Made = time.Now().Add(time.Duration(rng.Int64N(int64(2*time.Hour))) - time.Hour)
	c.From = []netip.Addr{key(i).Addr.Addr(), netip.MustParseAddr("10.9.9.9"), {}}[rng.IntN(3)]
	if rng.IntN(8) == 0 {
		c.Scope = "elsewhere"
	}
	return c
}

// Bounded harm: a backend that answers our checks within T is never out, and is spared
// no longer than for what is left of a check under way, the spread and a check, once
// in each hold-down; and the cluster always has somebody to send requests to.
func TestNoSetOfMessagesTakesAWorkingBackendOut(t *testing.T) {
	const longest = 50 * time.Millisecond // T
	histories(t, 20, func(t *testing.T, rng *rand.Rand) {
		var checkers []Checker
		for range properMembers {
			checkers = append(checkers, &farEnd{takes: time.Duration(rng.Int64N(int64(longest)))})
		}
		m, o := follow(t, rng, checkers...)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			for range 1 + rng.IntN(20) {
				c := anyClaim(rng)
				m.Hear(c)
				if rng.IntN(10) == 0 {
					m.Forget(c.Observer, c.Subject)
				}
			}
			synctest.Wait()
			b := o.cluster.Pick(nil)
			if b == nil {
				t.Fatal("nobody is left to pick")
			}
			b.Leave()
			time.Sleep(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		for k, all := range o.episodes {
			var last time.Time
			for _, e := range all {
				switch span := e.to.Sub(e.from); {
				case e.state == Down:
					t.Fatalf("%v was down for %v", k.Addr, span)
				case e.state == Suspect && span > 2*longest+maxSpread:
					t.Fatalf("%v was a suspect for %v", k.Addr, span)
				case e.state == Suspect && !last.IsZero() && e.from.Sub(last) < firstHold:
					// A claim that was taken back before the check ended leaves no hold-down.
					continue
				}
				if e.state == Suspect {
					last = e.to
				}
			}
		}
	})
}

// While claims stand, and nobody takes them back, the holds double.
func TestStandingClaimsCostOneCheckInEachHoldDown(t *testing.T) {
	histories(t, 5, func(t *testing.T, rng *rand.Rand) {
		m, o := follow(t, rng, &farEnd{takes: time.Millisecond}, &farEnd{}, &farEnd{})
		began := time.Now()
		for time.Since(began) < 10*time.Minute {
			for observer := range uint64(5) {
				m.Hear(claim(1, observer, ClaimedDown, ByTCP))
			}
			time.Sleep(time.Duration(1+rng.IntN(100)) * time.Millisecond)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		all := o.episodes[key(1)]
		for i := 1; i < len(all); i++ {
			hold := min(firstHold<<min(i-1, 10), longestHold)
			if gap := all[i].from.Sub(all[i-1].to); gap < hold {
				t.Errorf("spared again %v after the %dth time, want %v", gap, i, hold)
			}
		}
		if most := 5 + int(10*time.Minute/longestHold) + 1; len(all) > most || len(all) < most-5 {
			t.Errorf("spared %d times in ten minutes, want about %d", len(all), most)
		}
	})
}

// Liveness: a dead backend is turned away from when a claim comes or our own schedule
// finds it, whichever is first; inside a hold-down by our own schedule.
func TestADeadBackendIsFoundByPeersOrByOurOwnSchedule(t *testing.T) {
	const longest = 20 * time.Millisecond
	const ownSchedule = 1100*time.Millisecond + longest + recheck + longest
	histories(t, 200, func(t *testing.T, rng *rand.Rand) {
		b := &farEnd{takes: time.Duration(rng.Int64N(int64(longest)))}
		m, o := follow(t, rng, b, &farEnd{}, &farEnd{})
		time.Sleep(10*time.Second + time.Duration(rng.Int64N(int64(time.Second))))
		held := rng.IntN(2) == 0
		if held { // somebody lied a moment ago
			m.Hear(claim(1, 9, ClaimedDown, ByTCP))
			time.Sleep(100 * time.Millisecond)
		}
		died := time.Now()
		b.become(refused())
		delay := time.Duration(rng.Int64N(int64(2 * time.Second)))
		time.Sleep(delay)
		m.Hear(claim(1, 2, ClaimedDown, ByTCP))
		time.Sleep(5 * time.Second)
		o.mu.Lock()
		defer o.mu.Unlock()
		spared, out := firstNotUp(o, died)
		promise, final := died.Add(ownSchedule), died.Add(ownSchedule)
		if told := died.Add(delay); !held || told.After(deafEnd(died)) {
			promise = earlier(promise, told)
			final = earlier(final, told.Add(maxSpread+2*longest+recheck))
		}
		if spared.IsZero() || spared.After(promise) {
			t.Errorf("spared after %v, a claim came after %v, held %v", spared.Sub(died), delay, held)
		}
		if out.IsZero() || out.After(final) {
			t.Errorf("out after %v, a claim came after %v, held %v", out.Sub(died), delay, held)
		}
	})
}

// deafEnd is when the hold is over that the lie began, a tenth of a second before.
func deafEnd(died time.Time) time.Time { return died.Add(firstHold) }

func firstNotUp(o *observed, since time.Time) (spared, out time.Time) {
	all := o.episodes[key(1)]
	if e := o.current[key(1)]; e != nil {
		all = append(slices.Clone(all), *e)
	}
	for _, e := range all {
		if e.from.Before(since) {
			continue
		}
		if spared.IsZero() {
			spared = e.from
		}
		if e.state == Down && out.IsZero() {
			out = e.from
		}
	}
	return spared, out
}

// No peers: as long as nobody claims anything, a Monitor that could tell peers does
// exactly what one without gossip does.
func TestWithoutClaimsItIsAsIfThereWereNoGossip(t *testing.T) {
	histories(t, 50, func(t *testing.T, rng *rand.Rand) {
		history := func(seed uint64, o Options, share bool) []string {
			rng := rand.New(rand.NewPCG(seed, 5))
			began, lines := time.Now(), []string{}
			var mu sync.Mutex
			o.OnChange = func(c Change) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, fmt.Sprintf("%v %s", time.Since(began), c))
			}
			o.Rand = rand.New(rand.NewPCG(seed, 6))
			m := New(o)
			ends := []*farEnd{{takes: 11 * time.Millisecond}, {takes: 17 * time.Millisecond}, {takes: 23 * time.Millisecond}} // no two checks end at once, or luck decides
			var targets []Target
			for i, e := range ends {
				if share {
					targets = append(targets, shared(i+1, e))
				} else {
					targets = append(targets, target(i+1, e))
				}
			}
			m.Set(targets)
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { m.Run(ctx) })
			for range 100 {
				time.Sleep(time.Duration(1 + rng.Int64N(int64(time.Second)))) // never at the very moment of the first checks
				i := rng.IntN(len(ends))
				switch rng.IntN(4) {
				case 0:
					ends[i].become(refused())
				case 1, 2:
					ends[i].become(nil)
				case 3:
					m.Observe(key(i+1), Evidence{Source: FromTraffic, Kind: NoConnection, Reason: "reset"})
				}
			}
			stop()
			running.Wait()
			return lines
		}
		seed := rng.Uint64()
		alone := history(seed, Options{}, false)
		among := history(seed, Options{Publish: func(Subject, ClaimState) {}, Hearing: func() Hearing { return Hearing{Peers: 3, Most: 3} }}, true)
		if !slices.Equal(alone, among) || len(alone) == 0 {
			t.Errorf("alone:\n%q\namong peers who say nothing:\n%q", alone, among)
		}
	})
}
