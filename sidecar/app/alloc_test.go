//go:build !race

// Under the race detector a sync.Pool drops a part of what it is given.

package app_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"outrider/sidecar/app"
	"outrider/sidecar/trace"
)

// bareBackend answers every read with the same bytes, and allocates nothing for it.
func bareBackend(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				buf, out := make([]byte, 4<<10), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				for {
					if _, err := nc.Read(buf); err != nil {
						return
					}
					if _, err := nc.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// asker sends one request after the other on one connection.
func asker(t testing.TB, address string) func() {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	request, end, buf := []byte("GET /a?b=c HTTP/1.1\r\nHost: shop\r\nUser-Agent: test\r\n\r\n"), []byte("\r\n\r\nok"), make([]byte, 4<<10)
	return func() {
		if _, err := nc.Write(request); err != nil {
			t.Fatal(err)
		}
		for got := 0; !bytes.HasSuffix(buf[:got], end); {
			n, err := nc.Read(buf[got:])
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
	}
}

// observed are the ways in which a sidecar can tell of its requests.
func observed(t testing.TB) []struct{ name, configuration string } {
	file := filepath.Join(t.TempDir(), "access.log")
	return []struct{ name, configuration string }{
		{"nothing", "log: { access: { mode: off } }\nscript: { record: 0 }\n"},
		{"what became of the last", "log: { access: { mode: off } }\n"},
		{"metrics", withStatus + "log: { access: { mode: off } }\n"},
		{"metrics, errors logged", withStatus + fmt.Sprintf("log: { access: { file: %q } }\n", file)},
		{"metrics, 1 % logged", withStatus + fmt.Sprintf("log: { access: { mode: all, sample: 1%%, file: %q } }\n", file)},
		{"metrics, all logged", withStatus + fmt.Sprintf("log: { access: { mode: all, file: %q } }\n", file)},
		{"metrics, all logged as text", withStatus + fmt.Sprintf("log: { format: text, access: { mode: all, file: %q } }\n", file)},
	}
}

// The tolerance is what else happens meanwhile: the batches of the log, a Date
// header each second.
const tolerance = 0.05

func TestTellingOfRequestsAllocatesNothing(t *testing.T) {
	for _, row := range observed(t) {
		t.Run(row.name, func(t *testing.T) {
			if per := allocations(t, row.configuration); per > tolerance {
				t.Errorf("%.3f allocations for each request", per)
			}
		})
	}
}

func TestTheDefaultScriptCostsSixAllocations(t *testing.T) {
	script, err := filepath.Abs("../../scripts/default.js")
	if err != nil {
		t.Fatal(err)
	}
	if per := allocations(t, withStatus+fmt.Sprintf("script: { file: %q }\n", script)); per > 6+tolerance {
		t.Errorf("%.3f allocations for each request, want 6 at most", per)
	}
}

// allocations is how often a request makes the sidecar allocate, once it is
// warm: in the least of three rounds, since what the runtime and other
// goroutines do meanwhile only adds.
func allocations(t *testing.T, configuration string) float64 {
	t.Helper()
	const (
		warmUp = 6000 // each slot of the log's ring gets its memory
		n      = 5000
	)
	backend := bareBackend(t)
	s := start(t, configuration+fmt.Sprintf("clusters:\n  one: { backends: [%q], check: { type: off } }\n  two: { backends: [%[1]q], check: { type: off } }\n", backend))
	ask := asker(t, s.addr)
	for range warmUp {
		ask()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
	least := math.Inf(1)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			ask()
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/n)
	}
	return least
}

// BenchmarkTelling is a whole request over sockets, both ends of which are here.
func BenchmarkTelling(b *testing.B) {
	for _, row := range observed(b) {
		b.Run(row.name, func(b *testing.B) {
			s := start(b, row.configuration+fmt.Sprintf("clusters:\n  one:\n    backends: [%q]\n    check: { type: off }\n", bareBackend(b)))
			s.log.logger.SetOutput(io.Discard)
			ask := asker(b, s.addr)
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

// BenchmarkTracing is a request as in BenchmarkTelling, of which nobody, a hundredth or
// all is traced. What takes the spans is there.
func BenchmarkTracing(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b.Cleanup(collector.Close)
	for _, row := range []struct{ name, endpoint, ratio string }{
		{"off", "", ""}, {"1 %", collector.URL, "0.01"}, {"all", collector.URL, "1"},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", row.endpoint)
			b.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
			b.Setenv("OTEL_TRACES_SAMPLER_ARG", row.ratio)
			tracer, err := trace.Open(b.Context(), trace.Options{Name: "test", Env: os.Getenv})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(tracer.Close)
			s := start(b, fmt.Sprintf("log: { access: { mode: off } }\nclusters:\n  one:\n    backends: [%q]\n    check: { type: off }\n", bareBackend(b)),
				func(o *app.Options) { o.Tracer = tracer })
			s.log.logger.SetOutput(io.Discard)
			ask := asker(b, s.addr)
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}
