package scripting

import (
	"strings"
	"testing"
)

func onErrorTwo(o *Options)    { o.OnError = "two" }
func defaultThree(o *Options)  { o.DefaultCluster = "three" }
func route(body string) string { return "function route(req, ctx) { " + body + " }" }

func TestRouteFollowsTheScript(t *testing.T) {
	s := load(t, `function route(req) { return req.path.startsWith('/one/') ? 'one' : 'two'; }`)
	for path, want := range map[string]string{"/one/": "one", "/one/x": "one", "/one": "two", "/two/": "two", "/": "two", "/é/": "two"} {
		if d := s.Route(get(path)); d.Cluster != want || d.Outcome != OK || d.Err != nil {
			t.Errorf("%s: %+v, want %s", path, d, want)
		}
	}
}

func TestRouteMayBeAnyPlainFunction(t *testing.T) {
	for _, code := range []string{
		"const route = (req) => 'one';",
		"let route = function (req) { return 'one'; };",
		"var route = req => 'one'",
		"globalThis.route = () => 'one';",
		"const f = function () { return 'one'; }; const route = f.bind(null);",
		"\uFEFFfunction route() {\r\n  return 'one';\r\n}\r\n",
	} {
		if d := load(t, code).Route(get("/")); d.Cluster != "one" || d.Outcome != OK {
			t.Errorf("%s: %+v", code, d)
		}
	}
}

func TestNothingReturnedGoesToTheDefaultCluster(t *testing.T) {
	for _, body := range []string{"", "return;", "return null;", "return undefined;"} {
		if d := load(t, route(body), defaultThree).Route(get("/")); d.Cluster != "three" || d.Outcome != Default || d.Err != nil {
			t.Errorf("%q: %+v", body, d)
		}
		if d := load(t, route(body), onErrorTwo).Route(get("/")); d.Cluster != "" || d.Respond != nil || d.Outcome != NoRoute {
			t.Errorf("%q without a default: %+v, want 404", body, d)
		}
	}
}

func TestListTakesTheFirstClusterWithAUsableBackend(t *testing.T) {
	s := load(t, route("return ['one', 'two', 'three'];"))
	check := func(cluster string, outcome Outcome) {
		t.Helper()
		if d := s.Route(get("/")); d.Cluster != cluster || d.Outcome != outcome || d.Err != nil {
			t.Errorf("%+v, want %s %s", d, cluster, outcome)
		}
	}
	check("one", OK)
	s.fleet.set("one", 0)
	check("two", Fallback)
	s.fleet.set("two", 0)
	check("three", Fallback)
	s.fleet.set("three", 0)
	check("one", OK)
	s.fleet.set("one", 1)
	check("one", OK)
}

func TestObjectNamesAClusterAndARule(t *testing.T) {
	d := load(t, route("return {cluster: 'one', rule: 'canary'};")).Route(get("/"))
	if d.Cluster != "one" || d.Rule != "canary" || d.Outcome != OK {
		t.Errorf("%+v", d)
	}
	s := load(t, route("return {cluster: ['one', 'two'], rule: 'x'.repeat(100)};"))
	s.fleet.set("one", 0)
	if d := s.Route(get("/")); d.Cluster != "two" || d.Outcome != Fallback || len(d.Rule) > MaxRule {
		t.Errorf("%+v", d)
	}
}

func TestRespondAnswersHere(t *testing.T) {
	s := load(t, route(`return {rule: 'down', respond: {status: 503, headers: {'Retry-After': '60', 'X-B': 'ü'}, body: 'näh'}};`))
	d := s.Route(get("/"))
	if d.Outcome != Responded || d.Cluster != "" || d.Err != nil || d.Rule != "down" {
		t.Fatalf("%+v", d)
	}
	if r := d.Respond; r.Status != 503 || r.Body != "näh" || len(r.Header) != 2 || r.Header[0] != [2]string{"Retry-After", "60"} {
		t.Errorf("%+v", d.Respond)
	}
}

