package proxy

import (
	"errors"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/stream"
)

// Summary is what became of an exchange. It is part of the exchange, and is used
// again by the next one.
type Summary struct {
	Request *Request
	Status  int              // what the client was answered; 0: nothing
	Cluster *cluster.Cluster // nil: the exchange did not come so far
	Backend *cluster.Backend // that answered, or was tried last
	Retries int
	Outcome string // of the decision, where it says more than the cluster
	Rule    string // of the decision: which part of the router decided
	Version string // of the decision: which router
	Fault   *Fault // why no backend answered, or why its answer is cut

	Failed []Failed // the tries that failed, in order

	By    Party // whose doing the end was
	Phase Phase // how far it had come then

	// Received and Sent are the bytes of heads and bodies that were used up of
	// what the client sent, and written to it.
	Received, Sent int64

	Duration time.Duration // from the first byte of the request to the end
	// The rest is measured with Options.Steps, and else 0; also for a step that
	// was not taken.
	Routed    time.Duration // from the first byte of the request to the router
	Route     time.Duration // in the router
	Connect   time.Duration // from the decision to the connection that was used, failed tries included
	FirstByte time.Duration // from the first byte of the request to the final response's head
}

// Failed is a try that a backend failed.
type Failed struct {
	Backend *cluster.Backend
	Err     error
	After   time.Duration // from the first byte of the request; 0: not measured
}

// Party is somebody who can end an exchange.
type Party uint8

// Whose doing the end of an exchange can be.
const (
	Nobody Party = iota // it came to its proper end
	ByClient
	ByBackend
	ByProxy
)

// Phase is how far an exchange has come.
type Phase uint8

// The phases, in their order.
const (
	Reading    Phase = iota // the request's head
	Routing                 // the router was asked
	Connecting              // a backend is chosen, a connection made
	Waiting                 // for the response's head
	Answering               // a response is on its way to the client
	Tunnelling              // after an upgrade
	phases
)

// End is By and Phase in one word, such as "backend/wait"; "done" is the proper
// end.
func (s *Summary) End() string {
	if s.By == Nobody {
		return "done"
	}
	return ends[s.By][s.Phase]
}

//nolint:gochecknoglobals // immutable
var ends = [...][phases]string{
	ByClient:  {"client/request", "client/route", "client/connect", "client/wait", "client/answer", "client/tunnel"},
	ByBackend: {"backend/request", "backend/route", "backend/connect", "backend/wait", "backend/answer", "backend/tunnel"},
	ByProxy:   {"proxy/request", "proxy/route", "proxy/connect", "proxy/wait", "proxy/answer", "proxy/tunnel"},
}

// progress is what an exchange notes for its summary while it goes on.
type progress struct {
	phase          Phase                 // the one in which it ended, in the end
	at             [phases]time.Duration // when each was reached, of the server's clock; 0: not, or not measured
	picked         time.Duration         // when the first backend was chosen; only where Timing asks
	received, sent int64
	by             Party // who ended a tunnel
}

// reach notes how far the exchange has come.
func (x *exchange) reach(p Phase) {
	x.progress.phase = p
	if x.settings.Steps {
		x.progress.at[p] = x.server.clock()
	}
}

// summarise fills in the exchange's summary.
func (x *exchange) summarise() *Summary {
	p := &x.progress
	end := x.server.clock()
	x.summary = Summary{
		Request: &x.view, Status: x.status, Cluster: x.decision.Cluster, Backend: x.up.backend, Retries: x.attempts,
		Outcome: x.decision.Outcome, Rule: x.decision.Rule, Version: x.decision.Version, Fault: x.fault, Failed: x.failed,
		By: x.whose(), Phase: p.phase, Received: p.received, Sent: p.sent, Duration: end - x.started,
	}
	if x.settings.Steps {
		x.summary.measure(p, x.started, end)
	}
	return &x.summary
}

// measure makes durations of the times at which the phases were reached.
func (s *Summary) measure(p *progress, started, end time.Duration) {
	if routing := p.at[Routing]; routing != 0 {
		s.Routed, s.Route = routing-started, p.after(Routing, end)-routing
	}
	if connecting := p.at[Connecting]; connecting != 0 {
		s.Connect = p.after(Connecting, end) - connecting
	}
	if answering := p.at[Answering]; answering != 0 && s.Backend != nil {
		s.FirstByte = answering - started
	}
}

// after is when the phase after this one was reached, whichever that was.
func (p *progress) after(phase Phase, end time.Duration) time.Duration {
	for _, at := range p.at[phase+1:] {
		if at != 0 {
			return at
		}
	}
	return end
}

// whose tells whose doing the end of the exchange was.
func (x *exchange) whose() Party {
	if x.fault == nil {
		return x.progress.by
	}
	return x.fault.whose()
}

// whose follows the types of RFC 9209, 2.3. What has none of those that blame
// one of the others is our own doing.
func (f *Fault) whose() Party {
	switch f.Type {
	case "connection_terminated", "http_request_error":
		if errors.Is(f.Err, stream.ErrStopped) {
			return ByProxy
		}
		return ByClient
	case "connection_timeout", "connection_refused", "destination_unavailable", "tls_certificate_error", "tls_protocol_error",
		"http_response_timeout", "http_response_incomplete", "http_protocol_error":
		return ByBackend
	}
	return ByProxy
}

// The parts of the request are as received, and valid as long as the summary.
// They are empty when no head was understood.

// Method is the request's method.
func (s *Summary) Method() []byte { return s.Request.x.req.Method.Of(s.Request.x.head) }

// Host is the host that the request is for, with the port where it names one.
func (s *Summary) Host() []byte { return s.Request.x.req.Authority.Of(s.Request.x.head) }

// Path is the path, without the query.
func (s *Summary) Path() []byte {
	if x := s.Request.x; len(x.head) > 0 {
		return x.path()
	}
	return nil
}

// Query is what follows the '?'.
func (s *Summary) Query() (query []byte, has bool) {
	x := s.Request.x
	return x.req.Query.Of(x.head), x.req.HasQuery
}

// Protocol is what the client speaks, such as "HTTP/1.1".
func (s *Summary) Protocol() string {
	switch x := s.Request.x; {
	case x.client.stream:
		return "HTTP/2"
	case x.req.Minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// Client is the address of the client's connection, which may be a proxy's.
func (s *Summary) Client() string { return s.Request.x.client.ip }

// ID is the request's id, see [Request.ID].
func (s *Summary) ID() []byte {
	if x := s.Request.x; len(x.head) > 0 {
		return x.requestID()
	}
	return nil
}

// TraceParent names the request in its trace (W3C Trace Context): as the span that
// follows it is called, or as received.
func (s *Summary) TraceParent() []byte {
	x := s.Request.x
	if x.span != nil {
		return []byte(x.span.TraceParent())
	}
	return x.otherField(traceParent)
}

// Span is what follows the request; nil: nothing does.
func (s *Summary) Span() Span { return s.Request.x.span }

// Scheme is that of the client's connection.
func (s *Summary) Scheme() string { return s.Request.x.client.scheme() }
