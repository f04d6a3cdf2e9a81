package stream

import (
	"bytes"
	"io"
	"net"
)

// Leave takes the connection out of the loop, which knows nothing of it from then
// on, and hands it over: what was read and not used comes first. It is for the
// task that holds the connection, which is closed when that fails.
func (c *Conn) Leave() (net.Conn, error) {
	rest := bytes.Clone(c.Bytes())
	if !c.loop.forget(c) {
		return nil, net.ErrClosed
	}
	c.dropBuffer()
	nc, err := c.transport.leave()
	if err != nil || len(rest) == 0 {
		return nc, err
	}
	return &prefixed{nc, io.MultiReader(bytes.NewReader(rest), nc)}, nil
}

// prefixed is a connection of which something was read.
type prefixed struct {
	net.Conn
	all io.Reader
}

func (p *prefixed) Read(b []byte) (int, error) { return p.all.Read(b) }

func (t *netConn) leave() (net.Conn, error) { return t.net, nil }
