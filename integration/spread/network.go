package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// network is a network in memory: every packet takes a while, some are lost, and
// a host can be cut off.
type network struct {
	delay time.Duration // one way
	loss  float64       // of packets

	meter *meter // of what is sent, lost packets among it

	mu    sync.Mutex // guards what follows
	hosts map[string]*host
	cut   map[string]bool
	rng   *rand.Rand
}

func newNetwork(delay time.Duration, loss float64) *network {
	return &network{delay: delay, loss: loss, meter: &meter{}, hosts: map[string]*host{}, cut: map[string]bool{}, rng: rand.New(rand.NewPCG(9, 9))}
}

// host is one place on a network. It implements gossip.Transport.
type host struct {
	network *network
	address netip.AddrPort
	packets chan *memberlist.Packet
	streams chan net.Conn

	once sync.Once
	gone chan struct{}
}

// join gives the n-th host.
func (n *network) join(i int) *host {
	h := &host{
		network: n,
		address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(1 + i%250)}), 6191),
		packets: make(chan *memberlist.Packet, 4096),
		streams: make(chan net.Conn),
		gone:    make(chan struct{}),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[h.address.String()] = h
	return h
}

// isolate cuts a host off, or takes it back.
func (n *network) isolate(h *host, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[h.address.String()] = cut
}

// reach is the host at an address, for packets that come through.
func (n *network) reach(from, to string) (*host, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[to]
	return h, h != nil && !n.cut[from] && !n.cut[to]
}

func (n *network) loses() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rng.Float64() < n.loss
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (h *host) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IP(h.address.Addr().AsSlice()), int(h.address.Port()), nil
}

// WriteTo implements memberlist.Transport.
func (h *host) WriteTo(b []byte, to string) (time.Time, error) {
	now := time.Now()
	h.network.meter.packet(len(b))
	target, ok := h.network.reach(h.address.String(), to)
	if !ok || h.network.loses() {
		return now, nil
	}
	packet := &memberlist.Packet{Buf: append([]byte(nil), b...), From: net.UDPAddrFromAddrPort(h.address)}
	time.AfterFunc(h.network.delay, func() {
		packet.Timestamp = time.Now()
		select {
		case target.packets <- packet:
		case <-target.gone:
		default: // its buffer is full, as a socket's
		}
	})
	return now, nil
}

var errUnreachable = errors.New("no route to the host")

// DialTimeout implements memberlist.Transport.
func (h *host) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	target, ok := h.network.reach(h.address.String(), to)
	if !ok {
		return nil, fmt.Errorf("%s: %w", to, errUnreachable)
	}
	time.Sleep(2 * h.network.delay) // the handshake of TCP
	here, there := net.Pipe()
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case target.streams <- &stream{metered{there, h.network.meter}, h.address}:
		return &stream{metered{here, h.network.meter}, target.address}, nil
	case <-target.gone:
		return nil, fmt.Errorf("%s: %w", to, errUnreachable)
	case <-late.C:
		return nil, fmt.Errorf("%s: no answer after %v", to, timeout)
	}
}

// PacketCh implements memberlist.Transport.
func (h *host) PacketCh() <-chan *memberlist.Packet { return h.packets }

// StreamCh implements memberlist.Transport.
func (h *host) StreamCh() <-chan net.Conn { return h.streams }

// Shutdown implements memberlist.Transport.
func (h *host) Shutdown() error {
	h.once.Do(func() { close(h.gone) })
	return nil
}

// stream is one end of a connection.
type stream struct {
	metered
	remote netip.AddrPort
}

func (s *stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }
