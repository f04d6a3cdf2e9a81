package scripting

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTheLongestPrefixWins(t *testing.T) {
	word := rapid.StringOfN(rapid.RuneFrom([]rune("ab/")), 0, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfNDistinct(word, 0, 20, rapid.ID[string]).Draw(t, "prefixes")
		text := word.Draw(t, "text")
		want := -1
		for i, prefix := range all {
			if strings.HasPrefix(text, prefix) && (want < 0 || len(prefix) > len(all[want])) {
				want = i
			}
		}
		p := newPrefixes(all)
		got := p.longest(text)
		if got < 0 != (want < 0) || got >= 0 && p.sorted[got] != all[want] {
			t.Fatalf("%q of %q: got %d", text, p.sorted, got)
		}
	})
}

func TestAPrefixMapFindsValues(t *testing.T) {
	s := load(t, `const map = new PrefixMap({ '/': 'two', '/api/': ['one', 'two'], '/api/v2/': { cluster: 'three' } });
		const none = new PrefixMap({});
		function route(req) { return map instanceof PrefixMap && none.get('/') === undefined ? map.get(req.path) : 'one'; }`)
	for path, want := range map[string]string{"/": "two", "/api": "two", "/api/": "one", "/api/v2/x": "three", "x": ""} {
		if d := s.Route(get(path)); d.Cluster != want {
			t.Errorf("%s: %+v, want %s", path, d, want)
		}
	}
}

func TestGlobalsRefuseWhatTheyCanNotTake(t *testing.T) {
	for code, says := range map[string]string{
		"new PrefixMap()":                      "PrefixMap takes an object such as { '/api/': 'api' }, not undefined",
		"new PrefixMap(['/'])":                 "not an array",
		"new PrefixMap({}).get(3)":             "PrefixMap.get takes a string, not the number 3",
		"cookie('a b', 'x')":                   `the string "a b" is no name of a cookie`,
		"cookie('', 'x')":                      "is no name of a cookie",
		"cookie('a')":                          "the value is undefined, it takes a string",
		"cookie('a', 'x y')":                   "the character ' ', which no cookie can have: use encodeURIComponent",
		"cookie('a', 'x;y')":                   "the character ';'",
		`cookie('a', 'x\r\ny')`:                `the character '\r'`,
		"cookie('a', 'ä')":                     "the character 'ä'",
		"cookie('a', 'x', 3)":                  "the options are the number 3",
		"cookie('a', 'x', {maxage: 3})":        `there is no option "maxage"; did you mean "maxAge"?`,
		"cookie('a', 'x', {maxAge: '3'})":      "maxAge is the string",
		"cookie('a', 'x', {maxAge: 1.5})":      "a whole number of seconds",
		"cookie('a', 'x', {path: 'a'})":        "it takes a path such as",
		"cookie('a', 'x', {path: '/;b'})":      "it takes a path such as",
		"cookie('a', 'x', {sameSite: 'lax'})":  "it takes 'Lax', 'Strict' or 'None'",
		"cookie('a', 'x', {sameSite: 'None'})": "needs secure: true",
		"cookie('a', 'x', {maxAge: 1/0})":      "a whole number of seconds",
		"cookie('a', 'x', {sameSite: {}})":     "sameSite is an object",
		"cookie('a', 'x'.repeat(4096))":        "the cookie has 4105 bytes, of which browsers take at most 4096",
	} {
		d := load(t, route(code+"; return 'one';")).Route(get("/"))
		if d.Outcome != Exception || !strings.Contains(d.Err.Error(), says) {
			t.Errorf("%s: %v does not say %s", code, d.Err, says)
		}
	}
}

func TestACookieIsWrittenAsBrowsersReadIt(t *testing.T) {
	for code, want := range map[string]string{
		"cookie('canary', 'on')":       "canary=on; Path=/",
		"cookie('a', '', {maxAge: 0})": "a=; Path=/; Max-Age=0",
		"cookie('a', 'b', {maxAge: 3600, path: '/shop', sameSite: 'Lax', httpOnly: true})": "a=b; Path=/shop; Max-Age=3600; SameSite=Lax; HttpOnly",
		"cookie('a', 'b', {sameSite: 'None', secure: true})":                               "a=b; Path=/; SameSite=None; Secure",
	} {
		if got := load(t, show(code)).eval(t, get("/")); got != fmt.Sprintf("%q", want) {
			t.Errorf("%s is %s, want %s", code, got, want)
		}
	}
}

