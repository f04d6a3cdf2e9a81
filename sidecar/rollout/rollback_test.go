package rollout_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outrider/scripting"
	"outrider/sidecar/rollout"
)

const brokenForSome = `function route(req) {
  if (req.path.startsWith('/some/')) return req.nothing.here;
  return 'two';
}`

// from is a request of one of many clients.
func from(i int, path string) get { return get{path: path, ip: fmt.Sprintf("192.0.2.%d", i)} }

func TestOnProbationTheVersionBeforeDecidesWhatTheNewOneFailsOn(t *testing.T) {
	s := open(t, always("one")).watched()
	before := s.Status().Version
	s.write(brokenForSome)
	s.awaitDecision("two")
	d := s.Route(from(1, "/some/thing"))
	if name(d) != "one" || d.Version != before {
		t.Errorf("the request goes to %s by %s, not to one by %s", name(d), d.Version, before)
	}
	if d.Spared == nil || d.Spared.Outcome != scripting.Exception || !strings.Contains(d.Spared.Err.Error(), "route.js:2:") {
		t.Errorf("the failure is not told: %+v", d.Spared)
	}
	if s := s.Status(); !s.OnProbation || s.Previous != before {
		t.Errorf("the status is %+v", s)
	}
}

func TestAVersionThatFailsForSeveralClientsIsTakenBack(t *testing.T) {
	s := open(t, always("one")).watched()
	before := s.Status().Version
	s.write(brokenForSome)
	s.awaitDecision("two")
	for i := range 5 {
		if got := name(s.Route(from(i, "/some/thing"))); got != "one" {
			t.Fatalf("a client saw %s", got)
		}
	}
	s.await("the version before is back", func() bool { return s.Status().Version == before })
	if s.log.count("taken back, "+before+" is active again: 5 of ") != 1 {
		t.Error("it is not told")
	}

	// The files hold it still: it stays out, whoever asks.
	s.reload(func(*rollout.Settings) {})
	if got := s.Status().Version; got != before {
		t.Errorf("it is taken up again: %s", got)
	}
	if fault := s.Status().Fault; fault == nil || !strings.Contains(fault.Error(), "was taken back (5 of ") || !strings.Contains(fault.Error(), "until the files change") {
		t.Errorf("the status tells %v", fault)
	}
	s.write(strings.Replace(brokenForSome, "req.nothing.here", "'two'", 1))
	s.awaitDecision("two")
	if s.Status().Fault != nil {
		t.Errorf("the mended version has the fault %v", s.Status().Fault)
	}
}

func TestOneClientAloneTakesNoVersionBack(t *testing.T) {
	s := open(t, always("one")).watched()
	s.write(brokenForSome)
	s.awaitDecision("two")
	for i := range 100 {
		s.Route(get{path: fmt.Sprintf("/some/%d", i), ip: "198.51.100.7", cookie: "bad"})
		s.Route(from(i, "/"))
	}
	again := always("one") + " // a change that is seen proves that the rule has been asked"
	s.write(again)
	s.awaitDecision("one")
	if n := s.log.count("taken back"); n != 0 {
		t.Errorf("it was taken back:\n%s", s.log.text.String())
	}
}

func TestARollbackByHandLastsUntilTheFilesChange(t *testing.T) {
	s := open(t, always("one"), func(with *setup) { with.settings.Timeout = time.Second }).watched()
	if err := s.Rollback(); err == nil {
		t.Error("there is nothing to go back to, and yet it does")
	}
	s.write(always("two"))
	s.awaitDecision("two")
	if err := s.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := s.decides("/"); got != "one" {
		t.Fatalf("it decides %s", got)
	}
	if err := s.Rollback(); err == nil {
		t.Error("it goes back twice")
	}
	s.write(always("two") + "\n")
	s.awaitDecision("two")
}

// reload has it go on with other settings.
func (s *site) reload(change func(*rollout.Settings)) {
	s.t.Helper()
	settings := s.settings()
	change(&settings)
	candidate, err := s.Prepare(settings)
	if err != nil {
		s.t.Fatal(err)
	}
	candidate.Activate()
}

