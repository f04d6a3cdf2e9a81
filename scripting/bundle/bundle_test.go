package bundle_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"outrider/scripting"
	"outrider/scripting/bundle"
)

// files writes files into a new directory, and returns the path of the first.
func files(t *testing.T, list ...[2]string) (entry string) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range list {
		path := filepath.Join(dir, f[0])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, list[0][0])
}

// load builds and loads a script.
func load(t *testing.T, entry string, allowed ...string) (*scripting.Script, *test.Hook, error) {
	t.Helper()
	b, err := bundle.Build(entry, bundle.Options{Imports: allowed})
	if err != nil {
		return nil, nil, err
	}
	log, hook := test.NewNullLogger()
	s, err := scripting.Load(b.Source, scripting.Options{Log: log, Clusters: oneAndTwo{}, Workers: 1})
	if err != nil {
		return nil, hook, err
	}
	t.Cleanup(s.Close)
	return s, hook, nil
}

type oneAndTwo struct{}

func (oneAndTwo) Names() []string { return []string{"one", "two"} }

func (oneAndTwo) Health(name string) (healthy, total int, ok bool) {
	return 1, 1, name == "one" || name == "two"
}

// asked is a request for a path.
type asked string

func (asked) Method() string               { return "GET" }
func (a asked) Path() string               { return string(a) }
func (asked) RawQuery() string             { return "" }
func (asked) Host() string                 { return "test" }
func (asked) Scheme() string               { return "http" }
func (asked) IP() string                   { return "192.0.2.1" }
func (asked) ID() string                   { return "id" }
func (asked) Listener() string             { return "main" }
func (asked) TLS() *scripting.TLS          { return nil }
func (asked) Header(string) (string, bool) { return "", false }
func (asked) HeaderNames() []string        { return nil }

// to is a request to a host.
type to struct {
	asked
	host string
}

func (r to) Host() string { return r.host }

func TestEveryWayToDefineARouteIsAccepted(t *testing.T) {
	lib := [2]string{"lib.js", "export const one = 'one';"}
	for _, entry := range [][2]string{
		{"route.js", "function route() { return 'one'; }"},
		{"route.js", "const route = () => 'one';"},
		{"route.js", "export function route() { return 'one'; }"},
		{"route.js", "export const route = () => 'one';"},
		{"route.js", "function r() { return 'one'; }\nexport { r as route };"},
		{"route.js", "export default () => 'one';"},
		{"route.js", "export default function () { return 'one'; }"},
		{"route.js", "export default function route() { return 'one'; }"},
		{"route.js", "export default defineRoute(() => 'one');"},
		{"route.js", "const route = () => 'one';\nexport default { route };"},
		{"route.js", "export default { route: defineRoute(() => 'one') };"},
		{"route.js", "import { one } from './lib.js';\nfunction route() { return one; }"},
		{"route.js", "import { one } from './lib';\nexport default () => one;"},
		{"route.ts", "function route(req: Outrider.Request): Outrider.Decision { return 'one' as string; }"},
		{"route.ts", "import { one } from './lib';\nexport default defineRoute((req): string => one);"},
		{"route.ts", "const s: string = '//# sourceMappingURL=x';\nexport default () => s === '//# source' + 'MappingURL=x' ? 'one' : 'two';"},
		{"route.mjs", "export default () => 'one';"},
		{"route", "function route() { return 'one'; }"},
		{"route.cjs", "module.exports = { route: () => 'one' };"},
		{"route.js", "let x = null;\nx ??= 'one';\nfunction route() { return x; }"},
	} {
		s, _, err := load(t, files(t, entry, lib))
		if err != nil {
			t.Errorf("%s: %v", entry[1], err)
			continue
		}
		if d := s.Route(asked("/")); d.Cluster != "one" {
			t.Errorf("%s: %+v", entry[1], d)
		}
	}
}

