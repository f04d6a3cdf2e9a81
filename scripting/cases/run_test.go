package cases_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"outrider/scripting"
	"outrider/scripting/cases"
)

const script = `
function route(req, ctx) {
  console.log('asked for', req.path);
  if (req.path === '/teapot') return { rule: 'tea', respond: { status: 418, headers: { 'X-Kind': 'teapot' }, body: 'short and stout' } };
  if (req.headers.get('x-beta')) return { cluster: ['canary', 'one'], rule: 'beta' };
  if (req.path === '/throw') throw new Error('on purpose');
  if (req.path === '/none') return null;
  if (req.path === '/seen') {
    return { respond: { status: 200, body: [req.method, req.scheme, req.host, req.ip, req.id, req.listener, req.query.get('q'),
      req.headers.get('x-twice'), req.headers.get('host'), ctx.clusters.one.healthy + '/' + ctx.clusters.one.total].join(' ') } };
  }
  return req.path.startsWith('/one/') ? 'one' : 'two';
}`

func TestACaseThatIsMetPasses(t *testing.T) {
	report := run(t, subject(script), `
- { name: by path, request: GET /one/x, expect: one }
- { request: GET /, expect: { cluster: two } }
- { request: GET /, expect: { cluster: [one, two], outcome: ok } }
- request: POST /
  headers: { X-Beta: 1 }
  expect: { cluster: canary, rule: beta }
- request: GET /
  headers: { x-beta: "1" }
  down: canary
  expect: { cluster: one, outcome: fallback }
- request: GET /teapot
  expect: { respond: { status: 418, headers: { x-kind: teapot, X-Other: null }, body: short and stout }, cluster: null, rule: tea }
- { request: GET /teapot, expect: { respond: 418 } }
- { request: GET /throw, expect: { outcome: exception, cluster: null } }
- { request: GET /none, expect: { outcome: no_route } }
- request: GET https://Shop.example:8443/seen?q=1
  headers: { X-Twice: [a, b] }
  ip: 192.0.2.9
  id: abc
  listener: in
  down: [one/10.0.0.2:80]
  expect: { respond: { body: "GET https shop.example 192.0.2.9 abc in 1 a, b Shop.example:8443 1/2" } }
- request: GET /seen
  expect: { respond: { body: "GET http localhost 127.0.0.1 test main   localhost 2/2" } }
- { request: GET /seen, host: "[::1]:80", expect: { respond: { body: "GET http [::1] 127.0.0.1 test main   [::1]:80 2/2" } } }
- { request: GET /seen, host: b.example, headers: { Host: a.example }, expect: { respond: { body: "GET http b.example 127.0.0.1 test main   b.example 2/2" } } }
- { request: GET /seen, headers: { host: a.example }, expect: { respond: { body: "GET http a.example 127.0.0.1 test main   a.example 2/2" } } }
`)
	if err := report.Err(); err != nil {
		t.Error(text(t, report))
	}
	mustContain(t, text(t, report), "14 tests passed, script route.js, version ", "clusters reached: one two canary\n")
}

