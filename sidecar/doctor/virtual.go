package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strings"
)

// behind is who answers for others at one address.
type behind struct{ owner, remedy string }

// virtual tells that a name's only address is one behind which others are hidden;
// nil when nothing speaks for it.
func virtual(ctx context.Context, lookup Lookup, host string, address netip.Addr) *behind {
	if address.IsLoopback() || isAddress(host) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	if names, err := lookup.LookupAddr(ctx, address.String()); err == nil {
		if i := slices.IndexFunc(names, isService); i >= 0 {
			return &behind{"the Kubernetes Service " + strings.TrimSuffix(names[i], "."),
				"make the Service headless (clusterIP: None), or write the name of one that is and selects the same pods"}
		}
	}
	// Docker's swarm gives the tasks of a service by this name, and its virtual
	// address by the service's.
	tasks, err := lookup.LookupHost(ctx, "tasks."+host)
	if err == nil && len(tasks) > 0 && !slices.Contains(tasks, address.String()) {
		return &behind{"a swarm service", "write tasks." + host + ", or give the service endpoint_mode: dnsrr"}
	}
	return nil
}

// isService tells whether the name that an address has in a Kubernetes cluster is
// that of a Service, service.namespace.svc.zone; a pod behind a headless one has a
// label of its own before that.
func isService(name string) bool {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	return len(labels) > 3 && labels[2] == "svc"
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
