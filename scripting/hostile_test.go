package scripting

import (
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each of these asks one built-in for more than a script may have. Without its
// guard it would take memory or time that no interrupt limits.
func TestBuiltInsRefuseTheBoundless(t *testing.T) {
	for _, expression := range []string{
		"'x'.repeat(1e9)", "'x'.repeat(2 ** 21)", "'xy'.repeat(6e5)", "'x'.repeat({valueOf() { return 1e9; }})",
		"String.prototype.repeat.call({toString() { return 'xx'; }}, 6e5)",
		"'x'.padStart(1e9)", "'x'.padEnd(1e9, 'ab')", "'x'.padEnd({valueOf: () => 1e9})",
		"'x'.repeat(1e6).concat('x'.repeat(1e6))",
		"'x'.repeat(1e6).replaceAll('x', 'y'.repeat(1e3))", "'x'.repeat(1e6).replace(/x/g, 'y'.repeat(1e3))",
		"'x'.repeat(1e6).replace(/.*/, '$&'.repeat(1e4))", "'x'.repeat(1e6).replace(/x/g, ['y'.repeat(1e3)])",
		"Array(1e9).fill(0)", "new Array(4294967295).join('x')", "Array(1e6).join('xx')", "Array(100).fill('x'.repeat(1e6)).join()",
		"Array.from({length: 1e9})", "Array.from(Array(1e9))", "[].concat(Array(1e9))", "Array(1e9).concat([])",
		"[...Array(1e9)]", "Math.max(...Array(1e9))", "[...Array(1e9).keys()]", "[...Array(1e9).entries()]", "(([...rest]) => rest)(Array(1e9))",
		"Math.max.apply(null, {length: 1e9})", "Math.max.apply(null, Array(1e6))", "Reflect.apply(Math.max, null, {length: 1e9})", "Reflect.construct(Array, {length: 1e9})",
		"Array(1e9).indexOf(1)", "Array(1e9).includes(1)", "Array(1e9).lastIndexOf(1)", "Array(1e9).forEach(x => x)", "Array(1e9).map(x => x)",
		"Array(1e9).reverse()", "Array(1e9).sort()", "Array(1e9).toString()", "String(Array(1e9))", "Array(1e9) + ''", "Array(1e9).toLocaleString()",
		"Array(1e9).flat()", "Array(1e9).slice(1)", "Array(1e9).splice(1)", "Array(1e9).copyWithin(0, 5)", "Array(1e9).reduce((a, b) => a)",
		"Array(1e9).some(x => x)", "Array(1e9).find(x => x)", "Array(1e9).toSorted()", "Array(1e9).with(1, 1)",
		"Array.prototype.fill.call({length: 1e9}, 0)", "Array.prototype.sort.call({length: 1e9})", "(a => { a[4294967290] = 1; return a.sort(); })([])",
		"new ArrayBuffer(1e9)", "new Uint8Array(1e9)", "new Float64Array({length: 1e9})", "new (new Int8Array(1).constructor)(1e9)", "Uint16Array.from({length: 1e9})", "Uint8Array.of(1).constructor(1e9)",
		"Reflect.construct(Uint8Array, [1e9])", "new (class extends Uint8Array {})(1e9)", "new (Uint8Array[Symbol.species])(1e9)",
		"JSON.parse('['.repeat(1e6))", "JSON.parse('['.repeat(300) + ']'.repeat(300))", "JSON.parse('{\"a\":'.repeat(300) + '1' + '}'.repeat(300))", "JSON.parse(' '.repeat(1048576) + '1')",
		"JSON.stringify(Array(1e9))", "JSON.stringify([[Array(1e9)]])", "JSON.stringify((a => { for (let i = 0; i < 1e3; i++) a = {a}; return a; })({}))",
		"JSON.stringify((a => { for (let i = 0; i < 40; i++) a = [a, a]; return a; })(1))", "JSON.stringify(Array(100).fill('x'.repeat(1e5)))",
		"new RegExp('('.repeat(1e3))", "RegExp('(?:'.repeat(300) + ')'.repeat(300))", "new RegExp('x'.repeat(1e5))", "'x'.match('('.repeat(1e3))", "'x'.search('('.repeat(1e3))",
		"[...'x'.matchAll('('.repeat(1e3))]", "new (/x/.constructor)('('.repeat(1e3))",
		"(function f() { return f(); })()", "(function f() { return [1].map(f); })()", "(function f() { return [2, 1].sort(f); })()",
		"(function f() { return 'x'.replace('x', f); })()", "(function f() { return JSON.stringify({toJSON: f}); })()", "(function f() { return String({toString: f}); })()",
		"(function f() { return Reflect.apply(f, null, []); })()",
	} {
		s := load(t, "function route() { const made = "+expression+"; return 'one'; }", oneWorker)
		d := s.Route(get("/"))
		for tries := 0; d.Outcome == Timeout && tries < 5; tries++ { // a busy machine may have paused the test
			d = s.routeSoon(get("/"))
		}
		if d.Outcome != Exception || !strings.Contains(d.Err.Error(), "RangeError") {
			t.Errorf("%s: %v %v", expression, d.Outcome, d.Err)
		}
	}
}

func TestNothingMakesCodeOrBigInts(t *testing.T) {
	for _, expression := range []string{
		"eval('1')", "(0, eval)('1')", "globalThis.eval('1')", "Function('return 1')()", "new Function('return 1')",
		"(() => 1).constructor('return 1')", "(function () {}).constructor('return 1')()", "Reflect.construct((() => 1).constructor, ['return 1'])",
		"(async () => 1).constructor('return 1')", "(function* () {}).constructor('yield 1')", "(class {}).constructor('return 1')", "Math.max.constructor('return 1')",
		"BigInt(1)", "globalThis.BigInt(2)", "new BigInt64Array(1)", "new DataView(new ArrayBuffer(8)).getBigInt64(0)",
		"Object.getPrototypeOf(Object.getPrototypeOf(async () => 1)).constructor('return 1')",
	} {
		d := load(t, "function route() { const made = "+expression+"; return 'one'; }", oneWorker).Route(get("/"))
		if d.Outcome != Exception || !strings.Contains(d.Err.Error(), "TypeError") {
			t.Errorf("%s: %v %v", expression, d.Outcome, d.Err)
		}
	}
}

func TestGuardsLeaveOrdinaryUseAlone(t *testing.T) {
	for expression, want := range map[string]string{
		"'ab'.repeat(3)": `"ababab"`, "'ab'.repeat()": `""`, "'5'.padStart(3, '0')": `"005"`, "'5'.padEnd(3)": `"5  "`,
		"'a'.concat('b', 1, null)": `"ab1null"`, "'a-b-c'.replace('-', '+')": `"a+b-c"`, "'a-b-c'.replaceAll('-', '+')": `"a+b+c"`,
		"'a-b'.replace(/(.)-(.)/, '$2-$1')": `"b-a"`, "'abc'.replace(/b/, m => m.toUpperCase())": `"aBc"`, "'abc'.replace('b')": `"aundefinedc"`,
		"'x'.replace({[Symbol.replace]: () => 'own'}, 'y')": `"own"`,
		"Array(3).fill(0)": "[0,0,0]", "[1,2,3].join('-')": `"1-2-3"`, "Array.from('abc')": `["a","b","c"]`, "Array.from({length: 2}, (_, i) => i)": "[0,1]",
		"Array.from(new Set([1, 1, 2]))": "[1,2]", "[1].concat([2], 3)": "[1,2,3]", "[...[1, 2], ...'ab']": `[1,2,"a","b"]`, "Math.max(...[1, 5, 3])": "5",
		"Math.max.apply(null, [1, 9])": "9", "Reflect.apply(Math.max, null, [1, 7])": "7", "Reflect.construct(Date, [0]).getTime()": "0",
		"[3,1,2].sort()": "[1,2,3]", "[1,2,3].includes(2)": "true", "[[1],[2,[3]]].flat(2)": "[1,2,3]", "[1,2,3].toString()": `"1,2,3"`, "String([1,[2]])": `"1,2"`,
		"[...new Map([[1, 2]])]": "[[1,2]]", "(() => { let n = 0; for (const x of [1, 2, 3]) n += x; return n; })()": "6",
		"new Uint8Array(3).length": "3", "new Uint8Array([1, 2])[1]": "2", "new Uint8Array(new ArrayBuffer(4)).length": "4", "new Uint8Array(2) instanceof Uint8Array": "true",
		"Uint8Array.from([1, 2]).length": "2", "Uint8Array.of(1, 2).constructor === Uint8Array": "true", "Uint8Array.BYTES_PER_ELEMENT": "1",
		"JSON.parse('{\"a\":[1,\"]]{\"]}').a.length": "2", "JSON.parse('1', (k, v) => v + 1)": "2", "JSON.stringify({a: 1}, null, 1)": `"{\n \"a\": 1\n}"`, "JSON.stringify(undefined) === undefined": "true",
		"new RegExp('a(b)').exec('ab')[1]": `"b"`, "RegExp('x', 'g').flags": `"g"`, "/x/ instanceof RegExp": "true", "new RegExp(/x/i).flags": `"i"`, "/x/.constructor === RegExp": "true",
		"'a1b2'.match(/[0-9]/g)": `["1","2"]`, "'abc'.match('b').index": "1", "'abc'.search('c')": "2", "[...'a1b2'.matchAll(/[0-9]/g)].length": "2", "'a,b'.split(/,/)": `["a","b"]`, "'a'.match()[0]": `""`,
		"(() => 1) instanceof Function": "true", "(() => { class R extends RegExp {} const r = new R('x'); return [r instanceof R, r instanceof RegExp, /x/ instanceof R, r.test('x')]; })()": "[true,true,false,true]",
		"new (Uint8Array[Symbol.species])(2).length": "2",
		"((x) => x)(...[1])":                         "1", "[].constructor === Array": "true", "typeof Function": `"function"`,
	} {
		want = strings.NewReplacer("\n", `\n`).Replace(want)
		if got := load(t, show(expression), oneWorker).eval(t, get("/")); got != want {
			t.Errorf("%s = %s, want %s", expression, got, want)
		}
	}
}

func mayBacktrack(o *Options) { o.Backtracking = true }

// A regular expression that backtracks for ever gives up just after the deadline
// with a false "no match", which must not become a decision.
func TestRunawayRegularExpressionEndsAsATimeout(t *testing.T) {
	s := load(t, route("return /^(?=(a+)+b)/.test(req.path.slice(1)) ? 'one' : 'two';"), oneWorker, mayBacktrack)
	if d := s.Route(get("/" + strings.Repeat("a", 60))); d.Outcome != Timeout {
		t.Errorf("%+v", d)
	}
	if d := s.routeSoon(get("/aab")); d.Cluster != "one" {
		t.Errorf("%+v", d)
	}
}

func TestNestedRegularExpressionInTheSourceIsRefused(t *testing.T) {
	for _, code := range []string{
		"const r = /" + strings.Repeat("(", 1000) + strings.Repeat(")", 1000) + "/;",
		"const r = [/" + strings.Repeat("(?=", 300) + "x" + strings.Repeat(")", 300) + "/];",
	} {
		if _, err := tryLoad(t, code); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
			t.Errorf("%.200v", err)
		}
	}
}

