package app

import (
	"outrider/sidecar/proxy"
	"outrider/sidecar/trace"
)

// tracing has requests followed; nil: nobody wants that.
func tracing(t *trace.Tracer) func(method, traceparent, tracestate string) proxy.Span {
	if t == nil {
		return nil
	}
	return func(method, traceparent, tracestate string) proxy.Span {
		return t.Begin(method, traceparent, tracestate)
	}
}

// endSpan tells what became of a request that was followed.
func endSpan(s *proxy.Summary) {
	span, ok := s.Span().(*trace.Span)
	if !ok || !span.Sampled() {
		return
	}
	query, _ := s.Query()
	e := trace.End{
		Scheme: s.Scheme(), Host: string(s.Host()), Path: string(s.Path()), Query: string(query), Client: s.Client(),
		Protocol: s.Protocol(), Status: s.Status, Rule: s.Rule, Script: s.Version, Outcome: s.Outcome, RequestID: string(s.ID()),
		Routed: s.Routed, Route: s.Route, Total: s.Duration,
	}
	if s.Cluster != nil {
		e.Cluster = s.Cluster.Name()
	}
	if s.Fault != nil {
		e.Error, e.Detail = s.Fault.Type, s.Fault.Error()
	}
	span.End(e)
}
