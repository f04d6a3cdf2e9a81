package rollout_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outrider/scripting/cases"
	"outrider/sidecar/rollout"
)

// tested is a script that has to send / to the cluster two.
func tested(t *testing.T) func(*setup) {
	file := filepath.Join(t.TempDir(), "route.test.yaml")
	must(t, os.WriteFile(file, []byte("- { request: GET /, expect: two }\n- { request: GET /b, expect: two }\n"), 0o600))
	return func(with *setup) {
		with.settings.Tests = []string{file}
		with.settings.Clusters = []cases.Cluster{{Name: "one", Backends: []string{"a:1"}}, {Name: "two", Backends: []string{"b:1"}}}
	}
}

func TestAVersionBecomesActiveOnlyWhenItMeetsItsTests(t *testing.T) {
	s := open(t, always("two"), tested(t)).watched()
	s.write(always("one"))
	s.await("it is refused", func() bool {
		return s.log.count("script refused, "+s.Status().Version+" stays: 2 of 2 tests failed") == 1
	})
	if got := s.decides("/"); got != "two" {
		t.Errorf("it decides %s", got)
	}
	s.write(always("two") + "// again")
	s.await("it is active, and tells of its tests", func() bool { return s.log.count("(2 tests; of the last 1 requests none moves)") == 1 })
}

func TestChangedTestsMakeAVersionOfTheirOwn(t *testing.T) {
	with := tested(t)
	s := open(t, always("two"), with).watched()
	before := s.Status().Version
	var at setup
	with(&at)
	must(t, os.WriteFile(at.settings.Tests[0], []byte("- { request: GET /, expect: two }\n"), 0o600))
	s.await("another version", func() bool { return s.Status().Version != before })
	must(t, os.WriteFile(at.settings.Tests[0], []byte("- { request: GET /, expct: two }\n"), 0o600))
	s.await("tests that are none are refused by their line", func() bool { return s.log.count("route.test.yaml:1:21: ") == 1 })
}

func TestAScriptThatDoesNotMeetItsTestsDoesNotStart(t *testing.T) {
	_, err := try(t, always("one"), tested(t))
	if err == nil || !strings.Contains(err.Error(), "2 of 2 tests failed") || !strings.Contains(err.Error(), "expected two, got one") {
		t.Errorf("%v", err)
	}
}

func TestAVersionThatMovesTooManyRequestsIsRefused(t *testing.T) {
	s := open(t, always("one"), func(with *setup) { with.settings.MaxMoved = 0.5 }).watched()
	for range 4 {
		s.decides("/")
	}
	s.write(`function route(req) { return req.ip ? 'two' : 'one'; }`)
	s.await("what it would move is not known", func() bool { return s.log.count("of 4 it is not known") == 1 })
	s.awaitDecision("two")
	for range 100 {
		s.decides("/")
	}
	s.write(`function route(req) { return req.ip ? 'one' : 'two'; }`)
	s.await("it is refused", func() bool { return s.log.count("100 move: 100 two->one; script.max_moved is 50%") == 1 })
	if got := s.decides("/"); got != "two" {
		t.Errorf("it decides %s", got)
	}
}

// Who tests a script beside a sidecar names the version as the sidecar does.
func TestTheSubjectIsTheVersionThatWouldBecomeActive(t *testing.T) {
	var with setup
	s := open(t, always("two"), tested(t), func(set *setup) { with = *set })
	subject, err := rollout.Subject(with.settings)
	if err != nil || subject.Options.Version != s.Status().Version || string(subject.Source.Code) != always("two") {
		t.Errorf("%+v, %v; the version is %s", subject, err, s.Status().Version)
	}
	with.settings.File = "none.js"
	if _, err := rollout.Subject(with.settings); err == nil {
		t.Error("a script that is not there is a subject")
	}
}
