package cluster

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is a DNS server on loopback: names and their addresses, or an error
// code for all questions about a name. A name that it does not have is
// NXDOMAIN, a family that it does not have an empty answer.
type zone struct {
	conn net.PacketConn

	mu        sync.Mutex
	addrs     map[string][]netip.Addr
	codes     map[string]dnsmessage.RCode
	questions int
}

func serveZone(t *testing.T) *zone {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{conn: conn, addrs: map[string][]netip.Addr{}, codes: map[string]dnsmessage.RCode{}}
	var serving sync.WaitGroup
	serving.Go(z.serve)
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	return z
}

// resolver is Go's own, asking this server alone.
func (z *zone) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", z.conn.LocalAddr().String())
	}}
}

// answer sets what is known of name; without addresses it does not exist.
func (z *zone) answer(name string, addrs ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.addrs, name)
	delete(z.codes, name)
	for _, a := range addrs {
		z.addrs[name] = append(z.addrs[name], netip.MustParseAddr(a))
	}
}

func (z *zone) fail(name string, code dnsmessage.RCode) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.codes[name] = code
}

func (z *zone) asked() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.questions
}

func (z *zone) serve() {
	packet := make([]byte, 1500)
	for {
		n, client, err := z.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		z.fill(&m)
		if reply, err := m.Pack(); err == nil {
			_, _ = z.conn.WriteTo(reply, client)
		}
	}
}

func (z *zone) fill(m *dnsmessage.Message) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.questions++
	q := m.Questions[0]
	name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	addrs, exists := z.addrs[name]
	m.RCode = z.codes[name]
	if m.RCode != dnsmessage.RCodeSuccess {
		return
	}
	if !exists {
		m.RCode = dnsmessage.RCodeNameError
		return
	}
	for _, a := range addrs {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
}