func TestWhatIsNoDecisionIsABadReturn(t *testing.T) {
	for body, says := range map[string]string{
		"return '';":          "empty string",
		"return 3;":           "the number 3",
		"return true;":        "the boolean true",
		"return Symbol('x');": "a symbol",
		"return {};":          "neither cluster nor respond",
		"return {rule: 'x'};": "neither cluster nor respond",
		"return {cluster: 'one', respond: {status: 200}};":                       "both cluster and respond",
		"return {cluster: 3};":                                                   "the number 3",
		"return {one: 0};":                                                       "weights that are all 0",
		"return {one: -1, two: 2};":                                              "the weight -1 for \"one\"",
		"return {one: NaN};":                                                     "the weight NaN",
		"return {one: Infinity};":                                                "the weight +Inf",
		"return {one: 1, two: '2'};":                                             `unknown key "one"`,
		"return {cluster: {}};":                                                  "the target is an object",
		"return {cluster: true};":                                                "the target is the boolean true",
		"return {cluster: 'one', path: 'x'};":                                    "begins with a slash",
		"return {cluster: 'one', path: ''};":                                     "begins with a slash",
		"return {cluster: 'one', path: '/a b'};":                                 "the character ' ' at 2",
		`return {cluster: 'one', path: '/a\r\nb'};`:                              `the character '\r' at 2`,
		"return {cluster: 'one', path: '/a#b'};":                                 "the character '#' at 2",
		"return {cluster: 'one', path: '/ä'};":                                   "percent-encode it",
		"return {cluster: 'one', path: 3};":                                      "path is the number 3",
		"return {cluster: 'one', path: '/' + 'x'.repeat(20000)};":                "longer than 16384 bytes",
		"return {cluster: 'one', hashKey: 3};":                                   "hashKey is the number 3",
		"return {cluster: 'one', timeout: 0};":                                   "timeout is the number 0",
		"return {cluster: 'one', timeout: -1};":                                  "timeout is the number -1",
		"return {cluster: 'one', timeout: 'soon'};":                              `timeout is the string "soon"`,
		"return {cluster: 'one', timeout: '25h'};":                               "up to 24h",
		"return {cluster: 'one', timeout: 1e300};":                               "up to 24h",
		"return {cluster: 'one', requestHeaders: 'x'};":                          `requestHeaders is the string "x"`,
		"return {cluster: 'one', requestHeaders: {a: 1}};":                       `the number 1 for "a", it takes a string, or null`,
		"return {cluster: 'one', requestHeaders: {a: ['x']}};":                   `an array for "a"`,
		"return {cluster: 'one', requestHeaders: {'a b': 'x'}};":                 "no header can have",
		`return {cluster: 'one', requestHeaders: {a: 'x\r\nb: y'}};`:             "control character",
		"return {cluster: 'one', requestHeaders: {Connection: 'close'}};":        "belongs to the connection",
		"return {cluster: 'one', requestHeaders: {'Content-Length': null}};":     "belongs to the connection",
		"return {cluster: 'one', requestHeaders: {'transfer-encoding': 'x'}};":   "belongs to the connection",
		"return {cluster: 'one', requestHeaders: {Upgrade: 'h2c'}};":             "belongs to the connection",
		"return {cluster: 'one', requestHeaders: {'Proxy-Authorization': 'x'}};": "belongs to the connection",
		"return {cluster: 'one', requestHeaders: {Host: null}};":                 "removes Host",
		"return {cluster: 'one', requestHeaders: {Host: 'a b'}};":                "no host",
		"return {cluster: 'one', requestHeaders: {Via: null}};":                  "changes Via",
		"return {cluster: 'one', requestHeaders: {a: 'x'.repeat(20000)}};":       "20001 bytes",
		"return {cluster: 'one', responseHeaders: {a: []}};":                     "a list of 0 values",
		"return {cluster: 'one', responseHeaders: {a: ['x', 1]}};":               "the number 1 in the list",
		"return {cluster: 'one', responseHeaders: {TE: 'x'}};":                   "belongs to the connection",
		"return {respond: {status: 200}, path: '/x'};":                           "with respond and path",
		"return {clutser: 'one'};":                                               `did you mean "cluster"?`,
		"return {cluster: 'one', rule: 3};":                                      "rule is the number 3",
		"return [];":                                                             "list of 0",
		"return ['one', 2];":                                                     "the number 2 in place 1",
		"return ['one', ''];":                                                    "in place 1",
		"return Array(3);":                                                       "undefined in place 0",
		"return Array(2000).fill('one');":                                        "list of 2000",
		"return new String('one');":                                              "a string",
		"return () => 'one';":                                                    "a function",
		"return new Date();":                                                     "a date",
		"return /x/;":                                                            "a regexp",
		"return Promise.resolve('one');":                                         "a Promise",
		"return (async () => 'one')();":                                          "a Promise",
		"return {respond: 'no'};":                                                `the string "no"`,
		"return {respond: {}};":                                                  "respond.status is undefined",
		"return {respond: {status: '200'}};":                                     "respond.status",
		"return {respond: {status: 199}};":                                       "199",
		"return {respond: {status: 600}};":                                       "600",
		"return {respond: {status: 200.5}};":                                     "200.5",
		"return {respond: {status: NaN}};":                                       "NaN",
		"return {respond: {status: 200, body: 3}};":                              "respond.body is the number 3",
		"return {respond: {status: 200, body: 'x'.repeat(65537)}};":              "65537 bytes",
		"return {respond: {status: 200, text: ''}};":                             `unknown key "text"`,
		"return {respond: {status: 200, headers: 'x'}};":                         "respond.headers",
		"return {respond: {status: 200, headers: {a: 1}}};":                      `the number 1 for "a"`,
		"return {respond: {status: 200, headers: {'a b': ''}}};":                 "no header can have",
		"return {respond: {status: 200, headers: {'': ''}}};":                    "no header can have",
		"return {respond: {status: 200, headers: {'ä': ''}}};":                   "no header can have",
		`return {respond: {status: 200, headers: {a: 'x\r\nb: y'}}};`:            "control character",
		`return {respond: {status: 200, headers: {a: 'x\nb'}}};`:                 "control character",
		`return {respond: {status: 200, headers: {a: 'x\0'}}};`:                  "control character",
		"return {respond: {status: 200, headers: {'Content-Length': '3'}}};":     "belongs to the connection",
		"return {respond: {status: 200, headers: {'transfer-encoding': ''}}};":   "belongs to the connection",
		"return {respond: {status: 200, headers: {Connection: 'close'}}};":       "belongs to the connection",
		"return {respond: {status: 200, headers: {'Proxy-Authenticate': 'x'}}};": "belongs to the connection",
	} {
		d := load(t, route(body), onErrorTwo).Route(get("/"))
		if d.Outcome != BadReturn || d.Cluster != "two" || d.Respond != nil {
			t.Errorf("%s: %+v, want bad_return by on_error", body, d)
			continue
		}
		if !strings.Contains(d.Err.Error(), says) || !strings.HasPrefix(d.Err.Error(), "route.js: ") {
			t.Errorf("%s: %q does not say %q", body, d.Err, says)
		}
	}
}

