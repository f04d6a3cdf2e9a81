package scripts

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"outrider/scripting"
	"outrider/scripting/cases"
	"outrider/scripts"
)

// workplace is a folder in which Node finds testing.js as a module, and the files.
func workplace(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	files["testing.js"], files["package.json"] = string(scripts.Testing), `{ "type": "module" }`
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func node(t *testing.T, folder string, args ...string) (output []byte, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "node", args...)
	command.Dir = folder
	return command.CombinedOutput()
}

func TestAScriptIsTestedByNodesOwnRunner(t *testing.T) {
	files := map[string]string{
		"route.js": `
export default defineRoute((req, ctx) => {
  if (req.headers.get('x-beta')) return ctx.clusters.canary.healthy > 0 ? 'canary' : 'one';
  return req.path.startsWith('/one/') ? 'one' : 'two';
});`,
		"route.test.js": `
import test from 'node:test';
import assert from 'node:assert';
import { request, context } from './testing.js';
import route from './route.js';

test('by path', () => assert.equal(route(request('GET /one/')), 'one'));
test('the canary', () => {
  const tester = request('GET /', { headers: { 'X-Beta': 1 } });
  const clusters = { one: 2, canary: ['10.0.0.7:80'] };
  assert.equal(route(tester, context({ clusters })), 'canary');
  assert.equal(route(tester, context({ clusters, down: 'canary' })), 'one');
  assert.equal(route(tester, context({ clusters, down: ['canary/10.0.0.7:80'] })), 'one');
});
test('what surrounds it', () => {
  const ctx = context({ data: { a: [1] }, env: { STAGE: 'test' }, now: '2026-01-31T12:00:00Z' });
  assert.deepEqual([ctx.data.a[0], ctx.env.STAGE, ctx.now], [1, 'test', 1769860800000]);
  assert.throws(() => { ctx.data.a.push(2); }, TypeError);
});
test('what can not be', () => {
  assert.throws(() => { request('GET /').path = '/x'; }, /req is read-only: cannot set req.path/);
  assert.throws(() => { request('GET /').headers.a = 'x'; }, /req.headers is read-only/);
  assert.throws(() => { delete request('GET /').path; }, /cannot delete req.path/);
  assert.throws(() => request('GET'), /a request is a method and a path/);
  assert.throws(() => request('GET x'), /does not begin with a slash/);
  assert.throws(() => request('GET /', { header: {} }), /request has no option "header"/);
  assert.throws(() => context({ down: ['one'] }), /name them/);
  assert.throws(() => context({ now: 'noon' }), /is no time/);
});`,
		"plain.js": "function route(req) { return req.path.startsWith('/one/') ? 'one' : 'two'; }",
		"plain.test.js": `
import test from 'node:test';
import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import vm from 'node:vm';
import { request } from './testing.js';
vm.runInThisContext(readFileSync('plain.js', 'utf8'), 'plain.js');
test('plain', () => assert.equal(route(request('GET /one/')), 'one'));`,
		"wrong.test.js": `
import test from 'node:test';
import assert from 'node:assert';
import { request } from './testing.js';
import route from './route.js';
test('fails', () => assert.equal(route(request('GET /')), 'one'));`,
	}
	folder := workplace(t, files)
	if output, err := node(t, folder, "--test", "route.test.js", "plain.test.js"); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	if output, err := node(t, folder, "--test", "wrong.test.js"); err == nil {
		t.Errorf("a test that fails passes:\n%s", output)
	}
}

// report is a script that answers with all that it sees.
const report = `
const all = (lookup) => Object.keys(lookup).map((name) => [name, lookup[name], lookup.get(name), lookup.has(name), name in lookup]);
function seen(req, ctx) {
  return JSON.stringify([req.method, req.path, req.cleanPath, req.url, req.host, req.scheme, req.ip, req.id, req.listener, req.tls,
    all(req.headers), all(req.query), all(req.cookies), req.query.getAll('a'), { ...req.query }, req.headers.get('X-A'), req.cookies.get('none'),
    req.query.none, 'none' in req.query, Object.keys(req), ctx.hash(req.url), ctx.hash(req.query.get('a') || ''), globals(req)]);
}
const map = new PrefixMap({ '': 0, '/': 1, '/a': 2, '/a/': 3, '/a/b;c': 4, '/%2': 5, '/%2F': 6, é: 7 });
const tried = (f) => { try { return f(); } catch (error) { return 'throws ' + error.name; } };
// What a script finds among the globals, with arguments that the request brings.
function globals(req) {
  const text = req.query.get('a'), word = Object.keys(req.cookies)[0];
  const number = text === null ? null : text.length;
  return [map.get(req.path), map instanceof PrefixMap, tried(() => map.get(text)), defineRoute(globals) === globals,
    tried(() => cookie('a', text)), tried(() => cookie(word, 'b')), tried(() => cookie('a', req.path)), tried(() => cookie('a', 'b', { path: req.path, maxAge: number })),
    tried(() => cookie('a', 'b', text)), options.map((o) => tried(() => cookie('a', 'b', o)))];
}
const options = [undefined, null, 3, {}, { maxAge: 1 }, { maxAge: -1 }, { maxAge: 1.5 }, { maxAge: '3' }, { maxAge: null }, { maxage: 1 }, { path: '/x y' },
  { path: '' }, { path: 'x' }, { path: '/;' }, { path: 7 }, { sameSite: 'Lax' }, { sameSite: 'lax' }, { sameSite: 'None' }, { sameSite: 'None', secure: true },
  { sameSite: null, secure: 0, httpOnly: 1 }, { maxAge: 5, path: '/', sameSite: 'Strict', secure: true, httpOnly: true }];
`

