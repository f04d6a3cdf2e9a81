package proxy

import "testing"

// The truth table of RFC 9110, 9.2.2: what may have been processed is sent again
// only where that does no harm.
func TestAFailedTryIsRepeatedOnlyWhereThatDoesNoHarm(t *testing.T) {
	yes, no := []bool{true}, []bool{false}
	either := []bool{false, true}
	rows := []struct {
		name                               string
		phase                              phase
		reused, idempotent, whole, timeout []bool
		want                               retry
	}{
		{"no connection", connecting, either, either, either, either, elsewhere},
		{"no answer, harmless, fresh connection", waiting, no, yes, yes, no, elsewhere},
		{"no answer, harmless, used connection", waiting, yes, yes, yes, no, afresh},
		{"no answer, harmful", waiting, either, no, either, either, giveUp},
		{"no answer, body not kept", waiting, either, either, no, either, giveUp},
		{"silence", waiting, either, either, either, yes, giveUp},
		{"answer broken off", answering, either, either, either, either, giveUp},
	}
	covered := make(map[failure]string)
	for _, row := range rows {
		for _, reused := range row.reused {
			for _, idempotent := range row.idempotent {
				for _, whole := range row.whole {
					for _, timeout := range row.timeout {
						f := failure{row.phase, reused, idempotent, whole, timeout}
						if got := f.next(); got != row.want {
							t.Errorf("%s: %+v.next() = %d, want %d", row.name, f, got, row.want)
						}
						covered[f] = row.name
					}
				}
			}
		}
	}
	if all := 3 * 2 * 2 * 2 * 2; len(covered) != all {
		t.Errorf("the table covers %d of %d failures", len(covered), all)
	}
}
