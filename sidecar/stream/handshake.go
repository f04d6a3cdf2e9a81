package stream

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

// Encrypted tells what was agreed on with the other end of a TLS connection, once
// the handshake is over. Not ok: it is cleartext.
func (c *Conn) Encrypted() (state tls.ConnectionState, ok bool) {
	if t, isNet := c.transport.(*netConn); isNet {
		if secure, isTLS := t.net.(*tls.Conn); isTLS {
			return secure.ConnectionState(), true
		}
	}
	return tls.ConnectionState{}, false
}

// Handshake does the TLS handshake of a connection from ListenTLS within limit, and
// begins with what was read of it and not used. Until it is over the connection
// counts as idle: StopIdle and Evict end it.
func (c *Conn) Handshake(limit time.Duration, config *tls.Config) (tls.ConnectionState, error) {
	t := c.transport.(*netConn)
	secure := tls.Server(c.takeBack(t.net), config)
	t.net = secure
	return t.handshake(secure, t.deadline(millis(limit)))
}

// takeBack is nc with what was read of it and not used.
func (c *Conn) takeBack(nc net.Conn) net.Conn {
	if len(c.Bytes()) == 0 {
		return nc
	}
	first := bytes.Clone(c.Bytes())
	c.Advance(len(first))
	c.dropBuffer()
	return &readAhead{nc, first}
}

// readAhead is a connection of which some bytes were read ahead.
type readAhead struct {
	net.Conn
	first []byte
}

// NetConn is what is under it.
func (r *readAhead) NetConn() net.Conn { return r.Conn }

func (r *readAhead) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}

func (t *netConn) handshake(secure *tls.Conn, by int64) (tls.ConnectionState, error) {
	t.idle()
	t.readBy.Store(by)
	t.reading.begin()
	err := t.readInterrupted(by)
	if err == nil {
		err = secure.Handshake()
	}
	t.reading.end(t.net.SetReadDeadline)
	t.readBy.Store(0)
	if !t.turn.CompareAndSwap(turnClient, turnTask) {
		return tls.ConnectionState{}, ErrStopped
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if why := t.readInterrupted(by); why != nil {
			err = why
		}
	}
	return secure.ConnectionState(), err
}
