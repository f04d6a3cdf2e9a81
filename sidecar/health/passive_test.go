package health

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func standard() Passive {
	return Passive{Failures: 5, Window: 10 * time.Second, For: 10 * time.Second, MaxOut: 0.5, On: KindsOf(NoConnection, NoAnswer, CutOff)}
}

// cutOff is what a request runs into at a backend that resets.
func cutOff() Evidence { return Evidence{Source: FromTraffic, Kind: CutOff, Reason: "reset"} }

// watching is a Monitor of n targets whose checks are always fine.
func watching(t *testing.T, p Passive, n int) (m *monitoring, keys []Key) {
	t.Helper()
	var targets []Target
	for i := range n {
		one := target(i, &farEnd{})
		one.Passive = p
		targets, keys = append(targets, one), append(keys, one.Key)
	}
	m = monitor(t, targets...)
	synctest.Wait()
	return m, keys
}

func stateOf(m *monitoring, k Key) State {
	for _, s := range m.Snapshot() {
		if s.Key == k {
			return s.State
		}
	}
	return Down
}

func TestRequestsAloneTakeATargetOutWhateverChecksSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, keys := watching(t, standard(), 2)
		for i := range 5 {
			if got := stateOf(m, keys[0]); got != Up {
				t.Fatalf("after %d failures it is %v", i, got)
			}
			m.Observe(keys[0], cutOff())
			time.Sleep(1500 * time.Millisecond) // green checks in between
		}
		if got := stateOf(m, keys[0]); got != Down {
			t.Fatalf("after 5 failures in 10 s it is %v", got)
		}
		time.Sleep(8 * time.Second) // nine and a half since
		if got := stateOf(m, keys[0]); got != Down {
			t.Errorf("green checks brought it back early: %v", got)
		}
		s := m.Snapshot()[0]
		if s.Reason != "5x reset in 10s, for 10s" || time.Until(s.Until) != 500*time.Millisecond {
			t.Errorf("status %+v", s)
		}
		time.Sleep(time.Second)
		if got := stateOf(m, keys[0]); got != Trial {
			t.Errorf("after its time it is %v", got)
		}
		m.Observe(keys[0], Evidence{OK: true, Source: FromTraffic})
		synctest.Wait()
		if got := stateOf(m, keys[0]); got != Up {
			t.Errorf("after a good response it is %v", got)
		}
		m.want(t, "app-0:8080 out: 5x reset in 10s, for 10s", "app-0:8080 on trial after 10s", "app-0:8080 back after 10.5s")
	})
}

func TestChecksThatSawItDownTooBringItBackOnTrialBeforeItsTime(t *testing.T) {
	for _, row := range []struct {
		what     string
		restarts time.Duration // how long nobody listens
	}{{"too short for two checks", 50 * time.Millisecond}, {"out by checks as well", 3 * time.Second}} {
		t.Run(row.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far := &farEnd{}
				one, two := target(0, far), target(1, &farEnd{})
				one.Passive, two.Passive = standard(), standard()
				m := monitor(t, one, two)
				time.Sleep(2 * time.Second)
				far.become(refused())
				for range 5 {
					m.Observe(one.Key, cutOff())
				}
				time.Sleep(row.restarts)
				if got := stateOf(m, one.Key); got != Down {
					t.Fatalf("while nobody listens it is %v", got)
				}
				far.become(nil)
				time.Sleep(1500 * time.Millisecond)
				if got := stateOf(m, one.Key); got != Trial {
					t.Fatalf("with a check that is well again it is %v", got)
				}
				m.Observe(one.Key, Evidence{OK: true, Source: FromTraffic})
				if got := stateOf(m, one.Key); got != Up {
					t.Errorf("after a good response it is %v", got)
				}
			})
		})
	}
}

func TestWhatRequestsMetBeforeARestartDoesNotCountAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &farEnd{}
		one, two := target(0, far), target(1, &farEnd{})
		one.Passive, two.Passive = standard(), standard()
		m := monitor(t, one, two)
		for range 4 {
			m.Observe(one.Key, cutOff())
		}
		far.become(refused())
		time.Sleep(2 * time.Second)
		far.become(nil)
		time.Sleep(1500 * time.Millisecond)
		m.Observe(one.Key, cutOff())
		if got := stateOf(m, one.Key); got != Up {
			t.Errorf("the first failure since it has started makes it %v", got)
		}
	})
}