// A sketch is a request as both sides are told of it.
type sketch struct {
	Line    string            `json:"line"`
	Headers map[string]string `json:"headers"`
	Host    string            `json:"host"`
}

// drawn makes up requests that are full of what parsers disagree on.
func drawn(number int) []sketch {
	path := rapid.SliceOfN(rapid.SampledFrom([]string{"/", "/", "a", ".", "..", "%2e", "%2F", "%2f", "%41", "%", "%zz", "%7E", "b;c", "~", ":", "@"}), 0, 8)
	query := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "=", "&", "+", "%20", "%C3%A9", "%E2%82", "%ff", "%ED%A0", "%F0%9F", "%80", "%F4%90", "%E0%9F", "%", "%4", "?", "get", "1"}), 0, 8)
	cookie := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "=", ";", " ", "\"", "x y", "é", "get", "\t"}), 0, 8)
	join := func(parts []string) (all string) {
		for _, part := range parts {
			all += part
		}
		return all
	}
	one := rapid.Custom(func(t *rapid.T) sketch {
		s := sketch{Line: "GET /" + join(path.Draw(t, "path")), Headers: map[string]string{}}
		if rapid.Bool().Draw(t, "has query") {
			s.Line += "?" + join(query.Draw(t, "query"))
		}
		if rapid.Bool().Draw(t, "has cookie") {
			s.Headers["Cookie"] = join(cookie.Draw(t, "cookie"))
		}
		s.Headers["X-A"] = rapid.SampledFrom([]string{"", "1", "é"}).Draw(t, "header")
		s.Host = rapid.SampledFrom([]string{"", "Shop.example", "a:80", "[::1]:80", "[::1]"}).Draw(t, "host")
		return s
	})
	var all []sketch
	for i := range number {
		all = append(all, one.Example(i))
	}
	return all
}

// Whatever a script reads of a request, testing.js shows what the sidecar shows.
func TestTestingShowsWhatTheSidecarShows(t *testing.T) {
	sketches := drawn(500)
	given, err := json.Marshal(sketches)
	if err != nil {
		t.Fatal(err)
	}
	folder := workplace(t, map[string]string{"sketches.json": string(given), "print.js": `
import { readFileSync } from 'node:fs';
import { request, context } from './testing.js';
` + report + `
const sketches = JSON.parse(readFileSync('sketches.json', 'utf8'));
console.log(JSON.stringify(sketches.map(({ line, headers, host }) => seen(request(line, { headers, host }), context()))));
`})
	output, err := node(t, folder, "print.js")
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	var theirs []string
	if err := json.Unmarshal(output, &theirs); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for i, ours := range shownBySidecar(t, sketches) {
		if ours != theirs[i] {
			t.Errorf("%+v\nsidecar: %s\ntesting: %s", sketches[i], ours, theirs[i])
		}
	}
}

func shownBySidecar(t *testing.T, sketches []sketch) []string {
	t.Helper()
	bench, err := cases.NewBench(cases.Subject{
		Source:  scripting.Source{Name: "report.js", Code: []byte(report + "function route(req, ctx) { return { respond: { status: 200, body: seen(req, ctx) } }; }")},
		Options: scripting.Options{Timeout: 5 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bench.Close()
	var all []string
	for _, s := range sketches {
		made := cases.Sketch{Line: s.Line, Host: s.Host}
		for _, name := range []string{"Cookie", "X-A"} {
			if value, ok := s.Headers[name]; ok {
				made.Headers = append(made.Headers, cases.Header{Name: name, Value: value})
			}
		}
		request, err := cases.NewRequest(made)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		d, said := bench.Route(request, scripting.Moment{})
		if d.Respond == nil {
			t.Fatal(fmt.Sprint(s, d, said))
		}
		all = append(all, d.Respond.Body)
	}
	return all
}
