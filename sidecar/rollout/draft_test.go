package rollout_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outrider/scripting"
	"outrider/sidecar/rollout"
)

func TestADraftIsTriedOnWhatWasRecordedAndNothingChanges(t *testing.T) {
	s := open(t, "function route(req) { return req.path === '/a' ? 'one' : 'two'; }")
	for _, path := range []string{"/a", "/b", "/c"} {
		s.decides(path)
	}
	v := s.Try([]byte("function route(req) { return req.path === '/b' ? 'two' : 'one'; }"))
	if v.Fault != nil || v.Moves.Compared != 3 || v.Moves.Moved != 1 || !strings.Contains(v.Moves.String(), "1 two->one") {
		t.Errorf("%+v %s", v, v.Moves.String())
	}
	if got := s.decides("/c"); got != "two" {
		t.Errorf("the draft decides: %s", got)
	}
}

func TestADraftThatDoesNotLoadTellsWhere(t *testing.T) {
	s := open(t, always("one"))
	v := s.Try([]byte("function route(req) {\n  return 'one;\n}"))
	at, ok := errors.AsType[*scripting.LoadError](v.Fault)
	if !ok || at.Line != 2 || v.Version != "" {
		t.Errorf("%+v", v)
	}
	if v := s.Try([]byte("let n = 0;\nfunction route() { n++; return 'one'; }")); v.Fault != nil || len(v.Warnings) != 1 {
		t.Errorf("no warning of a write to an outer variable: %+v", v)
	}
}

func TestADraftMayImportWhatTheScriptMay(t *testing.T) {
	s := open(t, always("one"))
	writeBeside(t, s, "lib.js", "export const to = 'two';")
	if v := s.Try([]byte("import { to } from './lib.js';\nexport function route() { return to; }")); v.Fault != nil {
		t.Error(v.Fault)
	}
	if v := s.Try([]byte("import { to } from './gone.js';\nexport function route() { return to; }")); v.Fault == nil {
		t.Error("an import of nothing is fine")
	}
}

func TestASavedDraftIsActiveAtOnce(t *testing.T) {
	s := open(t, always("one"))
	if err := os.Chmod(s.file, 0o640); err != nil {
		t.Fatal(err)
	}
	before, err := s.Text()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save([]byte(always("two")), before.Hash); err != nil {
		t.Fatal(err)
	}
	if got := s.decides("/"); got != "two" {
		t.Errorf("decides %s", got)
	}
	if info, err := os.Stat(s.file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode: %v %v", info.Mode(), err)
	}
	if err := s.Save([]byte(always("one")), before.Hash); !errors.Is(err, rollout.ErrChanged) {
		t.Errorf("what somebody else has saved is overwritten: %v", err)
	}
}

func TestASavedDraftGoesWhereALinkLeads(t *testing.T) {
	s := open(t, always("one"))
	target := filepath.Join(t.TempDir(), "real.js")
	if err := errors.Join(os.Rename(s.file, target), os.Symlink(target, s.file)); err != nil {
		t.Fatal(err)
	}
	now, err := s.Text()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save([]byte(always("two")), now.Hash); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(target); err != nil || string(text) != always("two") {
		t.Errorf("the link's target holds %q %v", text, err)
	}
}

func writeBeside(t *testing.T, s *site, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.file), name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
