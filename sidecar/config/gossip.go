package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// Gossip is how sidecars tell each other about health.
type Gossip struct {
	Listen        netip.AddrPort // UDP and TCP
	Advertise     netip.AddrPort // where peers reach us; zero = found by itself; port 0 = Listen's
	Join          []string       // "host:port" or "host", IPv6 in brackets only before a port
	Label         string         // sidecars with another one are never merged; at most 64 bytes
	SecretFile    string         // path that can be opened as it stands; "" = none
	Keys          Secret         // of SecretFile or of the environment; none = plaintext
	Insecure      bool           // plaintext beyond loopback is meant
	ShareLoopback bool           // loopback and link-local backends are the same ones for all peers
	Scope         string         // set apart from networks whose addresses overlap
}

// gossip is the section of that name. It counts that it is there: without it there
// are no peers.
type gossip struct{ into **Gossip }

func (g gossip) read(r *reader, path string, n *node) {
	*g.into = new(Gossip)
	g.section().read(r, path, n)
}

// section binds to the Gossip in place; a throw-away where there is none, as for the schema.
func (g gossip) section() section {
	if *g.into == nil {
		return gossipKeys(new(Gossip))
	}
	return gossipKeys(*g.into)
}

func (g gossip) schema() schema   { return g.section().schema() }
func (g gossip) describe() string { return g.section().describe() }

func (g gossip) child(segment string, written *node) (key, bool) {
	return g.section().child(segment, written)
}

func (g gossip) names(written *node) []string { return g.section().names(written) }

// endpoint is an IP address with a port, in the form that parse takes.
func endpoint(into *netip.AddrPort, kind, want string, parse func(string) (netip.AddrPort, error)) value {
	return scalar[netip.AddrPort]{into: into, kind: kind, want: want, accepts: []scalarType{textual}, form: schema{"type": "string"}, parse: parse}
}

// parseGossipListen is :port or an IP address with a port. All peers use one wire,
// so no host stands for all IPv4 addresses, unlike [::].
func parseGossipListen(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, errors.New("empty; write an address such as \":6191\"; without the section gossip there are no peers and no socket")
	}
	if err := checkListenAddress(s); err != nil {
		return netip.AddrPort{}, err
	}
	host, port, _ := net.SplitHostPort(s)
	switch {
	case host == "":
		host = "0.0.0.0"
	case strings.EqualFold(host, "localhost"):
		host = "127.0.0.1"
	}
	ip, err := parsePeerAddress(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if ip.IsMulticast() {
		return netip.AddrPort{}, fmt.Errorf("%q is a multicast address; write \":6191\", or the address of an interface", s)
	}
	n, _ := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// parseAdvertise is an IP address with or without a port, or empty.
func parseAdvertise(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	host, port, err := splitPeer(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, err := parsePeerAddress(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(ip, port), checkReachable(s, ip)
}

// parseJoin is a host with or without a port, in its usual form.
func parseJoin(s string) (string, error) {
	host, port, err := splitPeer(s)
	if err != nil {
		return "", err
	}
	if strings.Contains(host, "%") || strings.Contains(host, ":") {
		if _, err := parsePeerAddress(host); err != nil {
			return "", err
		}
	}
	if host, err = parseHost(host); err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if err := checkReachable(s, ip); err != nil {
			return "", err
		}
	}
	if port == 0 {
		return host, nil
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

// splitPeer takes the port off; 0 without one.
func splitPeer(s string) (host string, port uint16, err error) {
	if s == "" {
		return "", 0, errors.New("empty; write host or host:port")
	}
	if strings.Contains(s, "/") {
		return "", 0, fmt.Errorf("%q is not an address; write host or host:port, without a scheme or a path", s)
	}
	if _, err := netip.ParseAddr(s); err == nil || !strings.Contains(s, ":") {
		return s, 0, nil
	}
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.TrimSuffix(inner, "]"), 0, nil
	}
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not an address; write host or host:port", s)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q: the port is a number from 1 to 65535, not %q", s, digits)
	}
	return host, uint16(n), nil
}

func parsePeerAddress(host string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an IP address; peers are told one, not a name", host)
	case ip.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q holds the name of an interface, which means nothing to peers; write an address without %%%s", host, ip.Zone())
	}
	return ip.Unmap(), nil
}

