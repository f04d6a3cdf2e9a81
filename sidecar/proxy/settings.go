package proxy

import (
	"net/netip"
	"time"

	"outrider/sidecar/http1"
)

// Settings are what can be changed of a Server while it serves. Each exchange goes
// by those that are in force when it begins, to its end.
type Settings struct {
	// Name stands in Via and Proxy-Status. It must be a token, and no other
	// sidecar's: a request that already carries it has come back in a loop.
	Name   string
	Limits Limits

	// Trusted are the clients whose X-Forwarded-* and X-Request-Id are believed.
	Trusted []netip.Prefix
	// TrustedToo tells of further ones; optional. It is asked once for a connection,
	// and again when the settings change. It must not block.
	TrustedToo func(netip.Addr) bool
	// RefuseAmbiguousPaths answers 400 to paths that two parsers could read
	// differently.
	RefuseAmbiguousPaths bool

	// OnDone is told of each exchange, when it has ended. The summary is valid
	// until it returns. Called on the exchange's task: it must not block.
	// Optional; when nil, nothing is measured.
	OnDone func(*Summary)
	// Steps measures how long each step of an exchange takes, for OnDone.
	Steps bool

	// Trace begins to follow a request with these fields traceparent and tracestate;
	// optional. It must not block.
	Trace func(method, traceparent, tracestate string) Span

	// Explains tells whether who sent a field X-Outrider-Explain with this value may
	// be told what was decided on the request; optional. The field never goes
	// upstream. It must not block.
	Explains func(value []byte) bool
	// Timing has each final response tell how long the steps took (Server-Timing, of
	// the W3C), which needs Steps.
	Timing bool
}

// Limits bound what clients can ask of a Server.
type Limits struct {
	Connections int           // client connections at a time; more take the place of one that waits for a request, or are answered 503
	Memory      int64         // bytes that all exchanges may take; beyond it new ones wait for HeadTimeout at most, then are answered 503. 0: no bounds
	Head        int           // bytes of a head
	Fields      int           // fields of a head
	HeadTimeout time.Duration // for a whole head, from its first byte
	ClientIdle  time.Duration // between exchanges
	HalfClose   time.Duration // for a response to begin after the client's FIN
}

func (l Limits) head() http1.Limits { return http1.Limits{Head: l.Head, Fields: l.Fields} }

// Set puts settings in force. They must not be changed afterwards.
func (s *Server) Set(settings *Settings) {
	s.loop.Bound(settings.Limits.Memory, settings.Limits.HeadTimeout)
	s.settings.Store(settings)
}

func (s *Settings) trusts(addr netip.Addr) bool {
	for _, p := range s.Trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return s.TrustedToo != nil && s.TrustedToo(addr)
}
