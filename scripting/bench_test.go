package scripting

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"outrider/scripts"
)

// The benchmarks of Route call it on one goroutine. Medians of four rounds on a
// virtual machine (2 cores, AMD EPYC, Linux, Go 1.26) that had nothing else to do,
// in CPU time of the whole process with garbage collection, per call:
//
//	default script          0.42 us    5 allocations   152 B
//	header read             0.46 us    7               184 B
//	cookie + hash canary    0.70 us   11               216 B
//	regexp                  0.62 us    5               168 B
//	50-rule chain           6.1  us   54               936 B
//	PrefixMap of 50         0.36 us    4               136 B
//	PrefixMap of 5,000      0.38 us    4               136 B
//	list                    0.30 us    2                72 B
//	weights                 2.2  us   40             1,344 B (20 and 928 B since, not timed again)
//	object with all fields  5.8  us  100             3,584 B (74 and 2,976 B since, not timed again)
//
// The first version of this engine took 0.73 us for the default script and 11.7 us
// for the chain, measured while the machine had other work to do. Two of the
// allocations are the `req` object of the call; the engine makes one for each
// method called on a string, and several for each property of a returned object.
// Building a runtime takes 0.38 ms and 260 kB.
func benchmarkRoute(b *testing.B, code, want string, r Request) {
	s := load(b, code)
	if d := s.Route(r); d.Cluster != want {
		b.Fatalf("decision %+v, want %s", d, want)
	}
	b.ReportAllocs()
	began := cpuTime(b)
	for b.Loop() {
		if d := s.Route(r); d.Outcome != OK {
			b.Fatalf("decision %+v", d)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
}

func TestDefaultScriptAllocatesLittle(t *testing.T) {
	s, r := load(t, string(scripts.Default)), get("/one/some/page/of/a/site")
	if got := testing.AllocsPerRun(1000, func() { s.Route(r) }); got > 6 {
		t.Errorf("%v allocations per call, want at most 6", got)
	}
}

// cpuTime is what the process has used so far, garbage collection included. On a
// machine with other work it tells more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkDefaultScript(b *testing.B) {
	benchmarkRoute(b, string(scripts.Default), "one", get("/one/some/page/of/a/site"))
}

func BenchmarkHeaderRead(b *testing.B) {
	benchmarkRoute(b, `function route(req) { return req.headers.get('x-version') === 'beta' ? 'two' : 'one'; }`,
		"two", get("/x").with("X-Version", "beta"))
}

func BenchmarkCookieHashCanary(b *testing.B) {
	benchmarkRoute(b, `function route(req, ctx) { return ctx.hash(req.cookies.get('user') || req.ip) < 0.05 ? 'two' : 'one'; }`,
		"one", get("/x").with("Cookie", "theme=dark; user=alice; session=0123456789abcdef"))
}

func BenchmarkFiftyRules(b *testing.B) {
	var rules strings.Builder
	for i := range 50 {
		fmt.Fprintf(&rules, "  if (req.path.startsWith('/section-%02d/')) return 'one';\n", i)
	}
	benchmarkRoute(b, "function route(req) {\n"+rules.String()+"  return 'two';\n}", "two", get("/elsewhere/and/far/away"))
}

func BenchmarkRegexp(b *testing.B) {
	benchmarkRoute(b, `const user = /^\/users\/([0-9]+)\/avatar$/; function route(req) { return user.test(req.path) ? 'two' : 'one'; }`,
		"two", get("/users/4711/avatar"))
}

func BenchmarkPrefixMap(b *testing.B) {
	for _, n := range []int{50, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var table strings.Builder
			for i := range n {
				fmt.Fprintf(&table, "  '/section-%04d/': 'one',\n", i)
			}
			benchmarkRoute(b, "const map = new PrefixMap({\n"+table.String()+"'/': 'two' });\nfunction route(req) { return map.get(req.path); }",
				"one", get(fmt.Sprintf("/section-%04d/some/page", n/2)))
		})
	}
}

func BenchmarkWeights(b *testing.B) {
	benchmarkRoute(b, `function route(req) { return { one: 1e9, two: 1e-9 }; }`, "one", get("/x"))
}

func BenchmarkObjectDecision(b *testing.B) {
	benchmarkRoute(b, `function route(req) {
		return {
			cluster: 'one', rule: 'all of it', hashKey: req.ip, path: '/new', timeout: '2s',
			requestHeaders: { 'X-A': 'b' }, responseHeaders: { 'X-C': 'd' },
		};
	}`, "one", get("/x"))
}

func BenchmarkList(b *testing.B) {
	benchmarkRoute(b, `const order = ['one', 'two', 'three']; function route(req) { return order; }`, "one", get("/x"))
}

func BenchmarkDefaultScriptInParallel(b *testing.B) {
	s := load(b, string(scripts.Default))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := get("/one/some/page/of/a/site")
		for pb.Next() {
			s.Route(r)
		}
	})
}

// What a replacement costs, which a request waits for where no runtime is left.
func BenchmarkBuildRuntime(b *testing.B) {
	s := load(b, string(scripts.Default))
	b.ReportAllocs()
	for b.Loop() {
		rt := &runtime{script: s.Script}
		if err := rt.prepare(); err != nil {
			b.Fatal(err)
		}
		if err := rt.runTopLevel(); err != nil {
			b.Fatal(err)
		}
	}
}
