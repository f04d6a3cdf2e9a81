package stream

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Handler serves one client connection.
type Handler interface {
	// Serve is called, on a task of its own, when an idle connection has bytes
	// to read. It tells what becomes of the connection.
	Serve() Next
	// Idle is how long the connection may now wait for its first or next bytes.
	Idle() time.Duration
	// Gone is called once when the connection has ended while it was idle.
	Gone()
}

// Next is what becomes of a connection when a handler returns.
type Next uint8

// What becomes of a connection.
const (
	Done Next = iota // the handler has ended it, or another task goes on with it
	Keep             // it is idle: Serve is called again when there are bytes
)

// Adopt makes a connection of the loop from nc.
func (l *Loop) Adopt(nc net.Conn) *Conn {
	c := &Conn{nc: nc, loop: l}
	l.remember(c)
	return c
}

// Start gives a connection to its handler, on a task of its own.
func (l *Loop) Start(c *Conn, h Handler) {
	c.handler = h
	l.Go(func() { c.turns() })
}

// Go runs f on a task that Wait waits for.
func (l *Loop) Go(f func()) { l.tasks.Go(f) }

// Resume runs turn on a new task, and then goes on with the connection as if its
// handler had returned what turn returns. It is for a handler that is stuck: the
// stuck one has to return Done, whenever it does.
func (c *Conn) Resume(turn func() Next) {
	c.loop.Go(func() {
		if turn() == Keep {
			c.turns()
		}
	})
}

// turns calls the handler each time there is something to read.
func (c *Conn) turns() {
	for c.awaitBytes() {
		if c.handler.Serve() == Done {
			return
		}
	}
	c.handler.Gone()
	c.Close()
}

// Whose turn it is on a client connection.
const (
	turnHandler uint32 = iota // a handler's, or nobody asks: upstream connections
	turnClient                // it is idle: the client has to send something
	turnEnding                // it was idle when StopIdle came
)

func (c *Conn) awaitBytes() bool {
	if len(c.Bytes()) > 0 {
		return true
	}
	c.SetReadLimit(c.handler.Idle())
	c.turn.Store(turnClient)
	if c.loop.stopping.Load() {
		return false
	}
	err := c.Fill(SmallBuffer, nil)
	c.turn.Store(turnHandler)
	if err != nil {
		c.ReleaseBuffer()
	}
	return err == nil
}

// Dial connects to addr within limit, and does the TLS handshake when config is
// not nil.
func (l *Loop) Dial(ctx context.Context, addr netip.AddrPort, limit time.Duration, config *tls.Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dialer := net.Dialer{KeepAlive: -1} // these connections live for seconds when nothing passes
	nc, err := dialer.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	if config != nil {
		secure := tls.Client(nc, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, &HandshakeError{err}
		}
		nc = secure
	}
	c := l.Adopt(nc)
	c.peek.prepare(nc)
	return c, nil
}

// HandshakeError is a TLS handshake that failed on a connection that was made.
type HandshakeError struct{ Err error }

func (e *HandshakeError) Error() string { return "TLS handshake: " + e.Err.Error() }

func (e *HandshakeError) Unwrap() error { return e.Err }
