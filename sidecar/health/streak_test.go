package health

import (
	"testing"

	"pgregory.net/rapid"
)

func TestStreakTurnsAfterRiseAndFall(t *testing.T) {
	for _, c := range []struct {
		name       string
		rise, fall int
		results    string // + good, - bad
		want       string // u up, d down, after each
	}{
		{"one lost check does not take it out", 1, 2, "-+-+", "uuuu"},
		{"two in a row do", 1, 2, "+--+", "uudu"},
		{"fall 1 turns at once", 1, 1, "-+-", "dud"},
		{"rise 2 wants two good ones", 2, 2, "--+++", "udduu"},
		{"a bad one starts the rise anew", 2, 2, "--+-++", "uddddu"},
		{"a good one starts the fall anew", 1, 3, "--+---", "uuuuud"},
		{"thresholds below 1 are 1", 0, 0, "-+", "du"},
	} {
		s := Streak{Rise: c.rise, Fall: c.fall}
		for i, result := range c.results {
			s = s.Next(result == '+')
			if want := c.want[i] == 'd'; s.Down != want {
				t.Errorf("%s: after %q down is %v", c.name, c.results[:i+1], s.Down)
			}
		}
	}
}

func TestStreakCountsOnlyTheLastRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Streak{Rise: rapid.IntRange(1, 5).Draw(t, "rise"), Fall: rapid.IntRange(1, 5).Draw(t, "fall")}
		down, run := false, 0 // the slow way: count the results in a row
		last := true
		for _, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "results") {
			if ok != last {
				run = 0
			}
			run, last = run+1, ok
			if ok && run >= s.Rise {
				down = false
			}
			if !ok && run >= s.Fall {
				down = true
			}
			s = s.Next(ok)
			if s.Down != down {
				t.Fatalf("down %v after %d times %v, want %v", s.Down, run, ok, down)
			}
		}
	})
}

func TestStreakOnTrialFallsWithTheNextFailure(t *testing.T) {
	s := Streak{Rise: 1, Fall: 3}.Next(false).Next(false).Next(false).OnTrial()
	if s.Down {
		t.Fatal("on trial is still down")
	}
	if !s.Next(false).Down {
		t.Error("the next failure did not take it out")
	}
	if s.Next(true).Next(false).Down {
		t.Error("a success did not end the trial")
	}
}

func TestStreakWithOtherThresholdsTurnsOnlyByAResult(t *testing.T) {
	s := Streak{Rise: 1, Fall: 5}.Next(false).Next(false).Next(false).With(1, 2)
	if s.Down {
		t.Error("the reload took it out")
	}
	if !s.Next(false).Down {
		t.Error("the next failure did not take it out")
	}
}
