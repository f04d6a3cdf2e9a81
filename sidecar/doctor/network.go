package doctor

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"outrider/sidecar/config"
)

// errStranded tells what to see and where it comes from.
var errStranded = errors.New("no network but lo: whoever joins the network of another container is left with that when the other one restarts")

const strandedRemedy = "restart this container now; then let a container that never restarts own the network (command: [hold]), and join app and sidecar to it (network_mode: \"service:...\")"

// Stranded is an error when there is no network but loopback, though the
// configuration needs one: the network namespace is that of a container which is
// gone. Such a sidecar reaches nobody and is reached by nobody.
func Stranded(c *config.Config) error {
	if !needsNetwork(c) {
		return nil
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil // not known
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue // a new namespace may have tunnels, which are down
		}
		if addresses, err := i.Addrs(); err != nil || len(addresses) > 0 {
			return nil
		}
	}
	return errStranded
}

// needsNetwork tells whether clients, backends or peers can be elsewhere.
func needsNetwork(c *config.Config) bool {
	for _, l := range c.Listen {
		if host, _, err := net.SplitHostPort(l.Address); err == nil && !isLoopback(host) {
			return true
		}
	}
	for _, cl := range c.Clusters {
		for _, b := range cl.Backends {
			if !isLoopback(b.Host) {
				return true
			}
		}
	}
	return c.Gossip != nil && !c.Gossip.Listen.Addr().IsLoopback()
}

func isLoopback(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
