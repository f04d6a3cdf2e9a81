package scripting

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestScriptThatDoesNotLoadShowsTheLine(t *testing.T) {
	_, err := tryLoad(t, "// ü\n\nfunction route(req) {\n\treturn req.path ? 'a' + : 'b';\n}\n")
	want := "route.js:4:26: SyntaxError: Unexpected token :\n  \treturn req.path ? 'a' + : 'b';\n  \t                        ^"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if fault, ok := errors.AsType[*LoadError](err); !ok || fault.File != "route.js" || fault.Line != 4 || fault.Column != 26 {
		t.Errorf("%+v", fault)
	}
}

func TestFaultsOfASourceAreNamedWithTheirPlace(t *testing.T) {
	for code, says := range map[string]string{
		"":                                "route.js: the script defines no route",
		"const x = 1;":                    "route.js: the script defines no route",
		"function Route() {}":             "did you mean to call `Route` route?",
		"\n let route = 3;":               "route.js:2:6: route is the number 3, not a function",
		"const route = {route() {}};":     "route.js:1:7: route is an object, not a function",
		"const route = 'one';":            `route.js:1:7: route is the string "one", not a function`,
		"\nasync function route() {}":     "route.js:2:1: route may not be async",
		"const route = async () => 'one'": "route.js:1:15: route may not be async",
		"const f = async () => 'one'; const route = f;": "route may not be async",
		"function* route() {}":                          "route.js:1:1: route may not be a generator",
		"class route {}":                                "route.js",
		"const route = new Proxy(() => 'one', {});":     "route must be a plain function",
		"const big = 10n;\nfunction route() {}":         "route.js:1:13: SyntaxError: BigInt is not available",
		"function route() { if (x) { return 0xFFn } }":  "BigInt is not available",
		"function route() {":                            "route.js:1:19: SyntaxError: Unexpected end of input",
		"let a; let a;":                                 "route.js:1:12: SyntaxError: Identifier 'a' has already been declared",
		"function route() { return /(/; }":              "route.js:1:27: SyntaxError: Unterminated group",
		"with (a) {}":                                   "SyntaxError",
		"const t = {\n  a: null.b\n};":                  "route.js:2:11: TypeError: Cannot read property 'b' of undefined",
		"throw new Error('no config');":                 "route.js:1:7: Error: no config",
		"nowhere();":                                    "route.js:1:8: ReferenceError: nowhere is not defined",
		"const x = URL;":                                "URL is not available in a routing script: use req.path and req.query",
		"function f() { f() } f();":                     "RangeError: Maximum call stack size exceeded",
		"let x = '\xff';":                               "route.js: the script is not UTF-8 text: invalid byte 0xff at offset 9",
		"\uFEFFlet x = '\xc3(';":                        "invalid byte 0xc3 at offset 12",
		"//" + strings.Repeat(" ", MaxSource):           "the most is 1048576",
	} {
		_, err := tryLoad(t, code)
		if _, ok := errors.AsType[*LoadError](err); !ok || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60q: %v\n  want %s", code, err, says)
		}
	}
}

func TestWindowsAndOldMacLineEndsCount(t *testing.T) {
	_, err := tryLoad(t, "\uFEFF// a\r\n// b\rlet x = ;\r\n")
	if err == nil || err.Error() != "route.js:3:9: SyntaxError: Unexpected token ;\n  let x = ;\n          ^" {
		t.Errorf("%v", err)
	}
}

func TestFaultInAVeryLongLineShowsAWindow(t *testing.T) {
	_, err := tryLoad(t, strings.Repeat("/*x*/", 500)+"let = ;"+strings.Repeat("/*x*/", 500))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || len(lines[1]) > 200 || !strings.HasPrefix(lines[1][len(lines[2])-1:], ";") && !strings.HasPrefix(lines[1][len(lines[2])-1:], "=") {
		t.Errorf("%v", err)
	}
}

