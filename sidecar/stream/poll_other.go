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

func (*poller) dial(netip.AddrPort, time.Duration) (*Conn, error) { return nil, net.ErrClosed }

func (*poller) listen(*net.TCPListener) (Listener, error) { return nil, net.ErrClosed }