func TestATrialThatFailsLastsTwiceAsLongUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, keys := watching(t, standard(), 2)
		for range 5 {
			m.Observe(keys[0], cutOff())
		}
		for _, want := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
			began := time.Now()
			for stateOf(m, keys[0]) == Down {
				time.Sleep(time.Second)
			}
			if got := time.Since(began).Round(10 * time.Second); got != want*time.Second {
				t.Fatalf("it was out for %v, want %v", got, want*time.Second)
			}
			m.Observe(keys[0], cutOff())
		}
	})
}

func TestTheDoublingIsForgottenAfterAGoodWhile(t *testing.T) {
	for _, row := range []struct{ good, want time.Duration }{
		{time.Second, 20 * time.Second}, {2 * time.Minute, 10 * time.Second},
	} {
		var e ejection
		now, p := time.Now(), standard()
		out := func() {
			for range p.Failures {
				e.fail(p, "reset", now, func() bool { return true })
			}
		}
		out()
		now = e.until
		e.wake(now)
		e.succeed(now)
		now = now.Add(row.good)
		out()
		if got := e.until.Sub(now); got != row.want {
			t.Errorf("%v after it was back it is out for %v, want %v", row.good, got, row.want)
		}
	}
}

func TestOnlyWhatCountsIsCounted(t *testing.T) {
	p := standard()
	p.On = KindsOf(NoAnswer)
	synctest.Test(t, func(t *testing.T) {
		m, keys := watching(t, p, 2)
		for range 50 {
			m.Observe(keys[0], cutOff())
			m.Observe(keys[0], Evidence{Source: FromTraffic, Kind: BadStatus, Reason: "status 500"})
		}
		if got := stateOf(m, keys[0]); got != Up {
			t.Errorf("resets and status codes do not count, and it is %v", got)
		}
	})
}

func TestSwitchedOffByAReloadItBringsBackWhatIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, keys := watching(t, standard(), 2)
		for range 5 {
			m.Observe(keys[0], cutOff())
		}
		again := func(p Passive) {
			var targets []Target
			for i := range keys {
				one := target(i, &farEnd{})
				one.Passive = p
				targets = append(targets, one)
			}
			m.Set(targets)
			synctest.Wait()
		}
		again(standard())
		if got := stateOf(m, keys[0]); got != Down {
			t.Errorf("a reload that changes nothing has made it %v", got)
		}
		again(Passive{})
		if got := stateOf(m, keys[0]); got != Up {
			t.Errorf("with passive off it is %v", got)
		}
	})
}

func TestNoMoreThanMaxOutAreEverOutByRequests(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := standard()
		p.MaxOut = float64(rapid.IntRange(0, 100).Draw(rt, "max out")) / 100
		n := rapid.IntRange(1, 8).Draw(rt, "targets")
		events := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 300).Draw(rt, "events")
		synctest.Test(t, func(t *testing.T) {
			m, keys := watching(t, p, n)
			defer m.stop()
			for _, e := range events {
				switch key := keys[e%len(keys)]; {
				case e < 85:
					m.Observe(key, cutOff())
				case e < 90:
					m.Observe(key, Evidence{OK: true, Source: FromTraffic})
				default:
					time.Sleep(time.Duration(e-89) * time.Second)
				}
				out := 0
				for _, k := range keys {
					if stateOf(m, k) != Up {
						out++
					}
				}
				if float64(out) > p.MaxOut*float64(len(keys)) {
					rt.Fatalf("%d of %d are out or on trial, with max_out %v", out, len(keys), p.MaxOut)
				}
			}
		})
	})
}

func TestOneOfTwoMayGoOutAndTheLastOneNever(t *testing.T) {
	for _, row := range []struct {
		out, of int
		share   float64
		want    bool
	}{
		{0, 1, 0.5, false}, {0, 2, 0.5, true}, {1, 2, 0.5, false}, {0, 3, 0.5, true}, {1, 3, 0.5, false},
		{1, 4, 0.5, true}, {0, 1, 1, true}, {0, 9, 0, false}, {2, 10, 0.3, true}, {3, 10, 0.3, false},
	} {
		if got := (Passive{MaxOut: row.share}).mayGo(row.out, row.of); got != row.want {
			t.Errorf("%d of %d are out, max_out %v: another may go: %t", row.out, row.of, row.share, got)
		}
	}
}