func checkReachable(s string, ip netip.Addr) error {
	switch {
	case ip.IsUnspecified():
		return fmt.Errorf("%q stands for every address, and peers need one that leads to a sidecar", s)
	case ip.IsMulticast():
		return fmt.Errorf("%q is a multicast address, and peers need one that leads to a sidecar", s)
	}
	return nil
}

const (
	maxLabel     = 64
	labelPattern = `^.{0,64}$`
	scopePattern = `^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$`
)

func checkLabel(s string) error {
	if len(s) > maxLabel {
		return fmt.Errorf("%d bytes; a label has at most %d", len(s), maxLabel)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%q holds a character that cannot be printed", s)
	}
	return nil
}

func checkScope(s string) error {
	if s == "" {
		return nil
	}
	return checkName(s)
}

// gossip looks at how the keys of the section fit together, and reads the secret.
func (u *rules) gossip() {
	g := u.c.Gossip
	if g == nil {
		if u.c.TrustPeers {
			u.r.faults.add(u.r.at(trustedPeers), "trusted_proxies", "there are no peers to believe without a section gossip; write gossip: { join: [...] }, or remove \"peers\"")
		}
		return
	}
	u.secret(g)
	if len(g.Keys) > 0 {
		if g.Insecure {
			u.r.fault("gossip.insecure", "there is a secret, so gossip is encrypted; remove insecure, or it takes effect on the day that the secret is left out")
		}
		return
	}
	u.plaintext(g)
}

// plaintext decides whether gossip may go without a secret.
func (u *rules) plaintext(g *Gossip) {
	path, address := "gossip.listen", g.Listen
	if g.Listen.Addr().IsLoopback() {
		path, address = "gossip.advertise", g.Advertise
	}
	switch {
	case !address.IsValid() || address.Addr().IsLoopback() || u.hasFault("gossip"):
	case g.Insecure:
		u.note("gossip.insecure", "gossip is not encrypted: whoever reaches %s can join, read and send claims about health", address)
	default:
		u.r.fault(path, "%s can be reached from other hosts and there is no secret%s, so anybody could join; "+
			"write secret_file: PATH (`outrider keygen --if-absent PATH` makes it), or insecure: true", address, u.emptySecret())
	}
}

func (u *rules) emptySecret() string {
	if _, set := u.lookup(secretVariable); set {
		return " (" + secretVariable + " is empty)"
	}
	return ""
}

// hasFault reports whether something within path is wrong already.
func (u *rules) hasFault(path string) bool {
	for _, f := range u.r.faults.list {
		if f.Path == path || strings.HasPrefix(f.Path, path+".") {
			return true
		}
	}
	return false
}

// secret reads the file that holds the keys.
func (u *rules) secret(g *Gossip) {
	const path = "gossip.secret_file"
	if g.SecretFile == "" {
		return
	}
	written := g.SecretFile
	g.SecretFile = u.r.locate(path, written, u.found)
	if u.r.isWritten("gossip.secret") {
		u.r.fault(path, "%s sets the secret, too; remove one of them", secretVariable)
		return
	}
	if _, err := u.r.files.stat(g.SecretFile); errors.Is(err, fs.ErrNotExist) && isKey(written) {
		u.r.fault(path, "this is no file, and looks like the key itself; write the path of a file that holds it, or set %s", secretVariable)
		return
	}
	keys, errs := u.r.files.keys(g.SecretFile)
	for _, err := range errs {
		u.r.fault(path, "%v", err)
	}
	g.Keys = keys
	if shared := u.r.files.shared(g.SecretFile); len(errs) == 0 && shared != "" {
		u.note(path, "%s can be read by other users%s; whoever reads it can join and send claims: chmod 600 where it is yours to change", g.SecretFile, shared)
	}
}
