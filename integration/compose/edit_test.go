//go:build integration

package compose_test

import (
	"strings"
	"testing"
	"time"
)

func TestAnEditOfTheMountedScriptRoutesUnderLoad(t *testing.T) {
	s := openShop(t)
	l := s.startLoad(200, s.at("a", "/one/"), s.at("b", "/one/"), s.at("c", "/one/"))
	l.awaitMore(s, 200)

	saved := time.Now()
	s.write("default.js", "function route() { return 'two'; }")
	s.awaitRoute("app-c", "app-d")
	routed := time.Now()
	l.awaitMore(s, 200)

	broken := time.Now()
	s.write("default.js", "function route() { return 'one' + ; }")
	for _, pair := range pairs {
		s.eventually("sidecar-"+pair+" refuses the broken script", func() bool {
			return strings.Contains(s.logs("sidecar-"+pair), "script refused")
		})
	}
	l.awaitMore(s, 200)

	mended := time.Now()
	s.write("default.js", "function route() { return 'one'; }")
	s.awaitRoute("app-a", "app-b")
	restored := time.Now()
	l.awaitMore(s, 200)

	answers := l.stop()
	answers.expectFine(t, 800)
	answers.until(saved).expectShares(t, 30, "app-a", "app-b")
	answers.since(routed).until(broken).expectShares(t, 30, "app-c", "app-d")
	answers.since(broken).until(mended).expectShares(t, 30, "app-c", "app-d")
	answers.since(restored).expectShares(t, 30, "app-a", "app-b")
}

// awaitRoute waits until every sidecar sends /one/ to one of these apps.
func (s *shop) awaitRoute(apps ...string) {
	s.t.Helper()
	for _, pair := range pairs {
		s.eventually("sidecar-"+pair+" routes by the new script", func() bool {
			app := ask(s.at(pair, "/one/")).app
			return app != "" && strings.Contains(strings.Join(apps, " "), app)
		})
	}
}
