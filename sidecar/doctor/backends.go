package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"outrider/sidecar/config"
)

// lookupTime bounds one question about a name.
const lookupTime = 5 * time.Second

// backends looks at the name and at the first address of each backend.
func (p Patient) backends(ctx context.Context, lookup Lookup) []Finding {
	var looks []func(context.Context) []Finding
	for _, c := range p.Config.Clusters {
		for i, b := range c.Backends {
			key := fmt.Sprintf("clusters.%s.backends[%d]", c.Name, i)
			looks = append(looks, func(ctx context.Context) []Finding { return p.backend(ctx, lookup, c, b, key) })
		}
	}
	return inParallel(ctx, looks)
}

func (p Patient) backend(ctx context.Context, lookup Lookup, c config.Cluster, b config.Backend, key string) []Finding {
	addresses, err := resolve(ctx, lookup, b.Host)
	if err != nil {
		return []Finding{p.wrong(key, fmt.Sprintf("the name %s cannot be resolved: %s", b.Host, reason(err)),
			"correct the name, or have the containers share a network in which it is known")}
	}
	var found []Finding
	if len(addresses) == 1 {
		if kind := virtual(ctx, lookup, b.Host, addresses[0]); kind != nil {
			found = append(found, p.wrong(key, fmt.Sprintf("%s is the virtual address of %s, %s: checks and turns do not see who is behind it",
				b.Host, kind.owner, addresses[0]), kind.remedy))
		}
	}
	address := netip.AddrPortFrom(preferred(addresses, c.Resolve.Family), b.Port)
	return append(found, p.keepAlive(ctx, c, b, key, address)...)
}

// resolve is every address of a host, each once.
func resolve(ctx context.Context, lookup Lookup, host string) ([]netip.Addr, error) {
	if isLoopback(host) && !strings.Contains(host, ":") && host[0] > '9' {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil // RFC 6761, section 6.3
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	texts, err := lookup.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	var addresses []netip.Addr
	for _, text := range texts {
		if ip, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, ip.Unmap())
		}
	}
	if len(addresses) == 0 {
		return nil, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses), nil
}

// preferred is an address of the family that the sidecar would use.
func preferred(addresses []netip.Addr, family config.Family) netip.Addr {
	first := func(fits func(netip.Addr) bool) (netip.Addr, bool) {
		i := slices.IndexFunc(addresses, fits)
		if i < 0 {
			return netip.Addr{}, false
		}
		return addresses[i], true
	}
	if family != config.FamilyIPv6 {
		if a, ok := first(netip.Addr.Is4); ok {
			return a
		}
	}
	if a, ok := first(netip.Addr.Is6); ok {
		return a
	}
	return addresses[0]
}
