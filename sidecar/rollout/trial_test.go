package rollout

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"outrider/scripting"
)

// asked is a request of which only what a trial looks at is given.
type asked struct{ ip, cookie, path string }

func (asked) Method() string      { return "GET" }
func (a asked) Path() string      { return a.path }
func (asked) RawQuery() string    { return "" }
func (asked) Host() string        { return "test" }
func (asked) Scheme() string      { return "http" }
func (a asked) IP() string        { return a.ip }
func (asked) ID() string          { return "" }
func (asked) Listener() string    { return "main" }
func (asked) TLS() *scripting.TLS { return nil }

func (a asked) Header(name string) (string, bool) {
	return a.cookie, name == "cookie" && a.cookie != ""
}
func (asked) HeaderNames() []string { return nil }

// batch is so many calls that are alike, but for what % stands for in the fields.
type batch struct {
	times            int
	ip, cookie, path string
	outcome          scripting.Outcome
}

func (b batch) request(i int) asked {
	numbered := func(s string) string {
		if s == "" || s[len(s)-1] != '%' {
			return s
		}
		return fmt.Sprintf("%s%d", s[:len(s)-1], i)
	}
	return asked{numbered(b.ip), numbered(b.cookie), numbered(b.path)}
}

func TestAVersionIsTakenBackByTheRule(t *testing.T) {
	const ok, thrown, late, busy = scripting.OK, scripting.Exception, scripting.Timeout, scripting.Busy
	for _, c := range []struct {
		name   string
		before float64
		calls  []batch
		want   bool
	}{
		{"no error", 0, []batch{{2000, "1.1.1.%", "", "/", ok}}, false},
		{"five errors of two clients", 0, []batch{{100, "1.1.1.%", "", "/", ok}, {5, "2.2.2.%", "", "/", thrown}}, true},
		{"four errors", 0, []batch{{100, "1.1.1.%", "", "/", ok}, {4, "2.2.2.%", "", "/", thrown}}, false},
		{"one client's bad cookie on many paths", 0, []batch{{100, "1.1.1.%", "", "/", ok}, {90, "2.2.2.2", "bad", "/%", thrown}}, false},
		{"two cookies behind one address", 0, []batch{{100, "1.1.1.1", "good%", "/", ok}, {9, "1.1.1.1", "bad%", "/", thrown}}, true},
		{"only one client asks, for one thing", 0, []batch{{100, "1.1.1.1", "", "/", ok}, {90, "1.1.1.1", "", "/bad", thrown}}, false},
		{"only one client asks, for two things", 0, []batch{{100, "1.1.1.1", "", "/", ok}, {9, "1.1.1.1", "", "/bad%", thrown}}, true},
		{"errors below one in a hundred", 0, []batch{{900, "1.1.1.%", "", "/", ok}, {8, "2.2.2.%", "", "/", thrown}}, false},
		{"errors as the version before had them", 0.05, []batch{{90, "1.1.1.%", "", "/", ok}, {9, "2.2.2.%", "", "/", thrown}}, false},
		{"more than twice the errors of the version before", 0.04, []batch{{90, "1.1.1.%", "", "/", ok}, {9, "2.2.2.%", "", "/", thrown}}, true},
		{"three timeouts of one client", 0, []batch{{100, "1.1.1.%", "", "/", ok}, {3, "2.2.2.2", "", "/", late}}, true},
		{"two timeouts", 0, []batch{{100, "1.1.1.%", "", "/", ok}, {2, "2.2.2.%", "", "/", late}}, false},
		{"no runtime came free", 0, []batch{{100, "1.1.1.%", "", "/", ok}, {90, "2.2.2.%", "", "/", busy}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			trial := newTrial(Probation{ErrorRate: 0.01, MinErrors: 5, Window: 30 * time.Second}, time.Now(), c.before)
			got := false
			for _, b := range c.calls {
				for i := range b.times {
					got = trial.observe(clientOf(b.request(i)), inputOf(b.request(i)), scripting.Decision{Outcome: b.outcome, Err: errors.New("why")}) || got
				}
			}
			if got != c.want {
				t.Errorf("taken back: %v, want %v: %v", got, c.want, trial.reason())
			}
		})
	}
}

func TestProbationEndsAfterItsTimeAndItsCalls(t *testing.T) {
	began := time.Now()
	trial := newTrial(Probation{ErrorRate: 0.01, MinErrors: 5, Window: 30 * time.Second}, began, 0)
	later := began.Add(time.Minute)
	for range trialCalls - 1 {
		trial.observe(0, 0, scripting.Decision{})
	}
	if trial.isOver(later) {
		t.Error("it is over before its calls")
	}
	trial.observe(0, 0, scripting.Decision{})
	if trial.isOver(began.Add(29 * time.Second)) {
		t.Error("it is over before its time")
	}
	if !trial.isOver(later) {
		t.Error("it is not over")
	}
}
