package scripting

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"outrider/scripts"
)

func TestDefaultScriptIsTheBuiltInRule(t *testing.T) {
	s := load(t, string(scripts.Default))
	for path, want := range map[string]string{"/one/x": "one", "/one": "two", "/": "two"} {
		if d := s.Route(get(path)); d.Cluster != want || d.Outcome != OK {
			t.Errorf("%s: %+v, want %s", path, d, want)
		}
	}
	if said := s.messages(); said != "" {
		t.Error(said)
	}
	const rule = "function route(req) {\n  return req.path.startsWith('/one/') ? 'one' : 'two';\n}\n"
	if !strings.HasSuffix(string(scripts.Default), rule) {
		t.Errorf("default.js is\n%s", scripts.Default)
	}
}

// The guide's table and the engine's are the same.
func TestGuideListsWhatIsNotAvailable(t *testing.T) {
	guide, err := fs.ReadFile(scripts.Files, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	unlisted := []string{"setImmediate", "clearTimeout", "clearInterval", "BigInt64Array", "BigUint64Array"} // siblings of listed ones
	for name := range absent {
		if !strings.Contains(string(guide), "`"+name+"`") && !slices.Contains(unlisted, name) {
			t.Errorf("the guide does not tell that %s is not available", name)
		}
	}
}
