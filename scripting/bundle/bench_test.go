package bundle_test

import (
	"io"
	"testing"

	"github.com/sirupsen/logrus"

	"outrider/scripting"
	"outrider/scripting/bundle"
)

// A script of two TypeScript files: each tenant has a cluster, by its host name.
const tenants = "../../scripts/examples/tenants.ts"

// 3.8 us by the clock, 54 allocations, 2,632 B: the median of four rounds on a
// virtual machine (2 cores, AMD EPYC, Linux, Go 1.26) that had nothing else to do.
// It is a split, a destructured list, a Map and an object as decision; for the
// engine's own benchmarks see those of package scripting.
func BenchmarkRouteInTypeScript(b *testing.B) {
	built, err := bundle.Build(tenants, bundle.Options{})
	if err != nil {
		b.Fatal(err)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	s, err := scripting.Load(built.Source, scripting.Options{Log: log, Clusters: oneAndTwo{}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var r scripting.Request = to{"/", "globex.example.com"}
	b.ReportAllocs()
	for b.Loop() {
		if d := s.Route(r); d.Cluster != "two" || d.Outcome != scripting.OK {
			b.Fatalf("decision %+v", d)
		}
	}
}

// What a reload costs beside the runtimes: about 0.9 ms, 2,553 allocations.
func BenchmarkBuild(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bundle.Build(tenants, bundle.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
