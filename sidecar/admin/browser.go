package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// hosts are the names under which the API answers, in lower case, with or
// without a port.
type hosts map[string]bool

func newHosts(names []string) hosts {
	h := hosts{"localhost": true}
	for _, name := range names {
		h[strings.ToLower(name)] = true
	}
	return h
}

// check ends DNS rebinding: a page whose name was made to point at this address
// still sends that name.
func (h hosts) check(r *http.Request) *refusal {
	host := strings.ToLower(r.Host)
	name := withoutPort(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	if h[host] || h[strings.TrimSuffix(name, ".")] {
		return nil
	}
	return refuse(http.StatusMisdirectedRequest,
		"the Host field %q is not a name of this listener: add it to admin.hosts, or use localhost or the address", r.Host)
}

// withoutPort is the name or the address (without brackets) in a Host field.
func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// checkOrigin refuses what a page of another origin sent. The scheme is not
// compared: in front of this listener TLS may end, which it cannot see.
func checkOrigin(r *http.Request) *refusal {
	for _, origin := range r.Header.Values("Origin") {
		if !isOrigin(origin, r.Host) {
			return refuse(http.StatusForbidden,
				"the Origin field %q is not the origin of %q: pages of other origins may not ask here", origin, r.Host)
		}
	}
	return nil
}

func isOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return false
	}
	return u.Host != "" && strings.EqualFold(u.Host, host)
}