func TestModulesTypeScriptJSONAndPackagesAreBundled(t *testing.T) {
	entry := files(t,
		[2]string{"route.ts", "import { pick } from './lib/pick';\nimport table from './table.json';\nimport { lower } from 'tiny';\nimport old = require('./old.cjs');\nexport default defineRoute((req) => pick(table, lower(req.path)) ?? old.fallback);"},
		[2]string{"lib/pick.ts", "import type { Table } from './types';\nexport function pick(table: Table, path: string): string | undefined { return table[path]; }"},
		[2]string{"lib/types.ts", "export interface Table { [path: string]: string }"},
		[2]string{"table.json", `{ "/a": "one" }`},
		[2]string{"old.cjs", "exports.fallback = 'two';"},
		[2]string{"node_modules/tiny/package.json", `{ "name": "tiny", "main": "./main.js" }`},
		[2]string{"node_modules/tiny/main.js", "exports.lower = (s) => s.toLowerCase();"},
	)
	s, _, err := load(t, entry)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/A": "one", "/b": "two"} {
		if d := s.Route(asked(path)); d.Cluster != want {
			t.Errorf("%s: %+v", path, d)
		}
	}
	b, err := bundle.Build(entry, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range b.Files {
		rest, _ := filepath.Rel(filepath.Dir(entry), f)
		names = append(names, rest)
	}
	if want := []string{"lib/pick.ts", "node_modules/tiny/main.js", "node_modules/tiny/package.json", "old.cjs", "route.ts", "table.json"}; !slices.Equal(names, want) {
		t.Errorf("it was made of %v, want %v", names, want)
	}
}

func TestTheExampleInTypeScript(t *testing.T) {
	s, hook, err := load(t, "../../scripts/examples/tenants.ts")
	if err != nil {
		t.Fatal(err)
	}
	if said := messages(hook); said != "" {
		t.Errorf("it is warned of %s", said)
	}
	for host, want := range map[string]string{"acme.example": "one", "globex.example": "two"} {
		if d := s.Route(to{"/", host}); d.Cluster != want || d.Rule+".example" != host {
			t.Errorf("%s: %+v", host, d)
		}
	}
	if d := s.Route(to{"/", "evil.example"}); d.Respond == nil || d.Respond.Status != 404 {
		t.Errorf("%+v", d)
	}
}

func TestCircularImportsWork(t *testing.T) {
	s, _, err := load(t, files(t,
		[2]string{"route.js", "import { b } from './b.js';\nexport const a = () => 'one';\nexport function route() { return b(); }"},
		[2]string{"b.js", "import { a } from './route.js';\nexport const b = () => a();"},
	))
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Route(asked("/")); d.Cluster != "one" {
		t.Errorf("%+v", d)
	}
}

