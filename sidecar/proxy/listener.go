package proxy

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"

	"outrider/sidecar/stream"
)

// Forwarded is what a listener does about the X-Forwarded-* fields.
type Forwarded uint8

// What a listener does about the X-Forwarded-* fields.
const (
	Append  Forwarded = iota // keep a trusted client's and add to them, else replace
	Replace                  // always replace
	Off                      // pass on what came, add nothing
)

// Listener is one door: what its requests are asked, and by whom they are routed.
type Listener struct {
	terms   atomic.Pointer[Terms]
	closed  atomic.Bool
	streams streams
}

// Terms are what a listener does with the requests that come in by it.
type Terms struct {
	Name      string // what a Router sees
	Forwarded Forwarded
	Router    Router
	// TLS gives the settings of each connection that comes; nil: the listener speaks
	// cleartext. A listener that serves stays with the one or the other.
	TLS func() *tls.Config
	// Introduced says that each connection begins with a PROXY protocol header, also
	// before TLS, and comes from a client that is trusted: others are turned away.
	Introduced bool
}

// NewListener makes a listener with these terms.
func NewListener(t Terms) *Listener {
	l := new(Listener)
	l.Set(t)
	return l
}

// Set changes the terms for the requests that come from now on.
func (l *Listener) Set(t Terms) { l.terms.Store(&t) }

// Terms are the ones in force.
func (l *Listener) Terms() Terms { return *l.terms.Load() }

// door is what a listener's connections come in by.
type door struct {
	listener *Listener
	accepts  stream.Listener
}

// open takes over what accepts for a listener. Where that is not to accept any more,
// it is closed: net.ErrClosed.
func (s *Server) open(ln net.Listener, l *Listener) (stream.Listener, error) {
	s.accepting.Lock()
	defer s.accepting.Unlock()
	if s.shut || l.closed.Load() {
		_ = ln.Close() // its owner may have closed it already
		return nil, net.ErrClosed
	}
	accepts, err := l.listen(s.loop, ln)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", ln.Addr(), err)
	}
	s.doors = append(s.doors, door{l, accepts})
	s.serving.Add(1)
	return accepts, nil
}

func (l *Listener) listen(loop *stream.Loop, ln net.Listener) (stream.Listener, error) {
	if l.encrypts() {
		return loop.ListenTLS(ln), nil
	}
	return loop.Listen(ln)
}

// encrypts does not change while the listener serves.
func (l *Listener) encrypts() bool { return l.terms.Load().TLS != nil }

// Close ends a listener for good: who connects now is refused, what is under way
// comes to its end, and its connections close when nothing is.
func (s *Server) Close(l *Listener) {
	l.closed.Store(true)
	s.accepting.Lock()
	s.closeDoors(func(of *Listener) bool { return of == l })
	s.accepting.Unlock()
	l.streams.close()
	s.loop.EndIdle(func(h stream.Handler) bool {
		c, ok := h.(*client)
		return ok && c.listener == l
	})
}

// StopAccepting closes all listeners: who connects now is refused.
func (s *Server) StopAccepting() {
	s.accepting.Lock()
	defer s.accepting.Unlock()
	s.shut = true
	s.closeDoors(func(*Listener) bool { return true })
}

// closeDoors is for who holds accepting.
func (s *Server) closeDoors(which func(*Listener) bool) {
	var left []door
	for _, d := range s.doors {
		if !which(d.listener) {
			left = append(left, d)
			continue
		}
		_ = d.accepts.Close()
	}
	s.doors = left
}
