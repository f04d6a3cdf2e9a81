package rollout_test

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAChangeIsSeenHoweverTheFileIsReplaced(t *testing.T) {
	for name, replace := range map[string]func(s *site, script string){
		"written in place": func(s *site, script string) { s.write(script) },
		"by an editor, which writes another file and renames it": func(s *site, script string) {
			must(t, os.WriteFile(s.file+"~", []byte(script), 0o600))
			must(t, os.Rename(s.file+"~", s.file))
		},
		"by an editor, which moves the old one away first": func(s *site, script string) {
			must(t, os.Rename(s.file, s.file+".bak"))
			s.write(script)
		},
		"half, then whole": func(s *site, script string) {
			s.write(script[:len(script)/2])
			s.write(script)
		},
		"removed for a moment": func(s *site, script string) {
			must(t, os.Remove(s.file))
			s.await("it has been looked for", func() bool { _, err := os.Stat(s.file); return err != nil })
			s.write(script)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, always("one")).watched()
			s.awaitDecision("one")
			for _, cluster := range []string{"two", "one", "two"} {
				replace(s, always(cluster))
				s.awaitDecision(cluster)
			}
			if n := s.log.count("refused"); n > 0 {
				t.Errorf("something was refused %d times", n)
			}
		})
	}
}

// Kubernetes mounts a ConfigMap as links to a directory behind a link, which it
// replaces.
func TestASwappedLinkIsAChange(t *testing.T) {
	dir := t.TempDir()
	publish := func(version, script string) {
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, version, "route.js"), []byte(script), 0o600))
		must(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	publish("..1", always("one"))
	must(t, os.Symlink(filepath.Join("..data", "route.js"), filepath.Join(dir, "route.js")))
	s := open(t, "", func(with *setup) { with.settings.File = filepath.Join(dir, "route.js") }).watched()
	s.awaitDecision("one")
	publish("..2", always("two"))
	s.awaitDecision("two")
}

func TestABrokenFileChangesNothingAndIsToldOnce(t *testing.T) {
	s := open(t, always("one")).watched()
	s.write("function route() {\n  return 'two' + ;\n}")
	s.await("it is refused", func() bool { return s.log.count("script refused") > 0 })
	if got := s.decides("/"); got != "one" {
		t.Errorf("it decides %s", got)
	}
	if fault := s.Status().Fault; fault == nil {
		t.Error("the status does not tell of it")
	}
	s.write(always("one"))
	s.await("taking the edit back clears the fault", func() bool { return s.Status().Fault == nil })
	if n := s.log.count("script refused"); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

func TestAMissingScriptIsToldAndTheActiveOneGoesOn(t *testing.T) {
	s := open(t, always("one")).watched()
	must(t, os.Remove(s.file))
	s.await("it is told", func() bool { return s.log.count("script refused") == 1 })
	if got := s.decides("/"); got != "one" {
		t.Errorf("it decides %s", got)
	}
	s.write(always("two"))
	s.awaitDecision("two")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestChangedDataMakesAVersionAndBrokenDataDoesNot(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data.json")
	must(t, os.WriteFile(data, []byte(`{"to": "one"}`), 0o600))
	s := open(t, "function route(req, ctx) { return ctx.data.to; }", func(with *setup) { with.settings.Data = data }).watched()
	s.awaitDecision("one")
	before := s.Status().Version
	must(t, os.WriteFile(data, []byte("{\n  \"to\": two\n}"), 0o600))
	s.await("the fault has its place", func() bool { return s.log.count("stays: data.json:2:") == 1 })
	if got := s.decides("/"); got != "one" || s.Status().Version != before {
		t.Errorf("it decides %s, by version %s, before %s", got, s.Status().Version, before)
	}
	must(t, os.WriteFile(data, []byte(`{"to": "two"}`), 0o600))
	s.awaitDecision("two")
	if s.Status().Version == before {
		t.Error("it is the same version")
	}
}

func TestAnImportedFileIsWatchedToo(t *testing.T) {
	dir := t.TempDir()
	lib := filepath.Join(dir, "lib.ts")
	must(t, os.WriteFile(filepath.Join(dir, "route.ts"), []byte("import { cluster } from './lib';\nexport default (): string => cluster;"), 0o600))
	must(t, os.WriteFile(lib, []byte("export const cluster: string = 'one';"), 0o600))
	s := open(t, "", func(with *setup) { with.settings.File = filepath.Join(dir, "route.ts") }).watched()
	s.awaitDecision("one")
	must(t, os.WriteFile(lib, []byte("export const cluster: = 'two';"), 0o600))
	s.await("the fault names the imported file", func() bool { return s.log.count("stays: lib.ts:1:23: SyntaxError") == 1 })
	must(t, os.Remove(lib))
	s.await("a missing file is told", func() bool { return s.log.count(`stays: route.ts:1:25: there is no "./lib" to import`) == 1 })
	must(t, os.WriteFile(lib, []byte("export const cluster: string = 'two';"), 0o600))
	s.awaitDecision("two")
}

// A directory that is replaced takes its watch along, as a mount from another
// system may lose events: only looking finds the new file.
func TestAChangeOfWhichNoEventTellsIsSeen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scripts")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "route.js"), []byte(always("one")), 0o600))
	s := open(t, "", func(with *setup) { with.settings.File = filepath.Join(dir, "route.js") }).watched()
	s.awaitDecision("one")
	next := dir + ".next"
	must(t, os.Mkdir(next, 0o700))
	must(t, os.WriteFile(filepath.Join(next, "route.js"), []byte(always("two")), 0o600))
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Rename(next, dir))
	s.awaitDecision("two")
	s.write(always("one")) // and the new directory is watched
	s.awaitDecision("one")
}
