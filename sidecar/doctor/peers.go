package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// peers looks at each address that join leads to. A packet that somebody drops on
// the way leaves no trace here; only a sidecar that runs knows of it.
func (p Patient) peers(ctx context.Context, lookup Lookup) []Finding {
	if p.Config.Gossip == nil {
		return nil
	}
	var found []Finding
	if p.OnlyTCP > 0 {
		found = append(found, p.wrong("gossip.listen",
			fmt.Sprintf("something between this sidecar and a peer lets TCP pass and drops UDP: so %d pings went since it started", p.OnlyTCP),
			fmt.Sprintf("open port %d for UDP, too, both ways: in firewalls, security groups and network policies", p.Config.Gossip.Listen.Port())))
	}
	var looks []func(context.Context) []Finding
	for i, join := range p.Config.Gossip.Join {
		key := fmt.Sprintf("gossip.join[%d]", i)
		looks = append(looks, func(ctx context.Context) []Finding { return p.join(ctx, lookup, join, key) })
	}
	return append(found, inParallel(ctx, looks)...)
}

func (p Patient) join(ctx context.Context, lookup Lookup, join, key string) []Finding {
	host, port := p.joinParts(join)
	addresses, err := resolve(ctx, lookup, host)
	if err != nil {
		return []Finding{p.wrong(key, fmt.Sprintf("the name %s cannot be resolved: %s", host, reason(err)),
			"correct the name, or give it to the containers or Services of the peers (in compose: aliases: [outrider])")}
	}
	var looks []func(context.Context) []Finding
	for _, address := range others(addresses) {
		looks = append(looks, func(ctx context.Context) []Finding { return p.peer(ctx, key, netip.AddrPortFrom(address, port)) })
	}
	return inParallel(ctx, looks)
}

func (p Patient) joinParts(join string) (host string, port uint16) {
	host, text, err := net.SplitHostPort(join)
	n, wrong := strconv.ParseUint(text, 10, 16)
	if err != nil || wrong != nil {
		return join, p.Config.Gossip.Listen.Port()
	}
	return host, uint16(n)
}

// others are the addresses that are not our own.
func others(addresses []netip.Addr) []netip.Addr {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return addresses
	}
	isOwn := func(a netip.Addr) bool {
		return slices.ContainsFunc(own, func(network net.Addr) bool {
			prefix, err := netip.ParsePrefix(network.String())
			return err == nil && prefix.Addr().Unmap() == a && !a.IsLoopback()
		})
	}
	return slices.DeleteFunc(slices.Clone(addresses), isOwn)
}

// peerTime bounds the connection to a peer, and the wait for word that its port is
// closed to packets.
const peerTime = 2 * time.Second

func (p Patient) peer(ctx context.Context, key string, address netip.AddrPort) []Finding {
	ctx, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address.String())
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return []Finding{p.note(key, fmt.Sprintf("no sidecar listens on %s", address), "start it, if there is to be one; peers may come later")}
	case err != nil:
		return []Finding{p.wrong(key, fmt.Sprintf("%s cannot be reached by TCP: %s", address, reason(err)),
			"open the port for TCP and UDP between the sidecars, or correct the address")}
	}
	_ = conn.Close()
	if refusesPackets(ctx, address) {
		return []Finding{p.wrong(key, fmt.Sprintf("%s takes TCP, and refuses UDP: health is shared late or not at all", address),
			fmt.Sprintf("publish the port for UDP, too (%[1]d:%[1]d/udp)", address.Port()))}
	}
	return nil
}

// refusesPackets tells whether word comes back that nobody takes packets there.
func refusesPackets(ctx context.Context, address netip.AddrPort) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", address.String())
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	const wait = 500 * time.Millisecond
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return false
	}
	if _, err := conn.Write(nil); err != nil { // an empty packet, which says nothing to anybody
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	_, err = conn.Read(make([]byte, 1))
	return errors.Is(err, syscall.ECONNREFUSED)
}
