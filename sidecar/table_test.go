package main

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"outrider/sidecar/admin"
)

// hostile steers a terminal in every way: by C0 and C1, in UTF-8 and out of it, by
// lines and by the order of writing.
const hostile = "\x1b]0;mine\a\x1b[2J\r\n\u009b31m\x9b31m\u202e\t\u2028"

func TestWhatOthersSayCanNotSteerTheTerminal(t *testing.T) {
	var shown strings.Builder
	err := errors.Join(
		printStatus(&shown, admin.Status{Name: "web-1",
			Clusters: []admin.ClusterStatus{{Name: "one", Backends: []admin.BackendStatus{{Name: "a", State: "down", Reason: hostile}}}},
			Script:   &admin.ScriptStatus{Shadow: &admin.ShadowStatus{Moves: []admin.MoveStatus{{From: "one", To: "two", Samples: []string{hostile}}}}},
		}, palette{}),
		printHealth(&shown, admin.HealthStatus{Self: "web-1", Peers: []string{hostile}, Backends: []admin.BackendHealth{{
			Name: "a", Why: hostile, Shared: true, Claims: []admin.ClaimStatus{{Peer: hostile, State: hostile}},
		}}}, palette{}),
		printPeers(&shown, admin.PeersStatus{Enabled: true, Peers: []admin.PeerStatus{{Name: hostile, Version: hostile, Fronts: hostile}}}, palette{}),
		printExplanation(&shown, &admin.Explanation{
			Request: hostile, ID: hostile, Console: []string{hostile}, Error: hostile, Rule: hostile, Then: hostile,
			Read:     []admin.Reading{{What: hostile, Value: hostile}},
			Exchange: &admin.Exchange{End: "done", Detail: hostile, Attempts: []admin.Attempt{{Backend: "a", Failure: hostile}}},
			Forward:  &admin.Forward{RequestHeaders: []admin.Edit{{Name: "X", Values: []string{hostile}}}},
		}, time.Second),
	)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(shown.String()) {
		if line = strings.TrimSuffix(line, "\n"); !isPlain(line) {
			t.Errorf("a terminal would obey %q", line)
		}
	}
	if !strings.Contains(shown.String(), `\x1b[2J\r\n\u009b31m\x9b31m\u202e\t\u2028`) {
		t.Errorf("what was said is not shown:\n%s", shown.String())
	}
}

func isPlain(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0
}

func TestWhatIsPrintableStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		safe := printable(text)
		if printable(safe) != safe {
			t.Fatalf("%q becomes %q, which is not printable", text, safe)
		}
		if isPlain(text) && safe != text {
			t.Fatalf("%q becomes %q", text, safe)
		}
	})
}

func TestCellsStandBelowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 5).Draw(t, "columns")
		cell := rapid.StringMatching(`[a-zé\x00]{0,6}`)
		in := new(table)
		var first []string
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			row := rapid.SliceOfN(cell, columns, columns).Draw(t, "row")
			row[columns-1] = "|" // which is to be in one column
			first = append(first, row[0])
			in.row(row...)
		}
		var shown strings.Builder
		if err := in.write(&shown); err != nil {
			t.Fatal(err)
		}
		at := -1
		for i, line := range strings.Split(strings.TrimSuffix(shown.String(), "\n"), "\n") {
			bar := len([]rune(line)) - 1
			if at < 0 {
				at = bar
			}
			if bar != at || columns > 1 && !strings.HasPrefix(line, printable(first[i])+"  ") {
				t.Fatalf("row %d is not in line:\n%s", i, shown.String())
			}
		}
	})
}