func TestOnErrorFailMeansNeitherClusterNorAnswer(t *testing.T) {
	for _, policy := range []string{"", "fail"} {
		d := load(t, route("return 7;"), func(o *Options) { o.OnError = policy; o.DefaultCluster = "one" }).Route(get("/"))
		if d.Outcome != BadReturn || d.Cluster != "" || d.Respond != nil {
			t.Errorf("%q: %+v", policy, d)
		}
	}
}

func TestUnknownClusterIsLoggedOncePerNameAndMinute(t *testing.T) {
	s := load(t, `function route(req) { const name = req.query.get('to'); return name === 'list' ? ['one', 'fu' + 'or'] : name; }`, onErrorTwo)
	for range 5 {
		for _, name := range []string{"oen", "for", "list"} {
			d := s.Route(get("/?to=" + name))
			if d.Outcome != UnknownCluster || d.Cluster != "two" || d.Err == nil {
				t.Fatalf("%+v", d)
			}
		}
	}
	if d := s.Route(get("/?to=twoo")); !strings.Contains(d.Err.Error(), `there is no cluster "twoo"; did you mean "two"?`) {
		t.Errorf("%q", d.Err)
	}
	if got := len(s.logs.AllEntries()); got != 4 {
		t.Errorf("%d lines, want one per name:\n%s", got, s.messages())
	}
	if level := s.logs.LastEntry().Level.String(); level != "warning" {
		t.Errorf("logged at %s", level)
	}
}

func TestUnknownNamesFromClientsDoNotFillTheMemory(t *testing.T) {
	s := load(t, `function route(req) { return req.path; }`)
	for i := range maxNotices + 200 {
		s.Route(get("/" + strings.Repeat("x", i)))
	}
	if got := len(s.notices.said); got > maxNotices {
		t.Errorf("%d names are remembered", got)
	}
}

func TestUnknownLiteralClusterOrKeyIsToldAtLoad(t *testing.T) {
	s := load(t, `function route(req) {
  const helper = () => 'whatever';
  if (req.path === '/a') return 'tow';
  if (req.path === '/b') return ['one', 'thre'];
  if (req.path === '/c') return { cluster: req.ip ? 'nix' : 'two', rule: 'free text' };
  if (req.path === '/d') return { one: 90, "tow": 10 };
  if (req.path === '/e') return { cluster: { one: 90, 'thre': 10 }, timeout: 300, path: '/free' };
  if (req.path === '/f') return { cluster: 'one', headers: {} };
  if (req.path === '/g') return { respond: { status: 204 }, "requestheaders": {} };
  return helper() && 'one';
}`)
	for _, want := range []string{
		`route.js:8:51: every request for which this is returned fails: the unknown key "headers"; there are cluster, rule, requestHeaders, responseHeaders, path, hashKey, timeout, respond`,
		`route.js:9:61: every request for which this is returned fails: the unknown key "requestheaders"; did you mean "requestHeaders"?`,
		`route.js:3:33: route returns "tow", which is no cluster; did you mean "two"?`,
		`route.js:4:41: route returns "thre", which is no cluster; did you mean "three"?`,
		`route.js:5:53: route returns "nix", which is no cluster`,
		`route.js:6:44: route returns "tow", which is no cluster; did you mean "two"?`,
		`route.js:7:55: route returns "thre", which is no cluster; did you mean "three"?`,
	} {
		if !strings.Contains(s.messages(), want) {
			t.Errorf("missing %q in\n%s", want, s.messages())
		}
	}
	if got := len(s.logs.AllEntries()); got != 7 {
		t.Errorf("%d warnings:\n%s", got, s.messages())
	}
}

