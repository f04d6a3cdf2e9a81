package cases_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/google/jsonschema-go/jsonschema"

	"outrider/scripting/cases"
)

// Each fault has its place, and says what to do.
func TestATableWithFaultsSaysWhereAndWhat(t *testing.T) {
	for _, c := range []struct{ table, says string }{
		{"- requst: GET /\n  expect: one", `t.yaml:1:3: a case has no key "requst"; did you mean "request"?`},
		{"- requst: GET /\n  expect: one", "a case needs the key request\n  - requst: GET /\n    ^"},
		{"- request: GET /", "t.yaml:1:3: a case needs the key expect"},
		{"- request: GET /\n  cluster: one\n  expect: one", `2:3: a case has no key "cluster"; cluster stands under expect`},
		{"- request: GET /\n  bogus: one\n  expect: one", `has no key "bogus"; it has name, request, headers`},
		{"- request: GET /\n  expect: { clutser: one }", `2:13: expect has no key "clutser"; did you mean "cluster"?`},
		{"- request: GET /\n  expect: { respond: { stauts: 200 } }", `respond has no key "stauts"; did you mean "status"?`},
		{"- request: GET /\n  expect: { respond: 20 }", `2:22: "20" is no status; an answer has one from 200 to 599`},
		{"- request: GET /\n  expect: { outcome: execption }", `there is no outcome "execption"; did you mean "exception"?`},
		{"- request: GET /\n  expect: [one]", "a cluster belongs here, or a section such as { respond: 404 }, not a list"},
		{"- request: GET /\n  expect: {}", "a cluster belongs here"},
		{"- request: GET /\n  expect:", "a cluster belongs here, or a section such as { respond: 404 }, not nothing"},
		{"- request: GET /\n  expect: { cluster: [] }", "the list is empty"},
		{"- request: [GET, /]\n  expect: one", "1:12: a text belongs here, not a list"},
		{"- request: GET /\n  headers: [a]\n  expect: one", "a section belongs here, name: value, not a list"},
		{"- request: GET /\n  headers: { 'a b': c }\n  expect: one", `"a b" is no name of a header`},
		{"- request: GET /\n  headers: { a: \"b\\r\\nc: d\" }\n  expect: one", "the header a has a control character"},
		{"- request: /\n  expect: one", "a request is a method and a path, such as GET /one/, not \"/\""},
		{"- request: GET one\n  expect: one", `the path "one" does not begin with a slash`},
		{"- request: GET / HTTP/1.1\n  expect: one", "leave HTTP/1.1 out"},
		{"- request: GET /a b\n  expect: one", "percent-encode it"},
		{"- request: GET ftp://a/\n  expect: one", `"ftp" is no scheme that comes in here`},
		{"- request: GET /\n  now: noon\n  expect: one", `"noon" is no time; write one such as`},
		{"- request: GET /\n  seed: 0\n  expect: one", `"0" is no seed`},
		{"- request: GET /\n  ip: nobody\n  expect: one", `"nobody" is no IP address`},
		{"- request: GET /\n  data: .nan\n  expect: one", "this is a number that JSON does not have"},
		{"- request: GET /\n  data: [*a]\n  expect: one", "this is an anchor, an alias or a tag"},
		{"- request: GET /\n  expect: { timeout: soon }", `"soon" is no duration; write one such as 2s, or milliseconds`},
		{"- just a text", "1:3: a case is a section, such as { request: GET /, expect: one }, not a text"},
		{"request: GET /", "a table is a list of cases, this is a section"},
		{"- &a { request: GET /, expect: one }", "an anchor, an alias or a tag"},
		{"- request: GET /\n  request: GET /\n  expect: one", "this is not YAML: "},
		{"- request: GET /\n\texpect: one", "a tab can not indent in YAML"},
		{"- { request: GET /, expect: one", "check that every { and [ is closed"},
		{"- { request: GET /, expect: one }\n---\n- {}", "a second document begins here"},
		{"\xff", "this is not UTF-8 text"},
		{strings.Repeat("[", 100), "nested too deeply"},
		{strings.Repeat("- ", 1000), "nested too deeply"},
		{strings.Repeat("? ", 1000), "nested too deeply"},
		{strings.Repeat("&a ", 1000), "nested too deeply"},
		{strings.Repeat("- {}\n", 30000), "too long for one table"},
		{strings.Repeat("#", cases.MaxTable+1), "the file has 1048577 bytes, the most is 1048576"},
	} {
		_, err := cases.ReadTable("t.yaml", []byte(c.table))
		if err == nil {
			t.Errorf("%.60q: no fault", c.table)
			continue
		}
		mustContain(t, err.Error(), c.says)
	}
}