func TestFaultsNameTheAuthorsOwnFile(t *testing.T) {
	lib := func(text string) [2]string { return [2]string{"lib/lib.ts", text} }
	const useLib = "import { f } from './lib/lib';\nexport default () => f();"
	for _, c := range []struct {
		files [][2]string
		says  string
	}{
		{[][2]string{{"route.js", "function route() {\n  return 'two' + ;\n}"}}, "route.js:2:18: SyntaxError: Unexpected token ;\n    return 'two' + ;\n                   ^"},
		{[][2]string{{"route.ts", "export default () => {\n  const x: = 3;\n}"}}, "route.ts:2:12: SyntaxError: Unexpected \"=\"\n    const x: = 3;\n             ^"},
		{[][2]string{{"route.ts", useLib}, lib("\n/* ü */ export let = 3;")}, "lib/lib.ts:2:"},
		{[][2]string{{"route.ts", "import { g } from './lib/lib';\nexport default () => g();"}, lib("export const f = 1;")}, `route.ts:1:10: SyntaxError: No matching export in "lib/lib.ts" for import "g"`},
		{[][2]string{{"route.ts", "import x from './none';\nexport default () => x;"}}, `route.ts:1:15: there is no "./none" to import: a path begins with ./`},
		{[][2]string{{"route.ts", "import x from 'none';\nexport default () => x;"}}, `there is no "none" to import: a path begins with ./, and a package lies in node_modules`},
		{[][2]string{{"route.ts", "import x from 'fs';\nexport default () => x;"}}, `"fs" is a part of Node, which is not here`},
		{[][2]string{{"route.ts", "import x from 'node:fs';\nexport default () => x;"}}, `route.ts:1:15: SyntaxError: "node:fs" cannot be imported`},
		{[][2]string{{"route.ts", "import x from 'https://example.com/x.js';\nexport default () => x;"}}, `"https://example.com/x.js" cannot be imported`},
		{[][2]string{{"route.ts", "import x from './x.txt';\nexport default () => x;"}, {"x.txt", "hello"}}, "x.txt is no script"},
		{[][2]string{{"route.ts", "const x = 1;"}}, "route.ts: the script exports no route"},
		{[][2]string{{"route.ts", "export const x = 1;"}}, "route.ts: the script exports no route"},
		{[][2]string{{"route.ts", "export const rout = () => 'one';"}}, "did you mean to call `rout` route?"},
		{[][2]string{{"route.ts", "export const route = () => 'one';\nexport default () => 'two';"}}, "exports two routes"},
		{[][2]string{{"route.js", "function route() { return 'one'; }\nfunction route() { return 'two'; }"}}, "route.js:2:10: the script defines route twice: keep one"},
		{[][2]string{{"route.ts", "export default async () => 'one';"}}, "route.ts:1:16: route may not be async"},
		{[][2]string{{"route.ts", "export default defineRoute(async () => 'one');"}}, "route.ts:1:28: route may not be async"},
		{[][2]string{{"route.ts", "const route = async () => 'one';\nexport default { route };"}}, "route.ts:1:15: route may not be async"},
		{[][2]string{{"route.ts", "export default 3;"}}, "is the number 3, not a function"},
		{[][2]string{{"route.ts", "await 3;\nexport default () => 'one';"}}, "await"},
		{[][2]string{{"route.ts", "export default () => /\\p{L}/u.test('x') ? 'one' : 'two';"}}, `route.ts:1:22: \p{...} does not work in this engine`},
		{[][2]string{{"route.js", "function route() { return /a(?=b)/.test('x') ? 'one' : 'two'; }"}}, "route.js:1:27: this regular expression needs backtracking (it looks ahead or behind)"},
		{[][2]string{{"route.js", "const r = new RegExp('(a)\\\\1');\nfunction route() { return 'one'; }"}}, "route.js:1:22: this regular expression needs backtracking (a back-reference)"},
		{[][2]string{{"route.ts", useLib}, lib("export const f = () => 1n;")}, "BigInt is not available"},
		{[][2]string{{"route.ts", "throw new Error('at the top');\nexport default () => 'one';"}}, "route.ts:1:7: Error: at the top"},
		{[][2]string{{"route.ts", useLib}, lib("boom();\nexport const f = 1;")}, "lib/lib.ts:1:1: ReferenceError: boom is not defined"},
		{[][2]string{{"route.ts", useLib}, lib("export const f = " + strings.Repeat("[", 5000))}, "lib/lib.ts:1:1017: SyntaxError: the code is nested too deeply here"},
		{[][2]string{{"route.ts", useLib}, lib("export const f = '\xff';")}, "lib/lib.ts: the script is not UTF-8 text: invalid byte 0xff"},
		{[][2]string{{"route.ts", useLib}, lib("//" + strings.Repeat("x", scripting.MaxSource))}, "the most is 1048576"},
		{[][2]string{{"route.js", "//" + strings.Repeat("x", 10<<20)}}, "has 10485762 bytes, the most is 1048576"},
	} {
		entry := files(t, c.files...)
		_, _, err := load(t, entry)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60q: %v\nwant %s", c.files[0][1], err, c.says)
		}
	}
}

