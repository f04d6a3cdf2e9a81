package cases_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outrider/scripting"
	"outrider/scripting/cases"
)

// runJS tests a script by a file of JavaScript.
func runJS(t *testing.T, s cases.Subject, tests string) *cases.Report {
	t.Helper()
	report, err := cases.Run(t.Context(), []string{write(t, "route.test.js", tests)}, s)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestTestsInJavaScriptSeeWhatTheScriptReturns(t *testing.T) {
	report := runJS(t, subject(script), `
test('by path', () => expect(route(request('GET /one/'))).toBe('one'));
test('otherwise', () => expect(route(request('GET /'))).not.toBe('one'));
it('object', () => {
  const beta = request('GET /', { headers: { 'X-Beta': 1 } });
  expect(beta.headers.get('x-beta')).toBe('1');
  expect(route(beta)).toEqual({ cluster: ['canary', 'one'], rule: 'beta' });
  expect(route(beta)).toMatchObject({ rule: 'beta' });
  expect(route(request('GET /teapot'))).toMatchObject({ respond: { status: 418 } });
});
describe('what is seen', () => {
  test('request', () => {
    const seen = request('POST https://Shop.example/seen?q=1', { headers: { 'X-Twice': ['a', 'b'] }, ip: '192.0.2.9', id: 'abc', listener: 'in' });
    const body = route(seen, context({ down: ['one/10.0.0.2:80'] })).respond.body;
    expect(body).toBe('POST https shop.example 192.0.2.9 abc in 1 a, b Shop.example 1/2');
    expect(seen.headers.get('x-twice')).toBe('a, b');
    expect(request('GET /x?a=1&a=2').query.getAll('a')).toEqual(['1', '2']);
    expect(request('GET /', { headers: { Cookie: 'a=b' } }).cookies.a).toBe('b');
    expect(request('GET /a/%2e%2e//b').cleanPath).toBe('/b');
  });
  test('health', () => {
    expect(route(request('GET /seen'), context({ down: 'one' })).respond.body).toContain('0/2');
    expect(route(request('GET /seen')).respond.body).toContain('2/2');
  });
});
test('throws', () => {
  expect(() => route(request('GET /throw'))).toThrow();
  expect(() => route(request('GET /throw'))).toThrow('on purpose');
  expect(() => route(request('GET /throw'))).toThrow(/purpose$/);
  expect(() => route(request('GET /'))).not.toThrow();
  expect(() => request('GET')).toThrow('a request is a method and a path');
  expect(() => request('GET /', { header: {} })).toThrow('request has no option "header"');
  expect(() => context({ down: 'on' })).toThrow('did you mean "one"');
});
test('matchers', () => {
  expect('abc').toMatch(/b/); expect('abc').toMatch('bc'); expect([1, 2]).toContain(2); expect('abc').toHaveLength(3);
  expect(null).toBeNull(); expect(undefined).toBeUndefined(); expect(0).toBeDefined(); expect(1).toBeTruthy(); expect('').toBeFalsy();
  expect(2).toBeGreaterThan(1); expect(2).toBeGreaterThanOrEqual(2); expect(1).toBeLessThan(2); expect(1).toBeLessThanOrEqual(1);
  expect(0.1 + 0.2).toBeCloseTo(0.3); expect({ a: [1, { b: undefined }] }).toEqual({ a: [1, {}] }); expect(NaN).toBe(NaN);
  expect({ a: 1 }).not.toEqual({ a: 1, b: 2 }); expect([1]).not.toEqual({ 0: 1 }); expect({ 0: 1 }).not.toEqual([1]); expect(undefined).not.toContain(1);
});
`)
	if err := report.Err(); err != nil {
		t.Error(text(t, report))
	}
	mustContain(t, text(t, report), "7 tests passed", "clusters reached: one two canary\n")
	if name := report.Cases[3].Name; name != "what is seen: request" {
		t.Errorf("the name is %q", name)
	}
}

func TestAFailureInJavaScriptNamesItsPlace(t *testing.T) {
	for _, c := range []struct{ test, at, says string }{
		{"test('x', () => expect(route(request('GET /'))).toBe('one'));", "1:53", "toBe\n    expected \"one\"\n    got      \"two\"\n"},
		{"test('x', () => {\n  expect('é').toBe('é');\n  expect('é').not.toBe('é');\n});", "3:23", "not.toBe\n    expected not \"é\"\n    got      \"é\"\n"},
		{"test('x', () => expect(route(request('GET /teapot'))).toEqual({ respond: 1 }));", "1:62", `expected {"respond":1}`},
		{"test('x', () => expect(() => route(request('GET /'))).toThrow());", "1:62", "toThrow\n    expected an exception\n    got      it throws nothing\n"},
		{"test('x', () => expect(() => route(request('GET /throw'))).toThrow('other'));", "1:67", "got      it throws Error: on purpose"},
		{"test('x', () => route(request('GET /throw')));", "1:22", "exception\n    expected no exception\n    got      route.js:6:36: Error: on purpose\n"},
		{"test('x', () => { null.x; });", "1:24", "TypeError: "},
		{"test('x', () => route(request('GET none')));", "1:30", `the path "none" does not begin with a slash`},
		{"test('x', async () => {});", "1:5", "a function that is not async"},
		{"test('x', () => { throw 'text'; });", "1:19", `threw "text"`},
		{"test('x', () => expect(1).toBee(1));", "1:", "TypeError: "},
	} {
		report := runJS(t, subject(script), c.test)
		if report.Failed() != 1 {
			t.Errorf("%s passed", c.test)
			continue
		}
		mustContain(t, text(t, report), "route.test.js:"+c.at, c.says)
	}
}

// What production would count as a failed call is no decision in a test either.
func TestADecisionThatFailsInProductionThrowsInATest(t *testing.T) {
	s := subject(`function route(req) { return { '/typo': 'tow', '/number': 42, '/object': { clutser: 'one' } }[req.path]; }`)
	report := runJS(t, s, `
test('typo', () => expect(route(request('GET /typo'))).toBe('tow'));
test('number', () => expect(route(request('GET /number'))).toBe(42));
test('object', () => expect(() => route(request('GET /object'))).toThrow('unknown key "clutser"'));
`)
	if report.Failed() != 2 || report.Cases[2].Failures != nil {
		t.Error(text(t, report))
	}
	mustContain(t, text(t, report), `there is no cluster "tow"; did you mean "two"?`, "route returned the number 42")
}

func TestTimeDataAndEnvironmentAreThoseOfTheContext(t *testing.T) {
	s := subject(`function route(req, ctx) { return { respond: { status: 200, body: [ctx.now, Date.now(), ctx.data.a[0], ctx.env.STAGE, ctx.hash('alice')].join(' ') } }; }`)
	report := runJS(t, s, `
test('given', () => {
  const ctx = context({ now: '2026-01-31T12:00:00Z', data: { a: [1] }, env: { STAGE: 'test' } });
  expect(route(request('GET /'), ctx).respond.body).toBe('1769860800000 1769860800000 1 test 0.20715047597194325');
  expect(() => { 'use strict'; ctx.data.a.push(2); }).toThrow();
  expect(() => context({ now: 'noon' })).toThrow('is no time');
});
test('chance is the same in every run', () => expect(Math.random()).toBe(Math.random));
`)
	if report.Cases[0].Failures != nil {
		t.Error(text(t, report))
	}
	first := report.Cases[1].Failures[0].Got
	if again := runJS(t, s, "test('x', () => expect(Math.random()).toBe(0));").Cases[0].Failures[0].Got; first != again {
		t.Errorf("%s and %s", first, again)
	}
}

func TestATestThatRunsPastItsDeadlineDoesNotEndTheOthers(t *testing.T) {
	s := subject(`
function route(req) {
  if (req.path === '/loop') for (;;) {}
  return 'one';
}`)
	s.Options.Timeout = 300 * time.Millisecond
	report := runJS(t, s, `
test('before', () => expect(route(request('GET /'))).toBe('one'));
test('in the script', () => { route(request('GET /loop')); });
test('in the test', () => { for (;;) {} });
test('after', () => expect(route(request('GET /'))).toBe('one'));
`)
	failed := make([]bool, len(report.Cases))
	for i, c := range report.Cases {
		failed[i] = c.Failures != nil
	}
	if len(failed) != 4 || failed[0] || !failed[1] || !failed[2] || failed[3] {
		t.Error(text(t, report))
	}
	mustContain(t, text(t, report), "route.test.js:3:36", "got      route.js:3:", "ran past its deadline of 300ms", "route.test.js:4:")
}

// Each call has the script's deadline, not all of them together.
func TestATestMayAskManyTimes(t *testing.T) {
	s := subject(`
function route(req) {
  let sum = 0;
  for (let i = 0; i < 2000; i++) sum += i;
  return 'one';
}`)
	s.Options.Timeout = time.Second
	report := runJS(t, s, `test('for longer than the deadline', () => { for (let i = 0; i < 800; i++) route(request('GET /')); });`)
	if err := report.Err(); err != nil {
		t.Error(text(t, report))
	}
	if took := report.Cases[0].Took; took < s.Options.Timeout {
		t.Logf("this machine is too fast to show it: %v", took)
	}
}

func TestAFileOfTestsThatDoesNotLoadSaysWhere(t *testing.T) {
	for tests, says := range map[string]string{
		"test('x', () => {":       "route.test.js:1:18: SyntaxError",
		"\n  nowhere();":          "route.test.js:2:10: ReferenceError: nowhere is not defined",
		"test('x');":              "test takes a name and a function",
		"const a = 1;":            "holds no test; begin with: test(",
		"for (;;) {}":             "ran past its deadline",
		strings.Repeat("[", 5000): "nested too deeply",
		"/* \xff */":              "not UTF-8",
	} {
		s := subject("function route() { return 'one'; }")
		s.Options.Timeout = 200 * time.Millisecond
		_, err := cases.Run(t.Context(), []string{write(t, "route.test.js", tests)}, s)
		if err == nil {
			t.Errorf("%.40q loads", tests)
			continue
		}
		mustContain(t, err.Error(), says)
	}
	_, err := cases.Run(t.Context(), []string{write(t, "route.test.js", "(")}, subject(script))
	if _, ok := errors.AsType[*scripting.LoadError](err); !ok {
		t.Errorf("%T", err)
	}
}

func TestTestsMayBeTypeScriptAndImport(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"ask.ts": "// asks\nexport const ask = (path: string): any => {\n  return route(request(`GET ${path}`));\n};\n",
		"route.test.ts": `import { ask } from './ask';
interface Case { path: string; cluster: string }
const cases: Case[] = [{ path: '/one/', cluster: 'one' }, { path: '/', cluster: 'one' }];
for (const { path, cluster } of cases) {
  test(path, () => {
    expect(ask(path)).toBe(cluster);
  });
}
test('throws', () => ask('/throw'));
`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "route.test.ts")
	report, err := cases.Run(t.Context(), []string{file}, subject(script))
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() != 2 || report.Cases[0].Failures != nil {
		t.Error(text(t, report))
	}
	mustContain(t, text(t, report), file+":6:23: /\n", filepath.Join(folder, "ask.ts")+":3:10: throws\n", "route.js:6:36: Error: on purpose")
	if err := os.WriteFile(file, []byte("import { x } from '../x';\nx();\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = cases.Run(t.Context(), []string{file}, subject(script))
	mustContain(t, err.Error(), "route.test.ts:1:19: ")
}
