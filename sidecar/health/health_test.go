package health

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAChangeReadsAsALineOfTheLog(t *testing.T) {
	for want, c := range map[string]Change{
		"app-b:8080 out: 2x timeout after 1s":  {Name: "app-b:8080", To: Down, Reason: "2x timeout after 1s"},
		"app-b:8080 back after 14.2s":          {Name: "app-b:8080", From: Down, To: Up, After: 14_234 * time.Millisecond},
		"app-b:8080 back after 87ms":           {Name: "app-b:8080", From: Down, To: Up, After: 87_432 * time.Microsecond},
		"app-b:8080 back after 5s: on trial":   {Name: "app-b:8080", From: Down, To: Up, After: 5 * time.Second, Reason: "on trial"},
		"app-b:8080 suspect: refused":          {Name: "app-b:8080", To: Suspect, Reason: "refused"},
		"app-b:8080 back after 1h2m3.5s":       {Name: "app-b:8080", From: Down, To: Up, After: time.Hour + 2*time.Minute + 3500*time.Millisecond},
		"app-b:8080 out: refused, 2x status 1": {Name: "app-b:8080", To: Down, Reason: "refused, 2x status 1"},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestReasonsAreCountedInTheirOrder(t *testing.T) {
	var r reasons
	for _, c := range []struct{ add, want string }{
		{"refused", "refused"},
		{"refused", "2x refused"},
		{"timeout after 1s", "2x refused, timeout after 1s"},
		{"refused", "2x refused, timeout after 1s, refused"},
		{"reset", "timeout after 1s, refused, reset"},
		{"reset", "timeout after 1s, refused, 2x reset"},
	} {
		r = r.add(c.add)
		if r.String() != c.want {
			t.Errorf("%q, want %q", r, c.want)
		}
	}
}
