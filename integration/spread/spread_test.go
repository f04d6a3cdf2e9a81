package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// A probe under way outlives memberlist's Shutdown by up to its interval, times 8
// where the machine is slow.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

func TestFewDeathsAreMeasuredAndKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("before\n"+beginMark+"old\n"+endMark+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []series{{size: 3}, {size: 10, loss: 0.25}, {size: 3, real: true}} {
		if err := s.run(t.Context(), 2, io.Discard); err != nil {
			t.Fatalf("%s: %v", s.title(), err)
		}
		for _, d := range s.deaths {
			if len(d.behind) != s.size || d.behind[0] != 0 || d.toAll < d.toFirst || d.toAll-d.toFirst != d.behind[s.size-1] {
				t.Errorf("%s: %+v", s.title(), d)
			}
		}
		if s.quiet.packets <= 0 || s.quiet.bytes <= s.quiet.packets {
			t.Errorf("%s: at rest each sends %+v a second", s.title(), s.quiet)
		}
		r := report{spreads: []series{s}, upkeep: []upkeep{{size: 3}}}
		if err := r.keep(file, r.markdown("some machine")); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if text := string(kept); err != nil || !strings.HasPrefix(text, "before\n"+beginMark) || !strings.HasSuffix(text, endMark+"after\n") ||
		strings.Contains(text, "old\n") || !strings.Contains(text, "| 3 | loopback | 2 |") {
		t.Errorf("%v, kept %s", err, text)
	}
	if plot, err := os.ReadFile(filepath.Join(filepath.Dir(file), "spread.svg")); err != nil || !strings.Contains(string(plot), "<svg") {
		t.Errorf("the plot: %v", err)
	}
}

func TestWhoWasCutOffCatchesUp(t *testing.T) {
	f, err := newFleet(t.Context(), plan{size: 3, network: newNetwork(delay, 0), gossip: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.stop()
	if took, err := f.catchUp(t.Context(), 2*time.Second); err != nil || took <= 0 {
		t.Errorf("after %v: %v", took, err)
	}
}

func TestQuantilesAreValuesThatWereSeen(t *testing.T) {
	all := []time.Duration{5, 1, 4, 2, 3}
	for p, want := range map[float64]time.Duration{0: 1, 0.2: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(all, p); got != want {
			t.Errorf("%v of %v is %v, want %v", p, all, got, want)
		}
	}
}

func TestStrangeOptionsAreRefused(t *testing.T) {
	for _, arguments := range [][]string{{"-sizes", "1"}, {"-sizes", "3,x"}, {"-rounds", "0"}} {
		if _, err := parse(arguments, io.Discard); err == nil || !strings.Contains(err.Error(), arguments[0]) {
			t.Errorf("%q: %v", arguments, err)
		}
	}
}

func TestAimsThatWereMissedAreTold(t *testing.T) {
	slow := death{behind: []time.Duration{0, 10 * time.Millisecond, 30 * time.Millisecond}}
	r := report{
		spreads: []series{{size: 3, deaths: []death{slow}}, {size: 3, loss: 0.25, deaths: []death{slow}}, {size: 4, deaths: []death{slow}}},
		upkeep:  []upkeep{{size: 50, quiet: rate{bytes: 1001}, cpu: time.Millisecond}, {size: 3, cpu: 2 * time.Millisecond}},
	}
	want := []string{
		"3 sidecars, 0 % of packets lost, 50 % in ms: 10 instead of 3", "3 sidecars, 0 % of packets lost, 99 % in ms: 30 instead of 20",
		"50 sidecars at rest, bytes/s: 1001 instead of 1000", "3 sidecars at rest, CPU in ms/s: 2 instead of 1.5",
	}
	if got := r.missed(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}