func TestPrototypesThatAScriptBreaksDoNotBreakTheHost(t *testing.T) {
	s := load(t, `
Object.prototype.path = 'polluted'; Object.prototype.toJSON = undefined;
Array.prototype.length; String.prototype.startsWith = () => true; Object.prototype.cluster = 'three';
JSON.stringify = null; Object.keys = null; Object.freeze = null; RangeError = null; Error.prototype.toString = null;
function route(req, ctx) { console.log({a: 1}); return req.path === '/x' && !ctx.clusters.cluster && ctx.clusters.one.healthy ? 'one' : 'two'; }`)
	if d := s.Route(get("/x")); d.Cluster != "one" || d.Outcome != OK {
		t.Errorf("%+v", d)
	}
}

// With a long deadline it is the heap that ends a call.
func TestATextThatGrowsWithoutEndIsEndedByItsMemory(t *testing.T) {
	for _, body := range []string{
		"let s = 'x'; for (;;) s += s;",
		"let s = ''; const part = 'x'.repeat(1e6); for (;;) s += part;",
		"const all = []; for (;;) all.push('x'.repeat(1e5) + all.length);",
	} {
		s := load(t, "function route(req) { if (req.path === '/') { "+body+" } return 'one'; }", oneWorker)
		s.watchdog.timeout = time.Minute
		if d := s.Route(get("/")); d.Outcome != Exception || !strings.Contains(d.Err.Error(), "the call takes too much memory") {
			t.Errorf("%s: %v %v", body, d.Outcome, d.Err)
		}
		if d := s.routeSoon(get("/next")); d.Cluster != "one" {
			t.Errorf("%s: the next call: %+v", body, d)
		}
	}
}