func TestOtherSettingsMakeNoVersionToGoBackTo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	keeps := func(with *setup) { with.options.StateDir = dir }
	s := open(t, always("one"), keeps).watched()
	before := s.Status().Version
	s.write(always("two"))
	s.awaitDecision("two")
	for i := range 3 {
		s.reload(func(with *rollout.Settings) { with.Timeout = time.Duration(i+2) * time.Second })
	}
	if got := s.Status().Previous; got != before || !s.Status().OnProbation {
		t.Fatalf("the version before is %q, not %s: %+v", got, before, s.Status())
	}
	must(t, s.Rollback())
	if got := s.decides("/"); got != "one" {
		t.Errorf("after a rollback it decides %s", got)
	}
	if got := open(t, always("two"), keeps).decides("/"); got != "one" {
		t.Errorf("after a restart it decides %s", got)
	}
}

func TestTheVersionThatComesBackHasTheSettingsOfNow(t *testing.T) {
	s := open(t, brokenForSome).watched()
	s.write(always("one"))
	s.awaitDecision("one")
	s.reload(func(with *rollout.Settings) { with.OnError = "one" })
	must(t, s.Rollback())
	if d := s.Route(from(1, "/some/x")); !d.Outcome.Failed() || d.Cluster != "one" {
		t.Errorf("%+v, and on_error says one", d)
	}
}

func TestAVersionThatWasTakenBackDoesNotKeepOtherSettingsOut(t *testing.T) {
	s := open(t, brokenForSome).watched()
	good := s.Status().Version
	s.write(always("one"))
	s.awaitDecision("one")
	must(t, s.Rollback())
	s.reload(func(with *rollout.Settings) { with.OnError = "one" })
	if d := s.Route(from(1, "/some/x")); d.Version != good || d.Cluster != "one" {
		t.Errorf("%+v, and on_error says one", d)
	}
	if fault := s.Status().Fault; fault == nil || s.log.count("script refused, "+good+" stays") != 1 {
		t.Errorf("that the files hold another version is not told: %v\n%s", fault, s.log.text.String())
	}
	s.reload(func(with *rollout.Settings) { with.OnError = "one" })
	if s.Status().Fault == nil {
		t.Error("a second time it is not told")
	}
	s.write(always("two"))
	s.awaitDecision("two")
}

// Sorting is one built-in call of the engine, which nothing can interrupt.
const stuckForSome = `function route(req) {
  if (req.path === '/') return 'two';
  new Array(700000).fill('all the same').sort();
  return 'one';
}`

func TestAVersionWhoseCallsDoNotEndIsTakenBack(t *testing.T) {
	quick := func(with *setup) { with.settings.Timeout = 10 * time.Millisecond }
	s := open(t, always("one"), quick).watched()
	before := s.Status().Version
	s.write(stuckForSome)
	s.await("it is active", func() bool { return s.Status().Version != before })
	for i := range 5 {
		s.Route(from(i, "/some"))
	}
	s.await("the version before is back", func() bool { return s.Status().Version == before })
}

func TestAVersionWhoseCallsDoNotEndIsNotAskedAnyMore(t *testing.T) {
	s := open(t, stuckForSome, func(with *setup) {
		with.settings.Timeout = 10 * time.Millisecond
		with.settings.OnError = "one"
	}).watched()
	for i := range 5 {
		s.Route(from(i, "/some"))
	}
	s.await("it is told", func() bool { return s.log.count("is not asked any more") == 1 })
	if d := s.Route(from(1, "/")); d.Outcome != scripting.Busy || d.Cluster != "one" {
		t.Errorf("it is asked still: %+v", d)
	}
	s.write(always("two"))
	s.awaitDecision("two")
}

func TestTheLastGoodVersionOutlivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	keeps := func(with *setup) { with.options.StateDir = dir }
	good := open(t, always("two"), keeps).Status().Version

	s := open(t, "function route( {", keeps)
	if got, version := s.decides("/"), s.Status().Version; got != "two" || version != good {
		t.Errorf("it decides %s by %s, not two by %s", got, version, good)
	}
	if s.log.count("script refused, the last good version "+good+" goes on") != 1 || s.Status().Fault == nil {
		t.Errorf("it is not told:\n%s", s.log.text.String())
	}
	if _, err := try(t, "function route( {"); err == nil {
		t.Error("without a state directory it starts on a script that does not load")
	}
}

func TestAVersionThatWasTakenBackStaysOutOverARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	keeps := func(with *setup) { with.options.StateDir = dir }
	s := open(t, always("one"), keeps).watched()
	good := s.Status().Version
	s.write(brokenForSome)
	s.awaitDecision("two")
	must(t, s.Rollback())
	if got := open(t, brokenForSome, keeps).Status().Version; got != good {
		t.Errorf("%s is active, not %s", got, good)
	}
}
