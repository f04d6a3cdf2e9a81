package cluster

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestAReturningBackendsShareGrowsLinearly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 5).Draw(rt, "weights")
		slow := time.Duration(rapid.IntRange(2, 60).Draw(rt, "slow start")) * time.Second
		joins := rapid.Bool().Draw(rt, "is new")
		synctest.Test(t, func(*testing.T) {
			c := newCluster(t, weights...)
			c.SetPolicy(&Policy{SlowStart: slow})
			if joins {
				c.SetMembers(members(weights...)[1:])
				c.SetMembers(members(weights...))
			} else {
				c.SetState(at(0), Down)
				c.SetState(at(0), Up)
			}
			others := 0.0
			for _, w := range weights[1:] {
				others += float64(w)
			}
			began := time.Now()
			for time.Since(began) <= slow+time.Second {
				elapsed := float64(time.Since(began)) / float64(slow)
				got := share0(c)
				for _, slack := range []float64{-1. / rampSteps, 0} { // a step, and a tick before
					want := shareOf(weights[0], elapsed+slack*1.01, others)
					if slack < 0 && got < want-0.002 || slack == 0 && got > math.Max(want, shareOf(weights[0], 1./rampSteps, others))+0.002 {
						rt.Fatalf("after %.0f %% of the slow start the share is %.3f, want about %.3f", 100*elapsed, got, want)
					}
				}
				time.Sleep(100 * time.Millisecond)
				c.Tick()
			}
			if got, want := share0(c), shareOf(weights[0], 1, others); math.Abs(got-want) > 0.002 {
				rt.Fatalf("in the end the share is %.3f, want %.3f", got, want)
			}
		})
	})
}

// share0 is the part of the turns that the first member has.
func share0(c *Cluster) float64 {
	s := &c.rotation.Load().preferred
	n := 0
	for _, who := range s.turns {
		if s.backends[who].addr == at(0) {
			n++
		}
	}
	return float64(n) / float64(len(s.turns))
}

func shareOf(weight int, part, others float64) float64 {
	w := float64(weight) * min(max(part, 0), 1)
	return w / (w + others)
}

func TestNobodyStartsSlowlyWhenTheProcessStarts(t *testing.T) {
	c := New("one", &Policy{SlowStart: time.Hour}, rand.New(rand.NewPCG(1, 2)))
	c.SetMembers(members(1, 1))
	if got := share0(c); got != 0.5 {
		t.Errorf("the first members begin with a share of %.2f", got)
	}
}

func TestABackendThatIsAloneGetsAllRequestsAtOnce(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.SetPolicy(&Policy{SlowStart: time.Hour})
	c.SetState(at(0), Down)
	c.SetState(at(1), Down)
	c.SetState(at(0), Up)
	if turns := pick(c, 10); turns[at(0)] != 10 {
		t.Errorf("turns %v", turns)
	}
}

func TestATrialBeginsASlowStartWhenItEnds(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.SetPolicy(&Policy{SlowStart: time.Hour})
	c.SetState(at(0), Down)
	c.SetState(at(0), Trial)
	c.SetState(at(0), Up)
	if got := share0(c); got > 0.1 {
		t.Errorf("after its trial the backend has a share of %.2f at once", got)
	}
}

func TestWithoutSlowStartABackendIsBackWithItsWholeShare(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.SetState(at(0), Down)
	c.SetState(at(0), Up)
	if got := share0(c); got != 0.5 {
		t.Errorf("share %.2f", got)
	}
}