func TestACaseThatIsNotMetSaysWhatWasExpectedAndWhatCame(t *testing.T) {
	for _, c := range []struct{ row, says string }{
		{"{ request: GET /one/, expect: two }", "cluster\n    expected two\n    got      one\n"},
		{"{ request: GET /one/, expect: { cluster: [two, canary] } }", "expected two or canary\n    got      one\n"},
		{"{ request: GET /one/, expect: { cluster: null } }", "expected none\n    got      one\n"},
		{"{ request: GET /teapot, expect: one }", "expected one\n    got      an answer 418\n"},
		{"{ request: GET /none, expect: one }", "expected one\n    got      none\n"},
		{"{ request: GET /, expect: { rule: beta } }", "rule\n    expected \"beta\"\n    got      \"\"\n"},
		{"{ request: GET /, expect: { respond: 404 } }", "respond\n    expected an answer 404\n    got      two\n"},
		{"{ request: GET /teapot, expect: { respond: 404 } }", "respond.status\n    expected 404\n    got      418\n"},
		{"{ request: GET /teapot, expect: { respond: { headers: { x-kind: pot } } } }", "respond.headers.x-kind\n    expected \"pot\"\n    got      \"teapot\"\n"},
		{"{ request: GET /teapot, expect: { respond: { headers: { x-kind: null } } } }", "expected not there\n    got      \"teapot\"\n"},
		{"{ request: GET /teapot, expect: { respond: { headers: { other: x } } } }", "expected \"x\"\n    got      not there\n"},
		{"{ request: GET /teapot, expect: { respond: { body: short } } }", "respond.body\n    expected \"short\"\n    got      \"short and stout\"\n"},
		{"{ request: GET /, expect: { outcome: fallback } }", "outcome\n    expected fallback\n    got      ok\n"},
		{"{ request: GET /throw, expect: two }", "outcome\n    expected a script that does not fail\n    got      exception: route.js:6:36: Error: on purpose\n"},
	} {
		report := run(t, subject(script), "- "+c.row)
		if report.Err() == nil || report.Failed() != 1 {
			t.Errorf("%s passed", c.row)
			continue
		}
		mustContain(t, text(t, report), "route.test.yaml:1:3: GET /", c.says, "console  info: asked for /", "1 of 1 test failed")
	}
}

func TestAFailedScriptMeetsNoExpectationThatDoesNotSpeakOfIt(t *testing.T) {
	s := subject(script)
	s.Options.OnError = "two"
	report := run(t, s, `
- { request: GET /throw, expect: two }
- { request: GET /throw, expect: { cluster: two, outcome: exception } }
`)
	if report.Cases[0].Failures == nil || report.Cases[1].Failures != nil {
		t.Error(text(t, report))
	}
}

func TestAGlobalThatLeaksFailsTheCaseThatSeesIt(t *testing.T) {
	report := run(t, subject(`
let last;
function route(req) {
  const before = last;
  last = req.headers.get('x-user');
  return { cluster: 'one', rule: String(before) };
}`), `
- { request: GET /, headers: { X-User: ann }, expect: { cluster: one } }
- { request: GET /, headers: { X-User: bob }, expect: { cluster: one } }
`)
	if report.Failed() != 1 {
		t.Fatal(text(t, report))
	}
	mustContain(t, text(t, report), "route.test.yaml:3:3", "used runtime\n    expected one, rule undefined\n    got      one, rule ann after the cases before")
}

func TestTheReportTellsWhichClustersWereReached(t *testing.T) {
	report := run(t, subject(script), "- { request: GET /, expect: two }")
	mustContain(t, text(t, report), "1 test passed", "clusters reached: two; never: one canary\n")
	report = run(t, subject(script), "- { request: GET /teapot, expect: { respond: 418 } }")
	mustContain(t, text(t, report), "clusters reached: none; never: one two canary\n")
}

