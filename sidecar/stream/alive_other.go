//go:build !unix

package stream

import "net"

type peek struct{}

func (peek) prepare(net.Conn) {}

// Alive tells whether an idle upstream connection may be used again. Systems
// without a way to ask find out by writing.
func (c *Conn) Alive() bool { return c.end == nil && len(c.Bytes()) == 0 }
