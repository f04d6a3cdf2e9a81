package health

import "testing"

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name  string
		own   Streak
		peers claims
		want  State
	}{
		{"nothing known", Streak{Rise: 1, Fall: 2}, claims{}, Up},
		{"one failure of two", Streak{Rise: 1, Fall: 2, Bad: 1}, claims{}, Up},
		{"down by own evidence", Streak{Rise: 1, Fall: 2, Bad: 2, Down: true}, claims{}, Down},
		{"rising, not up yet", Streak{Rise: 2, Fall: 2, Good: 1, Down: true}, claims{}, Down},
		{"a claim alone only raises doubt", Streak{Rise: 1, Fall: 2, Good: 1}, claims{Down: true}, Suspect},
		{"a claim alone, though one failure is enough", Streak{Rise: 1, Fall: 1, Good: 1}, claims{Down: true}, Suspect},
		{"a claim beside one failure of two", Streak{Rise: 1, Fall: 2, Bad: 1}, claims{Down: true}, Down},
		{"a claim beside one failure of three", Streak{Rise: 1, Fall: 3, Bad: 1}, claims{Down: true}, Suspect},
		{"a claim beside two failures of three", Streak{Rise: 1, Fall: 3, Bad: 2}, claims{Down: true}, Down},
		{"a claim about what is down", Streak{Rise: 1, Fall: 2, Bad: 2, Down: true}, claims{Down: true}, Down},
	} {
		if got := verdict(c.own, c.peers); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
