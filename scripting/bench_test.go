package scripting

import (
	"fmt"
	"strings"
	"testing"

	"outrider/scripts"
)

func benchmarkRoute(b *testing.B, code, want string, r Request) {
	s := load(b, code)
	if d := s.Route(r); d.Cluster != want {
		b.Fatalf("decision %+v, want %s", d, want)
	}
	b.ReportAllocs()
	for b.Loop() {
		if d := s.Route(r); d.Outcome != OK {
			b.Fatalf("decision %+v", d)
		}
	}
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
