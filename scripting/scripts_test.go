package scripting

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"outrider/scripts"
)

// shipped loads one of the scripts that come with Outrider, and wants it without
// a warning.
func shipped(t *testing.T, name string) *rig {
	t.Helper()
	code, err := fs.ReadFile(scripts.Files, name)
	if err != nil {
		t.Fatal(err)
	}
	s := load(t, string(code))
	if said := s.messages(); said != "" {
		t.Errorf("%s: %s", name, said)
	}
	return s
}

// A row is a request and what an example decides on it.
type row struct {
	request *req
	cluster string
	outcome Outcome
	rule    string
	status  int
}

func (r *rig) expect(t *testing.T, rows ...row) {
	t.Helper()
	for _, want := range rows {
		d := r.Route(want.request)
		status := 0
		if d.Respond != nil {
			status = d.Respond.Status
		}
		if d.Cluster != want.cluster || d.Outcome != want.outcome || d.Rule != want.rule || status != want.status {
			t.Errorf("%s %s: %+v, want %+v", want.request.method, want.request.path, d, want)
		}
	}
}

func TestDefaultScriptIsTheBuiltInRule(t *testing.T) {
	s := shipped(t, "default.js")
	s.expect(t,
		row{request: get("/one/x"), cluster: "one"},
		row{request: get("/one"), cluster: "two"},
		row{request: get("/"), cluster: "two"})
	const rule = "function route(req) {\n  return req.path.startsWith('/one/') ? 'one' : 'two';\n}\n"
	if !strings.HasSuffix(string(scripts.Default), rule) {
		t.Errorf("default.js is\n%s", scripts.Default)
	}
}

func TestPrefixTableExample(t *testing.T) {
	shipped(t, "examples/prefix-table.js").expect(t,
		row{request: get("/one/x"), cluster: "one", rule: "/one/"},
		row{request: get("/one/archive/2024"), cluster: "two", rule: "/one/archive/"},
		row{request: get("/assets/a.css"), cluster: "one", rule: "/assets/"},
		row{request: get("/elsewhere"), cluster: "two"})
}

func TestHeaderCanaryExample(t *testing.T) {
	s := shipped(t, "examples/header-canary.js")
	s.expect(t,
		row{request: get("/").with("X-Canary", "always"), cluster: "two", rule: "asked for"},
		row{request: get("/").with("X-Canary", "never"), cluster: "one", rule: "declined"})
	drawn := 0
	for i := range 2000 {
		user := strings.Repeat("u", i%40) + string(rune('a'+i%26)) + strings.Repeat("x", i/40)
		first, second := s.Route(get("/").with("Cookie", "user="+user)), s.Route(get("/other").with("Cookie", "a=b; user="+user))
		if first.Cluster != second.Cluster {
			t.Fatalf("%s is not always on the same side", user)
		}
		if first.Cluster == "two" {
			drawn++
		}
	}
	if drawn < 50 || drawn > 150 {
		t.Errorf("%d of 2000 users were drawn, want about 100", drawn)
	}
}

func TestMaintenanceExample(t *testing.T) {
	office := get("/shop/x")
	office.ip = "192.0.2.10"
	shipped(t, "examples/maintenance.js").expect(t,
		row{request: get("/"), cluster: "one"},
		row{request: get("/shop/cart"), outcome: Responded, rule: "maintenance", status: 503},
		row{request: get("//%73hop/./cart"), outcome: Responded, rule: "maintenance", status: 503},
		row{request: office, cluster: "one"})
}

func TestFallbackExample(t *testing.T) {
	s := shipped(t, "examples/fallback.js")
	post := get("/").with("X-Priority", "low")
	post.method = "POST"
	s.expect(t, row{request: get("/"), cluster: "one"}, row{request: post, cluster: "one"})
	s.fleet.set("one", 0)
	s.expect(t,
		row{request: get("/"), cluster: "two", outcome: Fallback},
		row{request: post, outcome: Responded, rule: "shed", status: 503})
}

func TestEveryExampleIsTested(t *testing.T) {
	names, err := fs.Glob(scripts.Files, "examples/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		names[i] = path.Base(name)
	}
	if want := []string{"fallback.js", "header-canary.js", "maintenance.js", "prefix-table.js"}; !slices.Equal(names, want) {
		t.Errorf("examples are %v, tested are %v", names, want)
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
