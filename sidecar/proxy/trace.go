package proxy

import (
	"bytes"

	"outrider/sidecar/http1"
)

// Span follows one request through the system (W3C Trace Context). It is used on the
// exchange's task alone, and must not block.
type Span interface {
	// TraceParent names the request's part of the trace.
	TraceParent() string
	// Try tells of an attempt that begins, the next after so many, and names its part
	// of the trace. What it gives is as long as TraceParent.
	Try(method, cluster, backend string, after int) (traceparent string)
	// Failed tells that the attempt has.
	Failed(err error)
}

const (
	traceParent = "traceparent"
	traceState  = "tracestate"
	traceEnd    = len("00-") + 32 // of the part that names the trace
)

// beginSpan has the request followed, where somebody wants that.
func (x *exchange) beginSpan() {
	if begin := x.settings.Trace; begin != nil {
		x.span = begin(string(x.req.Method.Of(x.head)), string(x.otherField(traceParent)), string(x.otherField(traceState)))
	}
}

// otherField is the first one of a name that has no FieldID.
func (x *exchange) otherField(name string) []byte {
	for _, f := range x.req.Fields {
		if f.ID == http1.Other && equalFold(f.Name.Of(x.head), name) {
			return f.Value.Of(x.head)
		}
	}
	return nil
}

// editTrace has the span's traceparent go upstream in place of the client's. A router
// that writes the field knows what it wants.
func (x *exchange) editTrace() {
	if x.span == nil {
		return
	}
	if x.routerTraces = edited(x.decision.RequestHeaders, traceParent); x.routerTraces {
		return
	}
	edits := append([]HeaderEdit(nil), x.decision.RequestHeaders...)
	ours := x.span.TraceParent()
	if theirs := x.otherField(traceParent); len(theirs) < traceEnd || string(theirs[:traceEnd]) != ours[:traceEnd] {
		edits = append(edits, HeaderEdit{Name: traceState}) // it goes with a trace that was not taken up
	}
	x.decision.RequestHeaders = append(edits, HeaderEdit{Name: traceParent, Values: []string{ours}})
}

// beginTry names the attempt in the head that was prepared.
func (x *exchange) beginTry(b string) {
	if x.span == nil {
		return
	}
	name := x.span.Try(string(x.req.Method.Of(x.head)), x.decision.Cluster.Name(), b, x.attempts)
	const field = "\r\n" + traceParent + ": "
	head := x.sent[:bytes.Index(x.sent, []byte("\r\n\r\n"))+2]
	if at := bytes.LastIndex(head, []byte(field)); at >= 0 && !x.routerTraces {
		copy(head[at+len(field):len(head)-2], name)
	}
}
