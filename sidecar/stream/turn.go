package stream

import "time"

// Handler serves one client connection.
type Handler interface {
	// Serve is called, on a task of its own, when an idle connection has bytes
	// to read. It tells what becomes of the connection.
	Serve() Next
	// Idle is how long the connection may now wait for its first or next bytes.
	Idle() time.Duration
	// Gone is called once when the connection has ended while it was idle. It must
	// not block.
	Gone()
}

// Next is what becomes of a connection when a handler returns.
type Next uint8

// What becomes of a connection.
const (
	Done Next = iota // the handler has ended it, or another task goes on with it
	Keep             // it is idle: Serve is called again when there are bytes
	More             // what is there is not enough: Serve is called again when there are more bytes, or none will come
)

// Whose turn it is on a connection. Only the one whose turn it is touches the
// connection; a turn is passed on by compare-and-swap.
const (
	turnTask    uint32 = iota // a task's
	turnClient                // idle: the client has to send something
	turnEnding                // it was idle when StopIdle or Evict came
	turnBackend               // parked in a pool
	turnPoller                // the poller looks whether a parked one has ended
)

// Start gives a connection to its handler; to the same one once more after a
// handshake that this has begun.
func (l *Loop) Start(c *Conn, h Handler) {
	if c.handler == nil { // else EndIdle may be looking at it
		c.handler = h
	}
	c.SetReadLimit(h.Idle())
	switch {
	case c.transport.idle():
	case c.transport.tells():
		l.room.enter(c) // its first bytes have come already
	default:
		l.Go(c.turns)
	}
}

// Resume runs turn on a new task, and then goes on with the connection as if its
// handler had returned what turn returns. It is for a handler that is stuck: the
// stuck one has to return Done, whenever it does.
func (c *Conn) Resume(turn func() Next) {
	c.loop.Go(func() {
		if turn() != Done && c.nextTurn() {
			c.turns()
		}
	})
}

// turns calls the handler for as long as there is something to read, or may be.
func (c *Conn) turns() {
	for {
		next := Keep
		if c.hungry || len(c.Bytes()) == 0 {
			next = c.greet()
		}
		if next == Keep && len(c.Bytes()) > 0 {
			c.turn.Store(turnTask)
			next = c.serve()
		}
		if next == Done {
			return // it may be somebody else's by now
		}
		c.hungry = next == More && c.end == nil
		if !c.nextTurn() {
			return
		}
	}
}

// serve calls the handler once. What our poller wakes has been let into the room already.
func (c *Conn) serve() Next {
	if c.transport.tells() {
		return c.handler.Serve()
	}
	room := &c.loop.room
	room.await(c)
	defer room.leave()
	return c.handler.Serve()
}

// greet reads the first bytes of the next exchange.
func (c *Conn) greet() Next {
	//nolint:errorlint // never wrapped
	switch err := c.fillFirst(); err {
	case nil, errNotYet:
		return Keep
	}
	if len(c.Bytes()) > 0 {
		return Keep // the handler knows what it means that no more comes
	}
	c.Close()
	c.handler.Gone()
	return Done
}

// nextTurn makes the connection ready to wait for the client. False: another
// task will go on with it.
func (c *Conn) nextTurn() bool {
	if len(c.Bytes()) > 0 && !c.hungry {
		return true
	}
	c.shrink()
	c.SetReadLimit(c.handler.Idle())
	return !c.transport.idle()
}
