// Package trace makes spans of requests, by the OpenTelemetry SDK, and sends them
// away by OTLP. It knows nothing of the proxy.
package trace

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options are what a Tracer is made of.
type Options struct {
	Name, Version string      // of the sidecar; OTEL_SERVICE_NAME goes before the name
	Warn          func(error) // spans are lost; called for each batch
	// Env is the process's environment, which the SDK reads as well.
	Env func(string) string
}

// Tracer makes spans. What the exporter does not keep up with is dropped: the SDK
// keeps 2,048 spans (OTEL_BSP_MAX_QUEUE_SIZE) at most.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Open begins to trace, by the standard OTEL_* variables. Nil: they do not ask for it.
func Open(ctx context.Context, o Options) (*Tracer, error) {
	wanted, err := asked(o.Env)
	if err != nil || !wanted {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("tracing (OTEL_EXPORTER_OTLP_*): %w", err)
	}
	of, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "outrider"), attribute.String("service.instance.id", o.Name), attribute.String("service.version", o.Version)), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("tracing (OTEL_RESOURCE_ATTRIBUTES): %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&watched{exporter, o.Warn}), sdk.WithResource(of))
	return &Tracer{provider, provider.Tracer("outrider", trace.WithInstrumentationVersion(o.Version))}, nil
}

// asked tells whether the variables ask for traces that are known here.
func asked(env func(string) string) (bool, error) {
	endpoint := env("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	if !endpoint || strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch kind := env("OTEL_TRACES_EXPORTER"); kind {
	case "", "otlp":
	case "none":
		return false, nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q: write otlp, or none", kind)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch protocol := env(name); protocol {
		case "":
		case "http/protobuf":
			return true, nil
		default:
			return false, fmt.Errorf("%s is %q: write http/protobuf, which every collector takes at its port 4318", name, protocol)
		}
	}
	return true, nil
}

// flushWithin bounds how long the end waits for who takes the last spans.
const flushWithin = 2 * time.Second

// Close sends what there is, for a while.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	_ = t.provider.Shutdown(ctx)
}

// watched tells of the batches that are lost.
type watched struct {
	sdk.SpanExporter
	warn func(error)
}

// ExportSpans implements the SDK's SpanExporter.
func (w *watched) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := w.SpanExporter.ExportSpans(ctx, spans); err != nil && w.warn != nil {
		w.warn(fmt.Errorf("%d spans are lost: %w", len(spans), err))
	}
	return nil // it was told
}

// Span is a request, and what was done for it. Its methods are for one goroutine at
// a time.
type Span struct {
	tracer *Tracer
	ctx    context.Context // of the request's span
	span   trace.Span
	try    trace.Span // under way; nil: none is
}

// Begin begins the span of a request with this field traceparent and tracestate. One
// that is not well-formed begins a new trace.
func (t *Tracer) Begin(method, traceparent, tracestate string) *Span {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent, "tracestate": tracestate})
	method, name := methodOf(method)
	s := &Span{tracer: t}
	s.ctx, s.span = t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", method)))
	return s
}

// methodOf is a method as an attribute, and in the name of a span: clients can send any,
// and names must stay few.
func methodOf(method string) (attribute, name string) {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH":
		return method, method
	}
	return "_OTHER", "HTTP"
}

// Sampled tells whether anybody will see the span. One that is not still names the
// request.
func (s *Span) Sampled() bool { return s.span.IsRecording() }

// TraceParent names the request's span (W3C Trace Context).
func (s *Span) TraceParent() string { return traceparent(s.span) }

func traceparent(s trace.Span) string {
	c := s.SpanContext()
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String()
}

// Try begins the span of one attempt on a backend, and names it.
func (s *Span) Try(method, cluster, backend string, again int) string {
	method, name := methodOf(method)
	host, port := backend, ""
	if i := strings.LastIndexByte(backend, ':'); i >= 0 {
		host, port = backend[:i], backend[i+1:]
	}
	attributes := []attribute.KeyValue{
		attribute.String("http.request.method", method), attribute.String("server.address", host), attribute.String("outrider.cluster", cluster),
	}
	var n int
	if _, err := fmt.Sscanf(port, "%d", &n); err == nil {
		attributes = append(attributes, attribute.Int("server.port", n))
	}
	if again > 0 {
		attributes = append(attributes, attribute.Int("http.request.resend_count", again))
	}
	_, s.try = s.tracer.tracer.Start(s.ctx, name+" "+cluster, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return traceparent(s.try)
}

// Failed ends the attempt.
func (s *Span) Failed(err error) {
	if s.try == nil {
		return
	}
	s.try.SetStatus(codes.Error, err.Error())
	s.try.End()
	s.try = nil
}

// End is what became of a request.
type End struct {
	Scheme, Host, Path, Query, Client string
	Protocol                          string // what the client speaks, such as "HTTP/1.1"
	Status                            int
	Cluster, Rule, Script, Outcome    string
	RequestID                         string
	Error, Detail                     string // empty: it came to its proper end
	Routed, Route                     time.Duration
	Total                             time.Duration // until now
}

// End ends the request's span, and the attempt under way.
func (s *Span) End(e End) {
	now := time.Now()
	if e.Route > 0 {
		began := now.Add(e.Routed - e.Total)
		_, script := s.tracer.tracer.Start(s.ctx, "route", trace.WithTimestamp(began), trace.WithAttributes(texts("outrider.rule", e.Rule, "outrider.script", e.Script, "outrider.outcome", e.Outcome)...))
		script.End(trace.WithTimestamp(began.Add(e.Route)))
	}
	if s.try != nil {
		s.try.SetAttributes(attribute.Int("http.response.status_code", e.Status))
		if e.Error != "" {
			s.try.SetStatus(codes.Error, e.Detail)
		}
		s.try.End(trace.WithTimestamp(now))
	}
	s.span.SetAttributes(texts(
		"url.scheme", e.Scheme, "server.address", e.Host, "url.path", e.Path, "url.query", e.Query, "client.address", e.Client,
		"network.protocol.version", strings.TrimPrefix(e.Protocol, "HTTP/"), "error.type", e.Error,
		"outrider.cluster", e.Cluster, "outrider.rule", e.Rule, "outrider.script", e.Script, "outrider.outcome", e.Outcome, "outrider.request_id", e.RequestID,
	)...)
	if e.Status > 0 {
		s.span.SetAttributes(attribute.Int("http.response.status_code", e.Status))
	}
	if e.Error != "" || e.Status >= 500 {
		s.span.SetStatus(codes.Error, e.Detail)
	}
	s.span.End(trace.WithTimestamp(now))
}

// texts are attributes of names and values by turns, without those that are empty.
func texts(pairs ...string) (all []attribute.KeyValue) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all = append(all, attribute.String(pairs[i], pairs[i+1]))
		}
	}
	return all
}
