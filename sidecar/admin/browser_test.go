package admin

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// The oracle is net/url, which takes a Host field apart as browsers do.
func FuzzOnlyAddressesAndKnownNamesPassTheHostCheck(f *testing.F) {
	for _, seed := range []string{
		"", "localhost", "localhost:80", "localhost.", "127.0.0.1", "127.0.0.1:6189", "[::1]", "[::1]:80", "[::1", "::1", "[fe80::1%25eth0]:1",
		"admin.example", "evil.example", "127.1", "0x7f000001", "2130706433", "a@localhost", "localhost:80:90", "[localhost]:1", "[evil]", "evil:127.0.0.1",
	} {
		f.Add(seed)
	}
	known := newHosts([]string{"admin.example"})
	f.Fuzz(func(t *testing.T, host string) {
		if known.check(&http.Request{Host: host}) != nil {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil || u.Host != host {
			return // no browser sends it
		}
		name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		_, err = netip.ParseAddr(name)
		if err != nil && name != "localhost" && name != "admin.example" {
			t.Errorf("%q passes as %q", host, name)
		}
	})
}

func FuzzOnlyTheSameOriginPasses(f *testing.F) {
	for _, origin := range []string{"http://localhost:6189", "https://localhost:6189", "null", "", "http://localhost:6189.evil", "http://evil#localhost:6189", "//localhost:6189", "http://x@localhost:6189"} {
		f.Add(origin, "localhost:6189")
	}
	f.Fuzz(func(t *testing.T, origin, host string) {
		if !isOrigin(origin, host) {
			return
		}
		_, authority, found := strings.Cut(origin, "://")
		if !found || !strings.Contains(strings.ToLower(authority), strings.ToLower(host)) && !strings.Contains(authority, "%") {
			t.Errorf("%q passes for %q", origin, host)
		}
	})
}
