package config

import (
	"fmt"
	"net/netip"
)

// networks is a list of CIDRs, addresses and the words private and peers.
type networks struct {
	into  *[]netip.Prefix
	peers *bool // whether peers was among them
}

const (
	networksKind = "list of networks"
	peersWord    = "peers"
	trustedPeers = "trusted_proxies.peers" // where the word was written, among the keys that were
)

func (l networks) read(r *reader, path string, n *node) {
	*l.into, *l.peers = nil, false
	for i, item := range items(r, path, n, networksKind) {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.written[at] = item.at
		if item.kind == kindScalar && item.text == peersWord {
			r.written[trustedPeers] = item.at
			*l.peers = true
			continue
		}
		var prefixes []netip.Prefix
		l.item(&prefixes).read(r, at, item)
		*l.into = append(*l.into, prefixes...)
	}
}

func (l networks) item(into *[]netip.Prefix) value {
	return scalar[[]netip.Prefix]{into: into, kind: "network", want: "a network such as 10.0.0.0/8", accepts: []scalarType{textual},
		form: schema{"type": "string"}, parse: parseNetwork}
}

func (l networks) schema() schema {
	return schema{"anyOf": []schema{{"type": "array", "items": l.item(nil).schema()}, variable()}}
}

func (l networks) describe() string { return networksKind }

func parseNetwork(s string) ([]netip.Prefix, error) {
	if s == "private" {
		return privateNetworks(), nil
	}
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return []netip.Prefix{netip.PrefixFrom(ip, ip.BitLen())}, nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return nil, fmt.Errorf("%q is neither a network, an address nor a known word; write one such as 10.0.0.0/8, 192.0.2.1, private or peers%s", s, didYouMean(s, []string{"private", peersWord}))
	}
	if prefix != prefix.Masked() {
		return nil, fmt.Errorf("%q has bits set after the prefix; did you mean %q?", s, prefix.Masked())
	}
	return []netip.Prefix{prefix}, nil
}

// privateNetworks are loopback, link-local and the private ranges: RFC 1918, 4193, 3927, 4291 and, for carrier NAT, 6598.
func privateNetworks() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10"} {
		prefixes = append(prefixes, netip.MustParsePrefix(s))
	}
	return prefixes
}
