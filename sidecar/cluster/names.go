package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Family says which addresses of a name are used. A backend is never reached
// by both families at once, since it would get two shares of the requests.
type Family uint8

// AnyFamily uses IPv4 where a name has such addresses, and IPv6 otherwise.
const (
	AnyFamily Family = iota
	IPv4
	IPv6
)

// Name is a backend as configured: "app-a:8080", "10.0.0.7:8080" or
// "[::1]:8080". Each address that a name stands for becomes a member with the
// name's weight.
type Name struct {
	Address string
	Weight  int
}

// Names are the backends of a cluster and how they are resolved.
type Names struct {
	Backends []Name
	Interval time.Duration // between two questions for the same host
	Family   Family
}

// resolution is a parsed Names.
type resolution struct {
	endpoints []endpoint
	interval  time.Duration
	family    Family
}

func parse(names Names) (*resolution, error) {
	parsed := &resolution{interval: names.Interval, family: names.Family}
	for _, n := range names.Backends {
		e, err := parseEndpoint(n, names.Family)
		if err != nil {
			return nil, err
		}
		parsed.endpoints = append(parsed.endpoints, e)
	}
	return parsed, nil
}

// endpoint is a parsed Name.
type endpoint struct {
	Name
	host string // empty when addr is known already
	addr netip.Addr
	port uint16
}

func parseEndpoint(n Name, family Family) (endpoint, error) {
	e := endpoint{Name: n}
	name, service, err := net.SplitHostPort(n.Address)
	if err != nil {
		return e, fmt.Errorf("backend %q: want host:port: %w", n.Address, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return e, fmt.Errorf("backend %q: the port must be a number from 1 to 65535", n.Address)
	}
	if name == "" {
		return e, fmt.Errorf("backend %q: want a host before the port", n.Address)
	}
	e.port = uint16(port)
	if addr, err := netip.ParseAddr(name); err == nil {
		e.addr = addr.Unmap()
		return e, nil
	}
	e.host = strings.ToLower(name)
	if local := strings.TrimSuffix(e.host, "."); local == "localhost" || strings.HasSuffix(local, ".localhost") {
		e.host, e.addr = "", loopback(family)
	}
	return e, nil
}

func loopback(family Family) netip.Addr {
	if family == IPv6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

func (e endpoint) member(addr netip.Addr) Member {
	return Member{Name: e.Address, Addr: netip.AddrPortFrom(addr, e.port), Weight: e.Weight}
}