func TestFaultsAtRunTimeNameTheAuthorsOwnFile(t *testing.T) {
	s, hook, err := load(t, files(t,
		[2]string{"route.ts", "import { deep } from './lib/deep';\n\nexport default defineRoute((req): string => {\n  if (req.path === '/warn') console.log(req.pathh as any);\n  return deep(req.path);\n});"},
		[2]string{"lib/deep.ts", "interface Never { here: string }\n// ünïcode\nexport function deep(path: string): string {\n  const ü = '😀'; return (undefined as unknown as Never).here;\n}"},
	))
	if err != nil {
		t.Fatal(err)
	}
	d := s.Route(asked("/"))
	if d.Err == nil || !strings.HasPrefix(d.Err.Error(), "lib/deep.ts:4:") || !strings.Contains(d.Err.Error(), "TypeError: Cannot read property 'here' of undefined") {
		t.Errorf("%v", d.Err)
	}
	s.Route(asked("/warn"))
	if text := messages(hook); !strings.Contains(text, "req.pathh, which does not exist") {
		t.Errorf("%s", text)
	}
}

func messages(hook *test.Hook) string {
	var b strings.Builder
	for _, e := range hook.AllEntries() {
		if e.Level <= logrus.WarnLevel {
			b.WriteString(e.Message + "\n")
		}
	}
	return b.String()
}

func TestWhatMayNotDoWhatItsAuthorThinksIsWarnedOf(t *testing.T) {
	for text, says := range map[string]string{
		"let count = 0;\nfunction route() { count++; return 'one'; }":                                  "route.js:2:20: `count` outlives the request",
		"let seen = {};\nfunction route(req) { seen = {}; return 'one'; }":                             "route.js:2:23: `seen` outlives the request",
		"function route(req) {\n  if (req.path === '/') return 'one';\n}":                              "route.js:1:10: there is a way through route without a return",
		"export default (req) => { switch (req.path) { case '/': return 'one'; } }":                    "without a return",
		"function route(req) { return 'won'; }":                                                        `route returns "won", which is no cluster`,
		"export default defineRoute((req) => req.path ? 'one' : 'tow');":                               `route returns "tow", which is no cluster; did you mean "two"?`,
		"let x = 1;\nfunction route() { let x = 0; x++; return 'one'; }":                               "",
		"const x = {};\nfunction route() { x.y = 1; return 'one'; }":                                   "",
		"function route(req) { if (req.path) { return 'one'; } else { throw 'x'; } }":                  "",
		"function route(req) { switch (req.path) { case '/': return 'one'; default: return 'two'; } }": "",
		"function route(req) { try { return 'one'; } catch (e) { return 'two'; } }":                    "",
		"function route(req) { for (;;) { if (req.path) return 'one'; } }":                             "",
		"export default () => 'one';":                                                                  "",
	} {
		_, hook, err := load(t, files(t, [2]string{"route.js", text}))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := messages(hook); !strings.Contains(got, says) || says == "" && got != "" {
			t.Errorf("%s: warned of %q, want %q", text, got, says)
		}
	}
}