func TestAllFaultsAreToldInTheOrderOfTheFile(t *testing.T) {
	_, err := cases.ReadTable("t.yaml", []byte("- reqest: GET /\n  expect: { outcome: no }\n- x\n"))
	faults, ok := errors.AsType[cases.Faults](err)
	if !ok || len(faults) != 4 {
		t.Fatalf("%v", err)
	}
	for i, f := range faults[1:] {
		if f.At.Line < faults[i].At.Line {
			t.Errorf("%v after %v", f.At, faults[i].At)
		}
	}
}

func TestATableInItsSchemaIsReadAndOthersAreNot(t *testing.T) {
	var s jsonschema.Schema
	if err := json.Unmarshal(cases.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		table string
		good  bool
	}{
		{"", true},
		{"- { request: GET /, expect: one }", true},
		{"- { request: GET /, headers: { A: 1, B: [x, y] }, down: [one], ip: 1.2.3.4, expect: { cluster: [a, b], rule: null } }", true},
		{"- { request: GET /, expect: { respond: { status: 418, headers: { A: null, B: [x] }, body: x } } }", true},
		{"- { request: GET /, expect: { respond: 404, outcome: respond } }", true},
		{"- { request: GET /, data: { a: [1] }, env: { A: 1 }, now: 5, seed: 1, expect: { requestHeaders: { A: null }, responseHeaders: { B: [x] } } }", true},
		{"- { request: GET /, expect: { path: /x, hashKey: null, timeout: 2s } }", true},
		{"- { request: GET /, expect: { timeout: null } }", true},
		{"- { request: GET /, expect: { timeout: 200 } }", true},
		{"- { request: GET /, expect: { timeout: [2s] } }", false},
		{"- { request: GET /, env: [A], expect: one }", false},
		{"- { request: GET / }", false},
		{"- { request: GET /, expect: { clutser: one } }", false},
		{"- { request: GET /, expect: { outcome: fine } }", false},
		{"- { request: GET /, expect: { respond: 20 } }", false},
		{"- { request: [x], expect: one }", false},
		{"a: b", false},
	} {
		text, err := yaml.YAMLToJSON([]byte(c.table))
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if len(text) > 0 {
			if err := json.Unmarshal(text, &value); err != nil {
				t.Fatal(err)
			}
		}
		_, readErr := cases.ReadTable("t.yaml", []byte(c.table))
		if schemaErr := resolved.Validate(value); (schemaErr == nil) != c.good || (readErr == nil) != c.good {
			t.Errorf("%s: schema says %v, reading %v", c.table, schemaErr, readErr)
		}
	}
}

// Whatever the text, reading ends with rows or with faults that lie in it.
func FuzzTable(f *testing.F) {
	for _, seed := range []string{
		"- { request: GET /, expect: one }", "- request: GET /x?y=1\n  headers: { a: [b, c] }\n  down: [one]\n  expect:\n    respond: { status: 200, body: |\n      text\n }\n",
		"- &a b\n- *a", "- ? [a]\n  : b", "a: !!binary x", "- \"\\x00\"", "\ufeff- 1", "- <<: {}", "%YAML 1.2\n---\n- a", "- .nan", "'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, table string) {
		rows, err := cases.ReadTable("t.yaml", []byte(table))
		if err == nil {
			for _, row := range rows {
				if row.Sketch.Line == "" {
					t.Errorf("a case without a request: %+v", row)
				}
			}
			return
		}
		faults, ok := errors.AsType[cases.Faults](err)
		if !ok || len(faults) == 0 {
			t.Fatalf("%v", err)
		}
		lines := strings.Split(table, "\n")
		for _, fault := range faults {
			if fault.At.Line < 1 || fault.At.Line > len(lines) || fault.At.Column < 1 || fault.At.Column > utf8.RuneCountInString(lines[fault.At.Line-1])+1 {
				t.Errorf("%v is not in the text", fault.At)
			}
		}
		if fault := err.Error(); strings.ContainsAny(fault, "\x00\x1b\r") {
			t.Errorf("%q", fault)
		}
	})
}

func TestFilesOfCasesStandBesideTheScript(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"route.test.yaml", "other.test.yaml", "route.test.json"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := cases.Beside(filepath.Join(folder, "route.js"))
	if len(found) != 1 || filepath.Base(found[0]) != "route.test.yaml" {
		t.Errorf("found %v", found)
	}
}