func TestTopLevelHasADeadline(t *testing.T) {
	began := time.Now()
	_, err := tryLoad(t, "let x = 0;\nwhile (true) { x++; }\n", func(o *Options) { o.Timeout = 50 * time.Millisecond })
	if err == nil || !strings.Contains(err.Error(), "route.js:") || !strings.Contains(err.Error(), "ran past its deadline of 50ms") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for says, change := range map[string]func(*Options){
		`on_error names the cluster "oen", which does not exist; did you mean "one"?`: func(o *Options) { o.OnError = "oen" },
		`default_cluster names the cluster "four"`:                                    func(o *Options) { o.DefaultCluster = "four" },
		"are required":    func(o *Options) { o.Log = nil },
		"too short":       func(o *Options) { o.Timeout = time.Microsecond },
		"takes a restart": func(o *Options) { o.Timeout = time.Hour },
	} {
		if _, err := tryLoad(t, "function route() {}", change); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}

func TestVersionIsAShortHashOfTheText(t *testing.T) {
	a, b, c := load(t, "function route() {}"), load(t, "function route() {}"), load(t, "function route() { }")
	if a.Version() != b.Version() || a.Version() == c.Version() || len(a.Version()) != 7 {
		t.Errorf("%s %s %s", a.Version(), b.Version(), c.Version())
	}
}

func TestSourceMapCommentIsNotFollowed(t *testing.T) {
	load(t, "function route() { return 'one'; }\n//# sourceMappingURL=/nonexistent/map.json\n")
}

func TestDeepNestingIsRefusedBeforeTheParser(t *testing.T) {
	const deep = 200_000
	for name, code := range map[string]string{
		"brackets":    strings.Repeat("[", deep) + strings.Repeat("]", deep),
		"parentheses": strings.Repeat("(", deep) + "1" + strings.Repeat(")", deep),
		"blocks":      strings.Repeat("{", deep) + strings.Repeat("}", deep),
		"unary":       "let x = " + strings.Repeat("!", deep) + "1",
		"spread":      "let x = " + strings.Repeat("- ", deep) + "1",
		"plus":        "let x = 1" + strings.Repeat("+1", deep),
		"members":     "let x = a" + strings.Repeat(".b", deep),
		"calls":       "let x = a" + strings.Repeat("()", deep),
		"ternaries":   "let x = 1" + strings.Repeat("?1:1", deep/2),
		"arrows":      "let x = " + strings.Repeat("a=>", deep) + "1",
		"assignments": "let a; " + strings.Repeat("a=", deep) + "1",
		"ifs":         strings.Repeat("if(1)", deep/2) + ";",
		"else ifs":    strings.Repeat("if(1){}else ", deep/4) + "{}",
		"new":         "let x = " + strings.Repeat("new ", deep) + "a",
		"templates":   strings.Repeat("`${", deep/2) + strings.Repeat("}`", deep/2),
		"typeof":      "let x = " + strings.Repeat("typeof ", deep/2) + "1",
	} {
		if _, err := tryLoad(t, code); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func TestNestingJustBelowTheLimitIsParsed(t *testing.T) {
	for name, code := range map[string]string{
		"brackets":  "let x = " + strings.Repeat("[", maxBrackets-2) + strings.Repeat("]", maxBrackets-2),
		"blocks":    strings.Repeat("{", maxBrackets-2) + strings.Repeat("}", maxBrackets-2),
		"unary":     "let x = " + strings.Repeat("!", maxChain-10) + "1",
		"plus":      "let x = 1" + strings.Repeat("+1", maxChain-10),
		"members":   "let f = () => a" + strings.Repeat(".b", maxChain-10),
		"ternaries": "let x = 1" + strings.Repeat("?1:1", maxChain/2-10),
		"else ifs":  strings.Repeat("if(1){}else ", maxChain/6) + "{}",
		"arrows":    "let x = " + strings.Repeat("a=>", maxChain/2-10) + "1",
	} {
		_, err := tryLoad(t, code+";\nfunction route() { return 'one'; }", func(o *Options) { o.Workers = 1 })
		if err != nil && strings.Contains(err.Error(), "nested too deeply") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func TestLongScriptsOfPeopleAreNotTooDeep(t *testing.T) {
	var code strings.Builder
	code.WriteString("const table = {\n")
	for range 5000 {
		code.WriteString("  '/a/b': { cluster: 'one', weight: 1 + 2 },\n")
	}
	code.WriteString("}\n")
	for range 5000 {
		code.WriteString("table['x' + 1].weight = [1, 2].map(x => x * 2)[0] // no semicolon's\n")
	}
	code.WriteString("function route(req) {\n")
	for range 3000 {
		code.WriteString("  if (req.path.startsWith('/x/') && /^[(]['\"`]\\/$/.test(req.path)) return `o${'n'}e`\n  else if (req.ip === '') return 'two'\n")
	}
	code.WriteString("}\n")
	if at, deep := tooDeep(code.String()); deep {
		t.Errorf("too deep at %d: %.80s", at, code.String()[at:])
	}
}
