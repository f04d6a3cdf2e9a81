package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A short run shows that everything is measured; what comes out is no matter of a
// test.
func TestEveryBalanceIsMeasuredAndKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("before\n"+beginMark+"old\n"+endMark+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"-rounds", "1", "-span", "200ms", "-clients", "8", "-rate", "50", "-into", file}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(file)
	if want := "before\n" + beginMark + out.String() + endMark + "after\n"; err != nil || string(kept) != want {
		t.Errorf("kept %q (%v), want %q", kept, err, want)
	}
	for _, balance := range balances() {
		if !strings.Contains(out.String(), "| `"+balance+"` | ") {
			t.Errorf("%s is missing in\n%s", balance, &out)
		}
	}
}

func TestWithoutMarksNothingIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("no marks\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := keep(file, "table"); err == nil {
		t.Error("no error")
	}
	if kept, _ := os.ReadFile(file); string(kept) != "no marks\n" {
		t.Errorf("the file holds %q", kept)
	}
}

func TestQuantilesAreOfTheSortedValues(t *testing.T) {
	values := []time.Duration{5, 1, 4, 2, 3}
	for p, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(values, p); got != want {
			t.Errorf("%v: %d, want %d", p, got, want)
		}
	}
}
