package rollout_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"outrider/scripting/record"
	"outrider/sidecar/rollout"
)

// shadowed has another script asked beside the active one, on all requests.
func shadowed(t *testing.T, script string) (file string, option func(*setup)) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "next.js")
	must(t, os.WriteFile(file, []byte(script), 0o600))
	return file, func(with *setup) { with.settings.Shadow = rollout.Shadowing{File: file, Sample: 1} }
}

func (s *site) awaitShadow(version string) string {
	s.t.Helper()
	s.await("the shadow is asked", func() bool {
		now := s.Status().Shadow.Version
		return now != "" && now != version
	})
	return s.Status().Shadow.Version
}

func TestAShadowIsAskedAndDecidesNothing(t *testing.T) {
	file, option := shadowed(t, `function route(req) { return req.path === '/b' ? 'two' : req.path === '/c' ? null.x : 'one'; }`)
	s := open(t, always("one"), option).watched()
	first := s.awaitShadow("")
	for range 10 {
		for _, path := range []string{"/a", "/b", "/c"} {
			if got := s.decides(path); got != "one" {
				t.Fatalf("the shadow decides: %s", got)
			}
		}
	}
	counts := s.ShadowCounts()
	s.await("all were looked at", func() bool {
		return counts.Same.Load()+counts.Moved.Load()+counts.Failed.Load()+counts.Dropped.Load() == 30
	})
	if same, moved, failed := counts.Same.Load(), counts.Moved.Load(), counts.Failed.Load(); same != 10 || moved != 10 || failed != 10 {
		t.Errorf("%d decide the same, %d move, on %d it fails", same, moved, failed)
	}
	state := s.Status().Shadow
	move := record.Move{From: "one", To: "two"}
	if state.Moves.By[move] != 10 || len(state.Moves.Samples[move]) != 3 || state.Moves.Samples[move][0] != "GET /b" || state.Failed != 10 {
		t.Errorf("the table is %+v", state)
	}

	// Another shadow begins anew; one that is none is told.
	must(t, os.WriteFile(file, []byte(always("two")), 0o600))
	second := s.awaitShadow(first)
	if state := s.Status().Shadow; state.Moves.Compared != 0 {
		t.Errorf("it begins with %+v", state)
	}
	must(t, os.WriteFile(file, []byte("function route( {"), 0o600))
	s.await("it is told", func() bool {
		return s.log.count("the shadow is refused, nothing is shadowed: next.js:1:18: SyntaxError") == 1
	})
	if got := s.decides("/"); got != "one" {
		t.Errorf("it decides %s", got)
	}
	must(t, os.WriteFile(file, []byte(always("two")), 0o600))
	if again := s.awaitShadow(""); again != second {
		t.Errorf("%s became %s", second, again)
	}
}

func TestAShadowThatLoopsDelaysNobody(t *testing.T) {
	_, option := shadowed(t, `function route() { for (;;); }`)
	s := open(t, always("one"), option, func(with *setup) { with.settings.Timeout = time.Second }).watched()
	s.awaitShadow("")
	for range 2000 {
		if got := s.decides("/"); got != "one" {
			t.Fatalf("it decides %s", got)
		}
	}
	if n := s.ShadowCounts().Dropped.Load(); n < 1000 {
		t.Errorf("only %d of 2,000 were dropped while the shadow looped", n)
	}
}

func TestAShadowComesAndGoesWithTheSettings(t *testing.T) {
	file, _ := shadowed(t, always("two"))
	s := open(t, always("one")).watched()
	settings := s.settings()
	change := func(to rollout.Shadowing) {
		t.Helper()
		settings.Shadow = to
		candidate, err := s.Prepare(settings)
		must(t, err)
		candidate.Activate()
	}
	before := s.Status().Version
	change(rollout.Shadowing{File: file, Sample: 0.5})
	s.awaitShadow("")
	change(rollout.Shadowing{})
	s.await("it is gone", func() bool { return s.Status().Shadow.Version == "" })
	if now := s.Status(); now.Version != before || now.OnProbation {
		t.Errorf("the active version has changed: %+v", now)
	}
}