func TestNothingOutsideTheDirectoryIsRead(t *testing.T) {
	outside := files(t, [2]string{"secret.js", "export const s = 'one';"})
	for name, entry := range map[string]string{
		"by an absolute path": files(t, [2]string{"route.js", "import { s } from '" + outside + "';\nexport default () => s;"}),
		"by dots":             files(t, [2]string{"in/route.js", "import { s } from '../secret.js';\nexport default () => s;"}, [2]string{"secret.js", "export const s = 'one';"}),
		"by a package":        files(t, [2]string{"route.js", "import { s } from 'p';\nexport default () => s;"}, [2]string{"node_modules/p/package.json", `{"main": "../../../secret.js"}`}),
		"by a link":           linked(t, outside),
	} {
		_, _, err := load(t, entry)
		if err == nil || !strings.Contains(err.Error(), "lies outside the script's directory") && !strings.Contains(err.Error(), "there is no ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	allowed := files(t, [2]string{"route.js", "import { s } from '" + outside + "';\nexport default () => s;"})
	s, _, err := load(t, allowed, filepath.Dir(outside))
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Route(asked("/")); d.Cluster != "one" {
		t.Errorf("%+v", d)
	}
}

// A comment at the end of a file may name a source map, and that other files.
func TestNoSourceMapOfAFileIsRead(t *testing.T) {
	secret := files(t, [2]string{"secret.txt", "the secret"})
	const mapped = `{"version":3,"sources":["%"],"names":[],"mappings":"AAAA,AAAA,AAAA,AAAA,AAAA,AAAA;AAAA"}`
	for _, comment := range []string{"//# sourceMappingURL=", "//@ sourceMappingURL=", "/*# sourceMappingURL="} {
		entry := files(t, [2]string{"route.ts", "import { f } from './lib';\nexport default () => f();\n" + comment + "route.map */"},
			[2]string{"lib.ts", "export const f = (): string => null.x;\n" + comment + "route.map */"},
			[2]string{"route.map", strings.ReplaceAll(mapped, "%", secret)})
		b, err := bundle.Build(entry, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b.Source.Map), "the secret") {
			t.Errorf("%s: %s", comment, b.Source.Map)
		}
		s, _, err := load(t, entry)
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Route(asked("/")); d.Err == nil || !strings.HasPrefix(d.Err.Error(), "lib.ts:1:") {
			t.Errorf("%s: %v", comment, d.Err)
		}
	}
}

func linked(t *testing.T, outside string) (entry string) {
	t.Helper()
	entry = files(t, [2]string{"route.js", "import { s } from './link.js';\nexport default () => s;"})
	if err := os.Symlink(outside, filepath.Join(filepath.Dir(entry), "link.js")); err != nil {
		t.Fatal(err)
	}
	return entry
}

func TestTheScriptItselfMayBeALink(t *testing.T) {
	target := files(t, [2]string{"route.js", "import { s } from './lib.js';\nexport default () => s;"}, [2]string{"lib.js", "export const s = 'one';"})
	link := filepath.Join(t.TempDir(), "route.js")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	s, _, err := load(t, link)
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Route(asked("/")); d.Cluster != "one" {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := bundle.Build(dir, bundle.Options{}); err == nil || !strings.Contains(err.Error(), "is a directory: name the script's file in it") {
		t.Errorf("%v", err)
	}
	b, err := bundle.Build(filepath.Join(dir, "none.js"), bundle.Options{})
	if !errors.Is(err, fs.ErrNotExist) || len(b.Files) != 1 {
		t.Errorf("%v, %v", err, b.Files)
	}
}

func TestAPackageThatIsNestedTooDeeplyIsNotParsed(t *testing.T) {
	nested := `{"x": ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"
	for _, entry := range []string{
		files(t, [2]string{"route.js", "import 'p';\nexport default () => 'one';"}, [2]string{"node_modules/p/package.json", nested}),
		files(t, [2]string{"route.js", "import './p';\nexport default () => 'one';"}, [2]string{"p/package.json", nested}),
		files(t, [2]string{"route.js", "export default () => 'one';"}, [2]string{"package.json", nested}),
	} {
		_, _, err := load(t, entry)
		if err == nil || !strings.Contains(err.Error(), "package.json:1:1005: SyntaxError: the code is nested too deeply here") {
			t.Errorf("%v", err)
		}
	}
}

// Whoever watches the files has to see the one that was missing.
func TestAnImportThatIsMissingIsAmongTheFiles(t *testing.T) {
	for from, want := range map[string]string{"./lib/none.js": "lib/none.js", "none": "node_modules/none"} {
		entry := files(t, [2]string{"in/route.js", "import '../in/lib/a.js';\nexport default () => 'one';"}, [2]string{"in/lib/a.js", ""})
		if err := os.WriteFile(entry, []byte("import '"+from+"';\nexport default () => 'one';"), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Build(entry, bundle.Options{})
		if err == nil || !slices.Contains(b.Files, filepath.Join(filepath.Dir(entry), want)) {
			t.Errorf("%v: %v", err, b.Files)
		}
	}
}

func TestAMarkAndOtherLineEndsDoNotMatter(t *testing.T) {
	for _, entry := range [][2]string{
		{"route.js", "\uFEFFfunction route() {\r\n  return 'one';\r\n}\r\n"},
		{"route.ts", "\uFEFFexport default (): string => {\r\n  return 'one';\r\n};\r\n"},
	} {
		s, _, err := load(t, files(t, entry))
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Route(asked("/")); d.Cluster != "one" {
			t.Errorf("%+v", d)
		}
	}
}