func TestACookieIsReadBackAsItWasWritten(t *testing.T) {
	s := load(t, show("cookie(req.query.get('n'), req.query.get('v'), { path: req.query.get('p') })"))
	like := func(pattern string) *rapid.Generator[string] {
		return rapid.OneOf(rapid.StringMatching(pattern), rapid.StringMatching(pattern), rapid.String())
	}
	names, values, paths := like(`[a-c!=]{1,3}`), like(`[ab ",;=\\]{0,5}`), like(`/[ab ",;=\\]{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		name, value, path := names.Draw(t, "name"), values.Draw(t, "value"), paths.Draw(t, "path")
		d := s.Route(get("/?" + url.Values{"n": {name}, "v": {value}, "p": {path}}.Encode()))
		if d.Outcome == Exception {
			return
		}
		var text string
		if err := json.Unmarshal([]byte(d.Respond.Body), &text); err != nil {
			t.Fatal(err)
		}
		c, err := http.ParseSetCookie(text)
		if err != nil || c.Name != name || c.Value != value || c.Path != path {
			t.Fatalf("%q is read as %+v, %v", text, c, err)
		}
	})
}

func TestDefineRouteIsWhatItIsGiven(t *testing.T) {
	if d := load(t, "const f = defineRoute(() => 'two'); function route() { return f(); }").Route(get("/")); d.Cluster != "two" {
		t.Errorf("%+v", d)
	}
}

func withData(text string) func(*Options) {
	return func(o *Options) { o.Data, o.DataName = []byte(text), "data.json" }
}

func TestDataIsSeenFrozen(t *testing.T) {
	s := load(t, `function route(req, ctx) {
		try { ctx.data.share.one = 3; } catch (e) { return ctx.data.beta[0] + (Object.isFrozen(ctx.data.beta) && e instanceof TypeError ? '' : '?'); }
	}`, withData(`{"share": {"one": 2}, "beta": ["three"]}`))
	if d := s.Route(get("/")); d.Cluster != "three" {
		t.Errorf("%+v", d)
	}
	if d := load(t, route("return ctx.data.x;")).Route(get("/")); d.Outcome != Exception || !strings.Contains(d.Err.Error(), "name a JSON file in script.data") {
		t.Errorf("%+v", d)
	}
}

func TestAByteOrderMarkBeforeDataIsIgnored(t *testing.T) {
	if d := load(t, route("return ctx.data.to;"), withData("\uFEFF{\"to\": \"two\"}")).Route(get("/")); d.Cluster != "two" {
		t.Errorf("%+v", d)
	}
}

func TestBrokenDataIsRefusedByItsPlace(t *testing.T) {
	for text, says := range map[string]string{
		"":                  "data.json:1:1: this is not JSON",
		"{\n  \"a\": 1,\n}": "data.json:3:1: this is not JSON",
		"{\"a\": tru}":      "data.json:1:",
		"[1, 2":             "this is not JSON",
		"{\n \"\xff\"}":     "data.json:2:3: the data is not UTF-8",
		"{} {}":             "data.json:1:4: this is not JSON: invalid character '{' after top-level value",
		strings.Repeat("[", 200) + strings.Repeat("]", 200): "nests more than 100 deep",
		"\"" + strings.Repeat("x", MaxData) + "\"":          "the most is 4194304",
	} {
		_, err := tryLoad(t, "function route() {}", withData(text))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20q: %v does not say %s", text, err, says)
		}
	}
}

func TestOnlyTheListedEnvironmentIsSeen(t *testing.T) {
	s := load(t, "function route(req, ctx) { return ctx.env.STAGE === 'test' && ctx.env.HOME === undefined && !('toString' in ctx.env) ? 'one' : 'two'; }",
		func(o *Options) { o.Env = map[string]string{"STAGE": "test"} })
	if d := s.Route(get("/")); d.Cluster != "one" {
		t.Errorf("%+v", d)
	}
}