func TestTheReportIsJSONForPrograms(t *testing.T) {
	var b bytes.Buffer
	if err := run(t, subject(script), "- { name: a, request: GET /, expect: one }").WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Script, Version string
		Reached, Never  []string
		Cases           []struct {
			File, Name   string
			Line, Column int
			Failures     []cases.Failure
			Console      []string
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	c := got.Cases[0]
	if got.Script != "route.js" || len(got.Version) != 7 || len(got.Reached) != 1 || len(got.Never) != 2 ||
		c.Name != "a" || c.Line != 1 || c.Column != 3 || c.Failures[0] != (cases.Failure{What: "cluster", Expected: "one", Got: "two"}) || len(c.Console) != 1 {
		t.Errorf("%s", b.String())
	}
	b.Reset()
	if err := new(cases.Report).WriteJSON(&b); err != nil || strings.Count(b.String(), "[]") != 3 {
		t.Errorf("empty lists are %s, %v", b.String(), err)
	}
}

func TestACaseAfterOneThatRanPastItsDeadlineIsDecided(t *testing.T) {
	s := subject(`
function route(req) {
  if (req.path === '/loop') for (;;) {}
  return 'one';
}`)
	s.Options.Timeout = 300 * time.Millisecond
	report := run(t, s, `
- { request: GET /loop, expect: { outcome: timeout } }
- { request: GET /, expect: one }
- { request: GET /loop, expect: one }
`)
	if report.Failed() != 1 {
		t.Error(text(t, report))
	}
	mustContain(t, text(t, report), "got      timeout: route.js:3:")
}

func TestAScriptThatDoesNotLoadIsNoReport(t *testing.T) {
	_, err := cases.Run(t.Context(), nil, subject("function route( {"))
	if fault, ok := errors.AsType[*scripting.LoadError](err); !ok || fault.Line != 1 {
		t.Errorf("got %v", err)
	}
}

func TestAnEndedContextEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	for name, tests := range map[string]string{"a.yaml": "- { request: GET /, expect: two }", "a.js": "test('x', () => {});"} {
		_, err := cases.Run(ctx, []string{write(t, name, tests)}, subject(script))
		if err == nil || err.Error() != "enough" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAFileThatIsNoTableIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ content, says string }{
		"a.txt":  {"", "tests are in files that end in .yaml (a table), .js or .ts"},
		"a.yaml": {"", "holds no case; begin with: - { request: GET /, expect: one }"},
		"b.yaml": {"# nothing yet\n", "holds no case"},
		"c.yaml": {"[]", "holds no case"},
	} {
		_, err := cases.Run(t.Context(), []string{write(t, name, c.content)}, subject(script))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		mustContain(t, err.Error(), c.says)
	}
	if _, err := cases.Run(t.Context(), []string{t.TempDir() + "/none.yaml"}, subject(script)); err == nil {
		t.Error("a file that is not there is no error")
	}
	_, err := cases.Run(t.Context(), []string{write(t, "d.yaml", "- { request: GET /, down: [canry], expect: one }")}, subject(script))
	mustContain(t, err.Error(), `d.yaml:1:28: there is no cluster "canry"; did you mean "canary"?`)
	_, err = cases.Run(t.Context(), []string{write(t, "d.yaml", `- { request: GET /, down: "one/10.0.0.1:81", expect: one }`)}, subject(script))
	mustContain(t, err.Error(), `cluster one has no backend "10.0.0.1:81"; did you mean "10.0.0.1:80"?; it has 10.0.0.1:80, 10.0.0.2:80`)
}

func TestTimeAndChanceAreThoseOfTheCase(t *testing.T) {
	report := run(t, subject(`
function route(req, ctx) {
  return { respond: { status: 200, body: ctx.now + ' ' + new Date().toISOString() + ' ' + Math.random() } };
}`), `
- { request: GET /, now: 2026-01-31T12:00:00Z, seed: 7, expect: { respond: { body: "1769860800000 2026-01-31T12:00:00.000Z 0.5779131" } } }
- { request: GET /, now: 1769860800000, expect: { respond: 200 } }
- { request: GET /, expect: { respond: 200 } }
`)
	if report.Cases[1].Failures != nil || report.Cases[2].Failures != nil { // both runtimes saw the same
		t.Error(text(t, report))
	}
	mustContain(t, report.Cases[0].Failures[0].Got, "1769860800000 2026-01-31T12:00:00.000Z 0.")
}

const forwarding = `
function route(req, ctx) {
  return {
    cluster: req.path === '/split' ? { one: 50, two: 50 } : 'one',
    requestHeaders: { 'X-Stage': ctx.env.STAGE, 'X-Gone': null },
    responseHeaders: { 'Set-Cookie': [cookie('a', 'b'), 'c=d'], Server: null },
    path: '/v2' + req.path, hashKey: ctx.data.salt + req.ip, timeout: '2s',
  };
}`

func forwarded() cases.Subject {
	s := subject(forwarding)
	s.Options.Data, s.Options.Env = []byte(`{"salt":"p"}`), map[string]string{"STAGE": "production"}
	return s
}

