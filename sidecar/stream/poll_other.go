//go:build !linux

package stream

import (
	"net"
	"net/netip"
	"time"
)

// poller is what this system has none of.
type poller struct{}

func newPoller(*Loop) *poller { return nil }

func (*poller) run() {}

func (*poller) close() {}

func (*poller) dial(netip.AddrPort, time.Duration, *Conn) (*Conn, error) { return nil, net.ErrClosed }

func (*poller) listen(*net.TCPListener, bool) (Listener, error) { return nil, net.ErrClosed }

// pipes are none.
type pipes struct{}

func (*pipes) close() {}

// LendPipe lends none: bytes pass through memory on this system.
func (*Loop) LendPipe(_, _ *Conn) *Pipe { return nil }

// Pipe is what this system has none of.
type Pipe struct{}

// Release does nothing.
func (*Pipe) Release() {}

// FillPipe is never called without a pipe.
func (*Conn) FillPipe(*Pipe, int64, *Conn) (int, error) { return 0, net.ErrClosed }

// WritePipe is never called without a pipe.
func (*Conn) WritePipe(*Pipe) error { return net.ErrClosed }
