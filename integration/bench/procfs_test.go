package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const statLine = "17167 (nginx) S 17145 17167 8933 0 -1 4194304 90 0 1 0 33 12 0 0 20 0 1 0 89064 2654208 386 18446744073709551615 1 1 0 0 0"

func TestStatGivesParentAndCPUTimeOfUserAndSystem(t *testing.T) {
	got, err := parseStat(statLine)
	if err != nil {
		t.Fatal(err)
	}
	if want := (stat{parent: 17145, cpu: 450 * time.Millisecond}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestStatIsReadWhateverTheProgramIsCalled(t *testing.T) {
	for _, name := range []string{"a b", ") R 1 2 3", "((", ""} {
		got, err := parseStat(strings.Replace(statLine, "nginx", name, 1))
		if err != nil || got.parent != 17145 {
			t.Errorf("a program called %q: parent %d, error %v", name, got.parent, err)
		}
	}
}

func TestStatThatIsCutShortIsRefused(t *testing.T) {
	for _, text := range []string{"", "17167 (nginx", "17167 (nginx) S 17145 1 2 3 4 5 6 7 8 9 33", "1 (x) S y 1 1 1 1 1 1 1 1 1 1 1 1"} {
		if got, err := parseStat(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(statLine)
	f.Add("1 (a) b) S 1")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseStat(text); err == nil && len(strings.Fields(text)) < 13 {
			t.Error("accepted a line with too few fields")
		}
	})
}

func TestSchedstatGivesNanosecondsOnACPU(t *testing.T) {
	got, err := parseSchedstat("335257395 157102 11\n")
	if err != nil || got != 335257395 {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := parseSchedstat("\n"); err == nil {
		t.Error("an empty file is accepted")
	}
}

func TestResidentMemoryIsReadInBytes(t *testing.T) {
	got, err := parseResident("Name:\tnginx\nVmHWM:\t    9000 kB\nVmRSS:\t    6208 kB\n")
	if err != nil || got != 6208*1024 {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestResidentMemoryOfAnEndedProcessIsAnError(t *testing.T) {
	if got, err := parseResident("Name:\tnginx\nState:\tZ (zombie)\n"); err == nil {
		t.Errorf("read as %d bytes", got)
	}
}

func TestListOfCoresMayHaveRanges(t *testing.T) {
	got, err := parseCores("0-2,5,8-9\n")
	if err != nil || !slices.Equal(got, []int{0, 1, 2, 5, 8, 9}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, list := range []string{"", "a", "0-", "1,,2"} {
		if got, err := parseCores(list); err == nil {
			t.Errorf("%q is read as %v", list, got)
		}
	}
}

func TestUsageAddsUpThreads(t *testing.T) {
	before := usage{clock: 50, threads: map[int]time.Duration{1: 10, 2: 30}}
	after := usage{clock: 90, threads: map[int]time.Duration{1: 15, 2: 37, 3: 8}}
	if got := after.since(before); got != 20 {
		t.Errorf("got %d, want 5+7 of the old threads and 8 of the new one", got)
	}
}

func TestUsageFallsBackToTheClockWhenAThreadEnded(t *testing.T) {
	before := usage{clock: 50, threads: map[int]time.Duration{1: 10, 2: 30}}
	after := usage{clock: 90, threads: map[int]time.Duration{1: 15}}
	if got := after.since(before); got != 40 {
		t.Errorf("got %d, want the clock's 40", got)
	}
}

func TestUsageFallsBackToTheClockWithoutSchedstat(t *testing.T) {
	if got := (usage{clock: 90}).since(usage{clock: 50}); got != 40 {
		t.Errorf("got %d, want the clock's 40", got)
	}
}
