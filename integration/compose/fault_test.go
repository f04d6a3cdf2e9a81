//go:build integration

package compose_test

import (
	"testing"
	"time"
)

// A server may close a connection that rests just when a request is on its way.
func TestABackendThatClosesIdleConnectionsFailsNoRequest(t *testing.T) {
	s := openShop(t)
	e := s.gather()
	l := s.startLoad(200, s.at("a", "/one/"), s.at("b", "/one/"), s.at("c", "/one/"))
	l.awaitMore(s, 100)
	s.tell("app-b", "close_idle=true")
	told := time.Now()
	l.awaitMore(s, 600)
	answers := l.stop()
	answers.expectFine(t, 700)
	report(t, "a backend closes connections as soon as they rest", answers, e.account(answers), 0, 0)
	if n := len(answers.since(told).from("app-b")); n < 200 {
		t.Errorf("app-b gave %d of %d answers: it was not tried", n, len(answers.since(told)))
	}
}
