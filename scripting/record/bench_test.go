package record_test

import (
	"testing"

	"github.com/sirupsen/logrus/hooks/test"

	"outrider/scripting"
	"outrider/scripting/record"
	"outrider/scripts"
)

// What it costs to keep a decision of the default script: BenchmarkRecorded less
// BenchmarkUnrecorded is 0.19 us and no allocation (2 cores, Linux, x86-64, Go
// 1.26; medians of 7: 0.54 and 0.35 us).
func BenchmarkRecorded(b *testing.B) {
	ring := record.NewRing(1000)
	benchmark(b, func(n *scripting.Reading, d scripting.Decision) { ring.Add("v1", n, d) })
}

func BenchmarkUnrecorded(b *testing.B) { benchmark(b, nil) }

func benchmark(b *testing.B, onCall func(*scripting.Reading, scripting.Decision)) {
	log, _ := test.NewNullLogger()
	s, err := scripting.Load(scripting.Source{Name: "route.js", Code: scripts.Default}, scripting.Options{
		Log: log, Clusters: well(), OnCall: onCall,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	r := &named{sent: sent{method: "GET", path: "/one/some/page"}, id: []byte("0123456789abcdef")}
	b.ReportAllocs()
	for b.Loop() {
		s.Route(r)
	}
}

// named is a request that gives its id as the proxy's does.
type named struct {
	sent
	id []byte
}

func (n *named) AppendID(to []byte) []byte { return append(to, n.id...) }
