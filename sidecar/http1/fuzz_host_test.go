package http1_test

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"outrider/sidecar/http1"
)

// FuzzHost holds our idea of host[:port] against the rules spelled out the slow
// way.
func FuzzHost(f *testing.F) {
	for _, host := range []string{
		"a", "a:80", "a:", "a:65535", "a:65536", "a:00080", "a:000080", "", ":80", "a@b", "a:b@c", "a b", "A-1._~!$&'()*+;=", "a,b", "%61", "\xc3\xa9",
		"127.0.0.1:80", "[::1]", "[::1]:80", "[::]", "[::1", "::1", "[]", "[a]", "[::1]x", "[::1]:", "[fe80::1%25lo]", "[1::2::3]", "[:1]", "[1:]",
		"[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]", "[1:2:3:4::5:6:7:8]",
		"[1:2:3:4:5:6:7:8::]", "[::1:2:3:4:5:6:7:8]", "[12345::]", "[::12345]", "[:::]", "[1:::2]", "[::ffff:1.2.3.4]", "[1:2:3:4:5:6:1.2.3.4]",
		"[1:2:3:4:5:1.2.3.4]", "[1:2:3:4:5::1.2.3.4]", "[1:2:3:4:5:6::1.2.3.4]", "[::1.2.3]", "[::1.2.3.4.5]", "[::01.2.3.4]", "[::256.2.3.4]",
		"[::255.2.3.255]", "[1.2.3.4]", "[::1.2.3.4:5]", "[::1..2.3]", "[::1.2.3.a]", "[v1.a]", "[::1.2.3.0]",
	} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) { sameHost(t, host) })
}

func sameHost(t rapid.TB, host string) {
	t.Helper()
	host = strings.Trim(host, " \t")
	raw := []byte("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	var r http1.Request
	done, err := r.Parse(raw, limits())
	if got, want := done && err == nil, plainlyValidHost(host); got != want {
		t.Fatalf("%q: valid %v, want %v (%v)", host, got, want, err)
	}
	if done && string(r.Authority.Of(raw)) != host {
		t.Fatalf("%q is taken for %q", host, r.Authority.Of(raw))
	}
}

func plainlyValidHost(host string) bool {
	parts := regexp.MustCompile(`^(?:\[([0-9A-Fa-f:.]*)\]|[-._~!$&'()*+;=0-9A-Za-z]+)(?::([0-9]{0,5}))?$`).FindStringSubmatch(host)
	if parts == nil || strings.HasSuffix(host, "\n") {
		return false
	}
	if port, err := strconv.Atoi(parts[2]); err == nil && port > 65535 {
		return false
	}
	if host[0] != '[' {
		return true
	}
	addr, err := netip.ParseAddr(parts[1])
	return err == nil && addr.Is6()
}

func TestAddressesInBracketsAreThoseOfNetip(t *testing.T) {
	group := rapid.StringMatching("[0-9a-fA-F]{1,5}|1[.]2[.]3[.]4|[0-9]{1,3}([.][0-9]{1,3}){2,4}")
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(group, 0, 9).Draw(t, "groups")
		at := rapid.IntRange(0, len(groups)).Draw(t, "elided")
		elided := strings.Join(groups[:at], ":") + "::" + strings.Join(groups[at:], ":")
		sameHost(t, "["+strings.Join(groups, ":")+"]")
		sameHost(t, "["+elided+"]")
	})
}