// The memory that has grown is the test's own here, so the runtimes are made anew
// in vain; but once, one after the other, and nobody waits.
func TestRuntimesAreMadeAnewWhenTheMemoryHasGrown(t *testing.T) {
	for _, workers := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := load(t, "let calls = 0; function route() { return { cluster: 'one', rule: String(++calls) }; }", func(o *Options) { o.Workers = workers })
			pass(time.Second)
			if s.watchdog.awake.Load() {
				t.Fatal("the watchdog is awake without calls")
			}
			goruntime.GC() // before the first one nothing is known to be alive
			s.watchdog.heap.growth = 16 << 20
			before := s.runtimes()
			call := func() {
				if d := s.Route(get("/")); d.Outcome != OK {
					t.Errorf("%+v", d)
				}
				pass(time.Millisecond)
			}
			for range 100 {
				call()
			}
			if !slices.Equal(s.runtimes(), before) {
				t.Error("runtimes are made anew, though nothing has grown")
			}
			kept := make([]byte, 64<<20)
			goruntime.GC()
			for range 200 {
				call()
			}
			goruntime.KeepAlive(kept)
			for i, rt := range s.runtimes()[:workers] {
				if rt == nil || slices.Contains(before, rt) {
					t.Errorf("worker %d of %d is not a new one", i, workers)
				}
			}
			if n := strings.Count(s.messages(), "runtimes are made anew"); n != 1 {
				t.Errorf("it is told %d times", n)
			}
			s.Close()
		})
	}
}

func (s *Script) runtimes() []*runtime {
	all := make([]*runtime, len(s.pool.slots))
	for i := range all {
		all[i] = s.pool.slots[i].Load()
	}
	return all
}