func TestExceptionNamesItsPlace(t *testing.T) {
	code := "// äöü\nfunction route(req) {\n  const o = undefined;\n  /* ünï */ return o.cluster;\n}"
	d := load(t, code, onErrorTwo).Route(get("/"))
	if d.Outcome != Exception || d.Cluster != "two" {
		t.Fatalf("%+v", d)
	}
	if got := d.Err.Error(); !strings.HasPrefix(got, "route.js:4:22: TypeError: Cannot read property 'cluster' of undefined") {
		t.Errorf("%s", got)
	}
}

func TestAnythingMayBeThrown(t *testing.T) {
	for body, says := range map[string]string{
		"throw 'oops';":                   `route.js:1:28: threw "oops"`,
		"throw 42;":                       "threw 42",
		"throw null;":                     "threw null",
		"throw undefined;":                "threw undefined",
		"throw {a: 1};":                   "threw [object Object]",
		"throw Symbol('s');":              "threw ",
		"throw new RangeError('far');":    "RangeError: far",
		"throw new Error('two\\nlines');": "Error: two lines",
		"class Odd extends Error {} throw new Odd('x');":                                                "Error: x",
		"throw {toString() { throw new Error('inner'); }};":                                             "cannot be shown",
		"const e = new Error('x'); Object.defineProperty(e, 'message', {get() { throw e; }}); throw e;": "cannot be shown",
		"throw new Proxy({}, {get() { throw 1; }});":                                                    "cannot be shown",
		"null.x":          "TypeError",
		"nowhere;":        "ReferenceError: nowhere is not defined",
		"undeclared = 1;": "ReferenceError",
	} {
		s := load(t, route(body))
		for range 3 {
			d := s.Route(get("/"))
			if d.Outcome != Exception || !strings.Contains(d.Err.Error(), says) {
				t.Errorf("%s: %v %v, want %q", body, d.Outcome, d.Err, says)
			}
		}
	}
}

func TestReturnedObjectMayMisbehave(t *testing.T) {
	for body, want := range map[string]Outcome{
		"return {get cluster() { throw new Error('no'); }};":             Exception,
		"return new Proxy({}, {ownKeys() { throw new Error('no'); }});":  Exception,
		"return new Proxy(['one'], {get() { throw new Error('no'); }});": Exception,
		"return {respond: {get status() { null.x }}};":                   Exception,
		"return {get cluster() { return 'one'; }};":                      OK,
		"const p = Proxy.revocable({}, {}); p.revoke(); return p.proxy;": Exception,
	} {
		s := load(t, route(body))
		for range 3 {
			if d := s.Route(get("/")); d.Outcome != want {
				t.Errorf("%s: %v %v, want %v", body, d.Outcome, d.Err, want)
			}
		}
	}
}

func TestPromiseCallbacksNeverRun(t *testing.T) {
	s := load(t, `let ran = 0;
function route(req) {
  Promise.resolve().then(() => { ran++; });
  (async () => { await null; ran++; })();
  return {respond: {status: 200, body: String(ran)}};
}`, oneWorker)
	for range 20 {
		if got := s.eval(t, get("/")); got != "0" {
			t.Fatalf("%s callbacks ran", got)
		}
	}
	rt := s.acquire()
	if _, err := rt.js.RunProgram(rt.script.empty); err != nil { // would run what is left in the queue
		t.Error(err)
	}
	s.release(rt)
	if got := s.eval(t, get("/")); got != "0" {
		t.Errorf("%s callbacks were kept", got)
	}
}

func TestConsoleGoesToTheLogWithALimit(t *testing.T) {
	s := load(t, route(`console.log('a', 1, {b: [2]}, null); console.warn(new TypeError('x')); console.error('line\nbreak'); return 'one';`))
	s.Route(get("/"))
	want := "info: script says: a 1 {\"b\":[2]} null\nwarning: script says: TypeError: x\nerror: script says: line break\n"
	if got := s.messages(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for range 100 {
		s.Route(get("/"))
	}
	if got := len(s.logs.AllEntries()); got > 40 {
		t.Errorf("%d lines of 303 were logged", got)
	}
}
