package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"outrider/sidecar/admin"
	"outrider/sidecar/app"
	"outrider/sidecar/trace"
)

// receiver takes spans, as a collector does.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex // guards spans
	spans []*otlp.Span
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := new(receiver)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if request.Header.Get("Content-Encoding") == "gzip" && err == nil {
			var unzipped *gzip.Reader
			if unzipped, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, err = io.ReadAll(unzipped)
			}
		}
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil || request.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", request.URL.Path, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, of := range export.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

// of are the spans of a kind.
func (r *receiver) of(kind otlp.Span_SpanKind) (all []*otlp.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.Kind == kind {
			all = append(all, s)
		}
	}
	return all
}

func text(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if v := a.Value.GetStringValue(); v != "" {
				return v
			}
			return fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return ""
}

// traced starts a sidecar that traces to an endpoint. flush sends what there is.
func traced(t *testing.T, endpoint, configuration string, lost func(error)) (s *sidecar, flush func()) {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	tracer, err := trace.Open(t.Context(), trace.Options{Name: "test", Version: "1", Env: os.Getenv, Warn: lost})
	if err != nil || tracer == nil {
		t.Fatalf("tracing: %v, %v", tracer, err)
	}
	flush = sync.OnceFunc(tracer.Close)
	s = start(t, configuration, func(o *app.Options) { o.Tracer = tracer })
	t.Cleanup(flush)
	return s, flush
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestARequestItsScriptAndItsAttemptsAreSpans(t *testing.T) {
	to := newReceiver(t)
	far := newBackend(t, "far")
	var seen atomic.Pointer[http.Header]
	far.does(func(_ http.ResponseWriter, r *http.Request) { seen.Store(&r.Header) })
	dead := freeAddresses(t, 1)[0]
	s, flush := traced(t, to.URL, fmt.Sprintf("clusters:\n  one:\n    backends: [%q, %q]\n    check: { type: off }\n", dead, far.addr), nil)
	eventually(t, "a request has tried the backend that is dead", func() bool {
		request, err := http.NewRequest(http.MethodGet, "http://"+s.addr+"/path?q=1", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("traceparent", parent)
		request.Header.Set("tracestate", "vendor=1")
		if a, err := s.do(request); err != nil || a.status != http.StatusOK {
			t.Fatalf("got %+v, %v", a, err)
		}
		return slices.ContainsFunc(s.Status().Clusters[0].Backends, func(b admin.BackendStatus) bool { return b.Address == dead && b.Requests > 0 })
	})
	s.end()
	flush()
	header := *seen.Load()
	servers := to.of(otlp.Span_SPAN_KIND_SERVER)
	server := servers[len(servers)-1]
	if hex.EncodeToString(server.TraceId) != parent[3:35] || hex.EncodeToString(server.ParentSpanId) != parent[36:52] {
		t.Errorf("the request's span is %x, child of %x", server.TraceId, server.ParentSpanId)
	}
	for key, want := range map[string]string{
		"http.request.method": "GET", "url.path": "/path", "url.query": "q=1", "url.scheme": "http",
		"http.response.status_code": "200", "client.address": "127.0.0.1", "outrider.cluster": "one",
	} {
		if got := text(server, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	var tries []*otlp.Span
	for _, try := range to.of(otlp.Span_SPAN_KIND_CLIENT) {
		if bytes.Equal(try.ParentSpanId, server.SpanId) {
			tries = append(tries, try)
		}
	}
	if len(tries) != 2 {
		t.Fatalf("%d attempts, want one that failed and another", len(tries))
	}
	last := tries[1]
	if got, want := header.Get("traceparent"), fmt.Sprintf("00-%x-%x-01", server.TraceId, last.SpanId); got != want {
		t.Errorf("the backend got %q, want %q", got, want)
	}
	if header.Get("tracestate") != "vendor=1" || len(header.Values("traceparent")) != 1 {
		t.Errorf("the backend got %v", header)
	}
	for i, try := range tries {
		if failed := try.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR; failed != (i < len(tries)-1) {
			t.Errorf("attempt %d of %d has failed: %v", i, len(tries), failed)
		}
	}
	if inner := to.of(otlp.Span_SPAN_KIND_INTERNAL); len(inner) == 0 || inner[len(inner)-1].Name != "route" || !bytes.Equal(inner[len(inner)-1].ParentSpanId, server.SpanId) {
		t.Errorf("the script's spans are %v", inner)
	}
}

func TestATraceparentThatIsNotWellFormedBeginsATrace(t *testing.T) {
	to := newReceiver(t)
	far := newBackend(t, "far")
	seen := make(chan http.Header, 10)
	far.does(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	s, flush := traced(t, to.URL, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: off }\n", list(far)), nil)
	bad := []string{"", "00-0-1-01", strings.ToUpper(parent), "00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff" + parent[2:]}
	for _, sent := range bad {
		request, _ := http.NewRequest(http.MethodGet, "http://"+s.addr+"/", http.NoBody)
		request.Header.Set("traceparent", sent)
		request.Header.Set("tracestate", "vendor=1")
		if _, err := s.do(request); err != nil {
			t.Fatal(err)
		}
		h := <-seen
		if got := h.Get("traceparent"); len(got) != len(parent) || got[3:35] == parent[3:35] || h.Get("tracestate") != "" {
			t.Errorf("%q goes on as %q with the state %q", sent, got, h.Get("tracestate"))
		}
	}
	s.end()
	flush()
	for _, span := range to.of(otlp.Span_SPAN_KIND_SERVER) {
		if len(span.ParentSpanId) != 0 {
			t.Errorf("a new trace has the parent %x", span.ParentSpanId)
		}
	}
}

func TestWhatIsNotSampledIsNamedAllTheSame(t *testing.T) {
	to := newReceiver(t)
	far := newBackend(t, "far")
	seen := make(chan string, 1)
	far.does(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("traceparent") })
	s, flush := traced(t, to.URL, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: off }\n", list(far)), nil)
	request, _ := http.NewRequest(http.MethodGet, "http://"+s.addr+"/", http.NoBody)
	request.Header.Set("traceparent", parent[:len(parent)-1]+"0")
	if _, err := s.do(request); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got[:35] != parent[:35] || got[36:52] == parent[36:52] || got[53:] != "00" {
		t.Errorf("the backend got %q", got)
	}
	s.end()
	if flush(); len(to.of(otlp.Span_SPAN_KIND_SERVER)) != 0 {
		t.Error("it was sent to the collector")
	}
}

func TestATraceGoesThroughWhereNobodyTraces(t *testing.T) {
	far := newBackend(t, "far")
	seen := make(chan http.Header, 1)
	far.does(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: off }\n", list(far)))
	request, _ := http.NewRequest(http.MethodGet, "http://"+s.addr+"/", http.NoBody)
	request.Header.Set("traceparent", parent)
	request.Header.Set("tracestate", "vendor=1")
	if _, err := s.do(request); err != nil {
		t.Fatal(err)
	}
	if h := <-seen; h.Get("traceparent") != parent || h.Get("tracestate") != "vendor=1" {
		t.Errorf("the backend got %v", h)
	}
}

func TestACollectorThatIsGoneHoldsNobodyUp(t *testing.T) {
	far := newBackend(t, "far")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "200")
	var told atomic.Int64
	s, flush := traced(t, "http://"+freeAddresses(t, 1)[0], fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: off }\n", list(far)), func(error) { told.Add(1) })
	for range 3000 { // more than are kept
		if a := s.get("/"); a.body != "far" {
			t.Fatalf("got %+v", a)
		}
	}
	s.end()
	flush()
	if told.Load() == 0 {
		t.Error("nobody is told that spans are lost")
	}
}

func TestTheAccessLogAndTheExplanationTellTheTrace(t *testing.T) {
	far := newBackend(t, "far")
	file := filepath.Join(t.TempDir(), "access.log")
	s, _ := traced(t, newReceiver(t).URL, fmt.Sprintf("dev: true\nlog: { access: { mode: all, file: %q } }\nclusters:\n  one:\n    backends: %s\n    check: { type: off }\n", file, list(far)), nil)
	request, err := http.NewRequest(http.MethodGet, "http://"+s.addr+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Outrider-Explain", "yes")
	a, err := s.do(request)
	if err != nil {
		t.Fatal(err)
	}
	_, of, found := strings.Cut(a.header.Get("X-Outrider-Explain"), `trace="00-`)
	if !found || len(of) < 32 {
		t.Fatalf("the explanation is %q", a.header.Get("X-Outrider-Explain"))
	}
	_, id, _ := strings.Cut(a.header.Get("X-Outrider-Explain"), `id="`)
	id, _, _ = strings.Cut(id, `"`)
	eventually(t, "the request is recorded", func() bool {
		e, err := s.Recall(id)
		return err == nil && e.Exchange != nil && e.Exchange.Trace == of[:32]
	})
	s.end()
	if lines, err := os.ReadFile(file); err != nil || !strings.Contains(string(lines), of[:32]) {
		t.Errorf("the access log has %s, %v, and no %s", lines, err, of[:32])
	}
}
