package scripting

import (
	"encoding/json"
	"strings"
	"testing"
)

// show makes a route that answers with an expression as JSON.
func show(expression string) string {
	return route("return {respond: {status: 200, body: String(JSON.stringify(" + expression + "))}};")
}

func TestRequestShowsEverythingOfARequest(t *testing.T) {
	s := load(t, show(`[req.method, req.path, req.cleanPath, req.url, req.host, req.scheme, req.ip, req.id, req.listener]`))
	r := get("/a/%7Eb/../c//d?x=1")
	r.method = "PROPFIND"
	want := `["PROPFIND","/a/%7Eb/../c//d","/a/c/d","http://example.com/a/%7Eb/../c//d?x=1","example.com","http","192.0.2.7","id-1","main"]`
	if got := s.eval(t, r); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLookupsFindNames(t *testing.T) {
	r := func() *req {
		return get("/?v=1&v=2&empty=&flag&q=a+b%20c%C3%A9&get=g&bad=%zz%ff&&=nameless").
			with("X-Tag", "a").with("X-Tag", "b").with("Accept", "text/html").
			with("Cookie", `user=alice; theme="dark"; user=bob; empty=; junk; =x`)
	}
	for expression, want := range map[string]string{
		"req.headers.get('x-tag')":                             `"a, b"`,
		"req.headers.get('X-TAG')":                             `"a, b"`,
		"req.headers['X-Tag']":                                 `"a, b"`,
		"req.headers.accept":                                   `"text/html"`,
		"req.headers.get('no')":                                "null",
		"req.headers.no === undefined":                         "true",
		"req.headers.has('Accept')":                            "true",
		"'accept' in req.headers":                              "true",
		"'nope' in req.headers":                                "false",
		"Object.keys(req.headers)":                             `["x-tag","accept","cookie"]`,
		"{...req.headers}.accept":                              `"text/html"`,
		"req.headers.constructor === undefined":                "true",
		"req.query.get('v')":                                   `"1"`,
		"req.query.v":                                          `"1"`,
		"req.query.getAll('v')":                                `["1","2"]`,
		"req.query.getAll('no')":                               `[]`,
		"req.query.get('empty')":                               `""`,
		"req.query.get('flag')":                                `""`,
		"req.query.has('flag')":                                "true",
		"req.query.get('q')":                                   `"a b cé"`,
		"req.query.get('get')":                                 `"g"`,
		"req.query.get('bad')":                                 `"%zz�"`,
		"req.query.get('')":                                    `"nameless"`,
		"req.query.get('no')":                                  "null",
		"Object.keys(req.query)":                               `["v","empty","flag","q","get","bad",""]`,
		"req.cookies.get('user')":                              `"alice"`,
		"req.cookies.theme":                                    `"dark"`,
		"req.cookies.get('empty')":                             `""`,
		"req.cookies.has('junk')":                              "false",
		"Object.keys(req.cookies)":                             `["user","theme","empty"]`,
		"Object.keys(req)":                                     `["method","path","cleanPath","url","host","scheme","ip","id","listener","tls","headers","query","cookies"]`,
		"'path' in req":                                        "true",
		"'toString' in req":                                    "true",
		"typeof req.hasOwnProperty":                            `"function"`,
		"req.headers === req.headers":                          "true",
		"(({path, headers: {accept}}) => [path, accept])(req)": `["/","text/html"]`,
		"JSON.parse(JSON.stringify(req)).query.v":              `"1"`,
	} {
		s := load(t, show(expression))
		for range 2 {
			if got := s.eval(t, r()); got != want {
				t.Errorf("%s = %s, want %s", expression, got, want)
			}
		}
	}
}

func TestWhatTheConnectionIsEncryptedBy(t *testing.T) {
	expression := "[req.tls, req.tls === req.tls, req.tls && [Object.keys(req.tls), req.tls.names.includes('web.test')]]"
	s := load(t, show(expression))
	if got := s.eval(t, get("/")); got != "[null,true,null]" {
		t.Errorf("in cleartext: %s", got)
	}
	r := get("/")
	r.tls = &TLS{Version: "1.3", ServerName: "shop.test", Subject: "CN=web", Names: []string{"web.test"}}
	want := `[{"version":"1.3","serverName":"shop.test","subject":"CN=web","names":["web.test"]},true,[["version","serverName","subject","names"],true]]`
	if got := s.eval(t, r); got != want {
		t.Errorf("got %s", got)
	}
}

func TestRequestIsReadOnly(t *testing.T) {
	for _, body := range []string{
		"req.path = '/x';", "req.other = 1;", "delete req.path;", "req.headers.accept = 'x';", "delete req.query.v;",
		"Object.defineProperty(req, 'path', {value: 1});", "ctx.hash = 1;", "ctx.other = 1;", "ctx.clusters.one = 1;",
		"ctx.clusters.one.healthy = 9;", "delete ctx.now;", "Object.assign(req, {path: 1});", "req[0] = 1;",
	} {
		d := load(t, route(body+" return 'one';")).Route(get("/?v=1"))
		if d.Outcome != Exception || !strings.Contains(d.Err.Error(), "TypeError") {
			t.Errorf("%s: %v %v", body, d.Outcome, d.Err)
		}
	}
}

func TestRequestKeptForALaterCallThrows(t *testing.T) {
	for kept, use := range map[string]string{
		"req":            "kept.path",
		"req.headers":    "kept.get('a')",
		"req.query":      "kept.a",
		"req.cookies":    "'a' in kept",
		"() => req.host": "kept()",
	} {
		s := load(t, `let kept; function route(req) { if (kept) { return `+use+`; } kept = `+kept+`; return 'one'; }`,
			func(o *Options) { o.Workers = 1 })
		s.Route(get("/"))
		for range 3 {
			d := s.Route(get("/"))
			if d.Outcome != Exception || !strings.Contains(d.Err.Error(), "this request is over") {
				t.Errorf("%s: %v %v", kept, d.Outcome, d.Err)
			}
		}
	}
}

func TestRequestsDoNotMix(t *testing.T) {
	s := load(t, show(`[req.path, req.headers.get('x'), req.query.get('q'), req.cookies.get('c')]`), func(o *Options) { o.Workers = 1 })
	first := get("/1?q=1").with("x", "1").with("cookie", "c=1")
	if got := s.eval(t, first); got != `["/1","1","1","1"]` {
		t.Errorf("%s", got)
	}
	if got := s.eval(t, get("/2")); got != `["/2",null,null,null]` {
		t.Errorf("%s", got)
	}
}

func TestUnknownPropertyIsUndefinedAndToldOnce(t *testing.T) {
	s := load(t, show("[typeof req.pathh, typeof req.methods, typeof req.somethingElse]"))
	for range 3 {
		if got := s.eval(t, get("/")); got != `["undefined","undefined","undefined"]` {
			t.Fatalf("%s", got)
		}
	}
	want := `warning: route.js: the script reads req.pathh, which does not exist; did you mean "path"?
warning: route.js: the script reads req.methods, which does not exist; did you mean "method"?
warning: route.js: the script reads req.somethingElse, which does not exist
`
	if got := s.messages(); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestContextShowsClustersHashAndNow(t *testing.T) {
	s := load(t, show(`[ctx.clusters.one, Object.keys(ctx.clusters), 'two' in ctx.clusters, typeof ctx.clusters.nope,
		typeof ctx.clusters.constructor, ctx.hash('alice'), ctx.now === Date.now(), ctx.now === +new Date(), ctx.now > 1.7e12]`))
	s.fleet.set("one", 1)
	want := `[{"name":"one","healthy":1,"total":2},["one","two","three"],true,"undefined","undefined",` + jsonOf(t, hash("alice")) + `,true,true,true]`
	if got := s.eval(t, get("/")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s.fleet.set("one", 0)
	if got := s.eval(t, get("/")); !strings.HasPrefix(got, `[{"name":"one","healthy":0`) {
		t.Errorf("health is not live: %s", got)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTimeStandsStillDuringACall(t *testing.T) {
	s := load(t, route(`const start = Date.now(); for (let i = 0; i < 20000; i++) {} return Date.now() === start ? 'one' : 'two';`))
	if d := s.Route(get("/")); d.Cluster != "one" {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsNotAvailableSaysWhatToUse(t *testing.T) {
	for name, instead := range absent {
		d := load(t, route("return "+name+";")).Route(get("/"))
		if d.Outcome != Exception || !strings.Contains(d.Err.Error(), name+" is not available in a routing script: "+instead) {
			t.Errorf("%s: %v %v", name, d.Outcome, d.Err)
		}
	}
	if d := load(t, "class URL { get name() { return 'one'; } }\nfunction atob() {}\nvar fetch = 1;\n"+route("return new URL().name;")).Route(get("/")); d.Cluster != "one" {
		t.Errorf("a script may not define the name itself: %+v", d)
	}
}

func TestStartsWithIsTheEnginesOwn(t *testing.T) {
	for expression, want := range map[string]string{
		"'abc'.startsWith('ab')": "true", "'abc'.startsWith('b', 1)": "true", "'abc'.startsWith('')": "true",
		"'äbc'.startsWith('ä')": "true", "'😀'.startsWith('\\ud83d')": "true", "'undefined'.startsWith()": "true",
		"(12).toString().startsWith(1)": "true", "String.prototype.startsWith.call(12, '1')": "true",
		"'a'.startsWith('ab')": "false", "(() => { try { 'a'.startsWith(/a/) } catch (e) { return e.name } })()": `"TypeError"`,
	} {
		if got := load(t, show(expression)).eval(t, get("/")); got != want {
			t.Errorf("%s = %s, want %s", expression, got, want)
		}
	}
}
