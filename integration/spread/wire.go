package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// meter counts what is sent; of streams their bytes alone.
type meter struct{ packets, bytes atomic.Uint64 }

func (m *meter) packet(size int) {
	m.packets.Add(1)
	m.bytes.Add(uint64(size))
}

// wire is UDP and TCP on loopback, metered. It implements gossip.Transport.
type wire struct {
	*memberlist.NetTransport
	meter   *meter
	streams chan net.Conn
	closed  chan struct{}
	tasks   sync.WaitGroup
	closing sync.Once
}

// manyPorts is how often a port is drawn that is to be free for UDP and TCP both.
const manyPorts = 20

func newWire(m *meter) (*wire, error) {
	var fault error
	for range manyPorts {
		sockets, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{"127.0.0.1"}, Logger: log.New(io.Discard, "", 0)})
		if err == nil {
			w := &wire{NetTransport: sockets, meter: m, streams: make(chan net.Conn), closed: make(chan struct{})}
			w.tasks.Go(w.accept)
			return w, nil
		}
		if fault = err; !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("sockets on loopback: %w", fault)
}

func (w *wire) accept() {
	for {
		select {
		case conn := <-w.NetTransport.StreamCh():
			select {
			case w.streams <- &metered{conn, w.meter}:
			case <-w.closed:
				_ = conn.Close()
				return
			}
		case <-w.closed:
			return
		}
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (w *wire) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IPv4(127, 0, 0, 1).To4(), w.GetAutoBindPort(), nil
}

// WriteTo implements memberlist.Transport.
func (w *wire) WriteTo(b []byte, to string) (time.Time, error) {
	return w.WriteToAddress(b, memberlist.Address{Addr: to})
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (w *wire) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	w.meter.packet(len(b))
	return w.NetTransport.WriteToAddress(b, to)
}

// DialTimeout implements memberlist.Transport.
func (w *wire) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	return w.DialAddressTimeout(memberlist.Address{Addr: to}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (w *wire) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	conn, err := w.NetTransport.DialAddressTimeout(to, timeout)
	if err != nil {
		return nil, err
	}
	return &metered{conn, w.meter}, nil
}

// StreamCh implements memberlist.Transport.
func (w *wire) StreamCh() <-chan net.Conn { return w.streams }

// Shutdown implements memberlist.Transport.
func (w *wire) Shutdown() error {
	w.closing.Do(func() { close(w.closed) })
	w.tasks.Wait()
	return w.NetTransport.Shutdown()
}

// metered is one end of a connection; what it writes counts.
type metered struct {
	net.Conn
	meter *meter
}

func (c *metered) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.meter.bytes.Add(uint64(n))
	return n, err
}