func TestWhatHappensToTheRequestOnItsWayIsCompared(t *testing.T) {
	report := run(t, forwarded(), `
- request: GET /x
  expect:
    cluster: one
    requestHeaders: { x-stage: production, X-Gone: null }
    responseHeaders: { Set-Cookie: ["a=b; Path=/", c=d], server: null }
    path: /v2/x
    hashKey: p127.0.0.1
    timeout: 2s
- { request: GET /x, data: { salt: s }, expect: { hashKey: s127.0.0.1, timeout: 2000 } }
- { request: GET /x, env: { STAGE: test }, expect: { requestHeaders: { X-Stage: test } } }
- { request: GET /split, expect: { cluster: [one, two] } }
`)
	if err := report.Err(); err != nil {
		t.Error(text(t, report))
	}
	for expect, says := range map[string]string{
		"{ requestHeaders: { X-Stage: test } }":    "requestHeaders.X-Stage\n    expected \"test\"\n    got      \"production\"\n",
		"{ requestHeaders: { X-Stage: null } }":    "expected removed\n    got      \"production\"\n",
		"{ requestHeaders: { X-Gone: x } }":        "expected \"x\"\n    got      removed\n",
		"{ requestHeaders: { X-Other: null } }":    "expected removed\n    got      left alone\n",
		"{ responseHeaders: { Set-Cookie: c=d } }": "expected \"c=d\"\n    got      \"a=b; Path=/\" and \"c=d\"\n",
		"{ path: /x }":      "path\n    expected \"/x\"\n    got      \"/v2/x\"\n",
		"{ path: null }":    "path\n    expected \"\"\n",
		"{ hashKey: null }": "hashKey\n    expected \"\"\n    got      \"p127.0.0.1\"\n",
		"{ timeout: null }": "timeout\n    expected 0s\n    got      2s\n",
	} {
		report := run(t, forwarded(), "- { request: GET /x, expect: "+expect+" }")
		if report.Failed() != 1 {
			t.Errorf("%s passed", expect)
		}
		mustContain(t, text(t, report), says)
	}
}

func TestDataKeepsTheOrderOfItsKeys(t *testing.T) {
	report := run(t, subject(`function route(req, ctx) { return { respond: { status: 200, body: JSON.stringify(ctx.data) } }; }`), `
- request: GET /
  data: { z: 1, a: [true, null, 0x10, 1.5, "1", x], m: { y: "q" } }
  expect: { respond: { body: '{"z":1,"a":[true,null,16,1.5,"1","x"],"m":{"y":"q"}}' } }
- { request: GET /, data: null, expect: { respond: { body: "null" } } }
- { request: GET /, data: [1], expect: { respond: { body: "[1]" } } }
`)
	if err := report.Err(); err != nil {
		t.Error(text(t, report))
	}
}

// A global that leaks may show in anything that is decided.
func TestEveryPartOfADecisionIsComparedWithTheUsedRuntime(t *testing.T) {
	for _, part := range []string{
		"cluster: n ? 'two' : 'one'", "cluster: 'one', rule: 'r' + n", "cluster: 'one', path: '/' + n", "cluster: 'one', hashKey: 'k' + n",
		"cluster: 'one', timeout: 10 + n", "cluster: 'one', requestHeaders: { A: 'v' + n }", "cluster: 'one', responseHeaders: { A: 'v' + n }",
		"cluster: n ? ['two', 'one'] : 'two'", "respond: { status: 200 + n }", "respond: { status: 200, body: 'b' + n }", "respond: { status: 200, headers: { A: 'v' + n } }",
	} {
		report := run(t, subject("let n = -1; function route() { n++; return { "+part+" }; }"), `
- { request: GET /, down: [two], expect: { outcome: ok } }
- { request: GET /, down: [two], expect: { outcome: ok } }
`)
		if part[:3] == "res" {
			report = run(t, subject("let n = -1; function route() { n++; return { "+part+" }; }"), `
- { request: GET /, expect: { outcome: respond } }
- { request: GET /, expect: { outcome: respond } }
`)
		}
		if report.Cases[0].Failures != nil || report.Cases[1].Failures == nil {
			t.Errorf("%s: %s", part, text(t, report))
		}
	}
}

func TestTheConsoleOfEveryCaseIsKept(t *testing.T) {
	report := run(t, subject(script), strings.Repeat("- { request: GET /, expect: one }\n", 60))
	for i, c := range report.Cases {
		if len(c.Console) != 1 || c.Console[0] != "info: asked for /" {
			t.Errorf("case %d: %q", i, c.Console)
		}
	}
}
