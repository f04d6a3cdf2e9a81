package stream

import (
	"crypto/tls"
	"errors"
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

// Handshake does the TLS handshake of a connection from ListenTLS within limit.
// Until it is over the connection counts as idle: StopIdle and Evict end it.
func (c *Conn) Handshake(limit time.Duration) (tls.ConnectionState, error) {
	t := c.transport.(*netConn)
	return t.handshake(t.net.(*tls.Conn), t.deadline(millis(limit)))
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
