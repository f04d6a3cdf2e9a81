package main

import (
	"testing"
	"time"
)

func TestLineOfPaceGivesCountsAndPercentiles(t *testing.T) {
	got, err := parsePace("requests 20000 bad 3 took 2000000 p50 102 p99 340 p999 812\n")
	if err != nil {
		t.Fatal(err)
	}
	want := load{
		requests: 20000, badStatus: 3, took: 2 * time.Second, rate: 10000,
		p50: 102 * time.Microsecond, p99: 340 * time.Microsecond, p999: 812 * time.Microsecond,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLineOfPaceThatIsCutShortIsRefused(t *testing.T) {
	for _, text := range []string{"", "requests 1", "requests x bad 0 took 1 p50 1 p99 1 p999 1\n"} {
		if got, err := parsePace(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}
