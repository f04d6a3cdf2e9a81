package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// policyTable is the failure policy as one reads it: the first row that fits a
// case decides. A dot fits everything; the columns are those of the header.
//
// idem is a method that may be repeated by RFC 9110, 9.2.2. body is none, kept
// (all of it is still in the retry buffer) or past (it is longer). conn is fresh
// or used (it has carried requests before). tries is some, none (the policy's
// retries are used up) or unfunded (the cluster's retry budget is).
const policyTable = `
trouble          phase       method  body  conn   tries    | outcome    status

# Nobody is there.
clientLeft       .           .       .     .      .        | silenced   0
# The client has the head already: only a cut tells it that the rest is missing.
.                delivering  .       .     .      .        | aborted    .

# No other backend would help, or no time is left for one.
noneUsable       .           .       .     .      .        | answered   503
allFull          .           .       .     .      .        | answered   503
overdue          .           .       .     .      .        | answered   504
# A silent backend may still be at it.
slowToAnswer     .           .       .     .      .        | answered   504

# No further try is left.
slowToConnect    .           .       .     .      none     | answered   504
slowToConnect    .           .       .     .      unfunded | answered   504
.                .           .       .     .      none     | answered   502
.                .           .       .     .      unfunded | answered   502

# No byte has left: nothing can have been done.
slowToConnect    connecting  .       .     .      some     | elsewhere  504
.                connecting  .       .     .      some     | elsewhere  502

# Something may have been done, and twice would be wrong or is impossible.
slowToConnect    waiting     once    .     .      some     | answered   504
.                waiting     once    .     .      some     | answered   502
slowToConnect    waiting     idem    past  .      some     | answered   504
.                waiting     idem    past  .      some     | answered   502
# The connection may have been at its end: the same backend deserves a fresh one.
slowToConnect    waiting     idem    .     used   some     | afresh     504
.                waiting     idem    .     used   some     | afresh     502
slowToConnect    waiting     idem    .     fresh  some     | elsewhere  504
.                waiting     idem    .     fresh  some     | elsewhere  502

# A response had begun: it was done.
slowToConnect    answering   .       .     .      some     | answered   504
.                answering   .       .     .      some     | answered   502
`

var (
	troubleNames = []string{"clientLeft", "noneUsable", "allFull", "overdue", "ownTrouble", "refused", "unreachable", "slowToConnect",
		"handshakeFailed", "ended", "cutShort", "malformed", "slowToAnswer"}
	phaseNames   = []string{"connecting", "waiting", "answering", "delivering"}
	outcomeNames = []string{"answered", "elsewhere", "afresh", "aborted", "silenced"}
)

type policyRow struct {
	when, then []string
	used       bool
}

func policyRows(t *testing.T) []*policyRow {
	t.Helper()
	var rows []*policyRow
	for line := range strings.Lines(policyTable) {
		left, right, is := strings.Cut(line, "|")
		if !is || strings.HasPrefix(line, "trouble") {
			continue
		}
		row := &policyRow{when: strings.Fields(left), then: strings.Fields(right)}
		if len(row.when) != 6 || len(row.then) != 2 {
			t.Fatalf("not a row: %q", line)
		}
		rows = append(rows, row)
	}
	return rows
}

func (r *policyRow) fits(c []string) bool {
	for i, word := range r.when {
		if word != "." && word != c[i] {
			return false
		}
	}
	return true
}

func TestEveryFailureHasTheOutcomeThatTheTableSays(t *testing.T) {
	if len(troubleNames) != int(troubles) {
		t.Fatalf("%d troubles have %d names", troubles, len(troubleNames))
	}
	rows, cases := policyRows(t), 0
	for f, words := range everyFailure {
		cases++
		row := firstFit(rows, words)
		if row == nil {
			t.Errorf("no row for %v", words)
			continue
		}
		if got := outcomeNames[f.outcome()]; got != row.then[0] {
			t.Errorf("%v is %s, want %s (by %v)", words, got, row.then[0], row.when)
		}
		if got := fmt.Sprint(f.trouble.status()); row.then[1] != "." && got != row.then[1] {
			t.Errorf("%v is answered %s, want %s (by %v)", words, got, row.then[1], row.when)
		}
	}
	if want := 13 * 4 * 2 * 3 * 2 * 3; cases != want {
		t.Errorf("%d cases, want %d", cases, want)
	}
	for _, row := range rows {
		if !row.used {
			t.Errorf("the row %v decides nothing", row.when)
		}
	}
}

func firstFit(rows []*policyRow, words []string) *policyRow {
	for _, row := range rows {
		if row.fits(words) {
			row.used = true
			return row
		}
	}
	return nil
}

// everyFailure gives all failures that there can be, and more, with the words of
// the table for each.
func everyFailure(yield func(failure, []string) bool) {
	for trouble := range troubles {
		for phase := connecting; phase <= delivering; phase++ {
			for _, method := range []string{"idem", "once"} {
				for _, body := range []string{"none", "kept", "past"} {
					for _, conn := range []string{"fresh", "used"} {
						for _, tries := range []string{"some", "none", "unfunded"} {
							f := failure{
								trouble: trouble, phase: phase, idempotent: method == "idem", whole: body != "past",
								reused: conn == "used", last: tries == "none", unfunded: tries == "unfunded",
							}
							if !yield(f, []string{troubleNames[trouble], phaseNames[phase], method, body, conn, tries}) {
								return
							}
						}
					}
				}
			}
		}
	}
}

// What a failure says about its backend, by R1: what is not its doing, nothing.
func TestOnlyTheBackendsOwnFailuresAreEvidence(t *testing.T) {
	want := map[string]string{
		"refused": "connect", "unreachable": "connect", "slowToConnect": "connect", "handshakeFailed": "connect",
		"slowToAnswer": "timeout", "ended": "reset", "cutShort": "reset",
	}
	kinds := []string{"connect", "timeout", "reset", "status"}
	for trouble := range troubles {
		got := ""
		if kind, ok := trouble.kind(); ok {
			got = kinds[kind]
		}
		if got != want[troubleNames[trouble]] {
			t.Errorf("%s is evidence of kind %q, want %q", troubleNames[trouble], got, want[troubleNames[trouble]])
		}
	}
	if !(failure{trouble: ended, reused: true}).stale() || (failure{trouble: ended}).stale() || (failure{trouble: cutShort, reused: true}).stale() {
		t.Error("stale is a used connection that ends before the first byte, and nothing else")
	}
}
