package health

import "testing"

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name     string
		own      Streak
		requests stage
		peers    claims
		want     State
	}{
		{"nothing known", Streak{Rise: 1, Fall: 2}, serving, claims{}, Up},
		{"one failure of two", Streak{Rise: 1, Fall: 2, Bad: 1}, serving, claims{}, Up},
		{"down by own evidence", Streak{Rise: 1, Fall: 2, Bad: 2, Down: true}, serving, claims{}, Down},
		{"rising, not up yet", Streak{Rise: 2, Fall: 2, Good: 1, Down: true}, serving, claims{}, Down},
		{"a claim alone only raises doubt", Streak{Rise: 1, Fall: 2, Good: 1}, serving, claims{Down: true, Doubt: true}, Suspect},
		{"a claim alone, though one failure is enough", Streak{Rise: 1, Fall: 1, Good: 1}, serving, claims{Down: true, Doubt: true}, Suspect},
		{"a claim that a check of ours has answered", Streak{Rise: 1, Fall: 2, Good: 1}, serving, claims{Down: true}, Up},
		{"a claim beside one failure of two", Streak{Rise: 1, Fall: 2, Bad: 1}, serving, claims{Down: true}, Down},
		{"a claim beside one failure of three", Streak{Rise: 1, Fall: 3, Bad: 1}, serving, claims{Down: true, Doubt: true}, Suspect},
		{"a claim beside two failures of three", Streak{Rise: 1, Fall: 3, Bad: 2}, serving, claims{Down: true}, Down},
		{"a claim about what is down", Streak{Rise: 1, Fall: 2, Bad: 2, Down: true}, serving, claims{Down: true}, Down},
		{"requests took it out, checks are fine", Streak{Rise: 1, Fall: 2, Good: 1}, ejected, claims{}, Down},
		{"requests took it out, and checks too", Streak{Rise: 1, Fall: 2, Bad: 2, Down: true}, ejected, claims{}, Down},
		{"on trial, checks are fine", Streak{Rise: 1, Fall: 2, Good: 1}, trying, claims{}, Trial},
		{"on trial, checks are not", Streak{Rise: 1, Fall: 2, Bad: 2, Down: true}, trying, claims{}, Down},
		{"its owner drains it", Streak{Rise: 1, Fall: 2, Good: 1}, serving, claims{Draining: true}, Draining},
		{"its owner drains it, and somebody says down", Streak{Rise: 1, Fall: 2, Good: 1}, serving, claims{Down: true, Doubt: true, Draining: true}, Draining},
		{"drained, and down", Streak{Rise: 1, Fall: 2, Bad: 2, Down: true}, serving, claims{Draining: true}, Down},
		{"drained, and on trial", Streak{Rise: 1, Fall: 2, Good: 1}, trying, claims{Draining: true}, Trial},
		{"on trial, and a claim", Streak{Rise: 1, Fall: 2, Good: 1}, trying, claims{Down: true}, Trial},
	} {
		if got := verdict(c.own, c.requests, c.peers); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
