package gossip

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	tests := map[string]struct {
		spoil func(*Options)
		want  string
	}{
		"no name":                        {func(o *Options) { o.Name = "" }, "name"},
		"no address":                     {func(o *Options) { o.Bind = netip.AddrPort{} }, "bind"},
		"a long label":                   {func(o *Options) { o.Label = strings.Repeat("l", 65) }, "label"},
		"a short secret":                 {func(o *Options) { o.Keys = [][]byte{key(1), make([]byte, 15)} }, "secret 2 has 15 bytes"},
		"a strange peer":                 {func(o *Options) { o.Join = []string{"api:http"} }, "api:http"},
		"a long version":                 {func(o *Options) { o.Info.Version = strings.Repeat("v", 65) }, "version"},
		"plaintext to the world":         {func(o *Options) { o.Bind = netip.MustParseAddrPort("0.0.0.0:7946") }, "0.0.0.0:7946"},
		"plaintext under a world's name": {func(o *Options) { o.Advertise = netip.MustParseAddrPort("10.0.0.7:7946") }, "10.0.0.7:7946"},
	}
	for name, test := range tests {
		o := options("a")
		test.spoil(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want an error that names %q", name, err, test.want)
		}
	}
	o := options("a")
	o.Bind = netip.MustParseAddrPort("0.0.0.0:7946")
	for name, allow := range map[string]func(*Options){
		"insecure": func(o *Options) { o.Insecure = true },
		"a secret": func(o *Options) { o.Keys = [][]byte{key(1)} },
	} {
		allowed := o
		allow(&allowed)
		if _, err := New(allowed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheAddressToAdvertiseIsOneThatPeersReach(t *testing.T) {
	tests := map[string]struct {
		have  []string
		only4 bool
		want  string
	}{
		"a private one first":    {[]string{"127.0.0.1/8", "8.8.8.8/24", "10.1.2.3/16"}, true, "10.1.2.3"},
		"else a public one":      {[]string{"127.0.0.1/8", "169.254.1.1/16", "8.8.8.8/24"}, true, "8.8.8.8"},
		"IPv6 where it is bound": {[]string{"::1/128", "fe80::1/64", "fd00::7/64"}, false, "fd00::7"},
		"no IPv6 for IPv4":       {[]string{"127.0.0.1/8", "fd00::7/64"}, true, ""},
		"loopback is none":       {[]string{"127.0.0.1/8", "::1/128"}, false, ""},
	}
	for name, test := range tests {
		var have []net.Addr
		for _, a := range test.have {
			ip, n, err := net.ParseCIDR(a)
			if err != nil {
				t.Fatal(err)
			}
			have = append(have, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		got, ok := reachable(have, test.only4)
		if ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("%s: %v %v; want %q", name, got, ok, test.want)
		}
	}
}

func TestWhatIsAdvertisedFollowsFromWhatIsBound(t *testing.T) {
	tests := map[string]struct{ bind, advertise, want string }{
		"the address bound to":  {"127.0.0.1:7946", "", "127.0.0.1:7946"},
		"another address":       {"0.0.0.0:7946", "10.0.0.7:1234", "10.0.0.7:1234"},
		"only the port of ours": {"0.0.0.0:7946", "10.0.0.7:0", "10.0.0.7:7946"},
	}
	for name, test := range tests {
		o := Options{Bind: netip.MustParseAddrPort(test.bind)}
		if test.advertise != "" {
			o.Advertise = netip.MustParseAddrPort(test.advertise)
		}
		if got, err := o.advertised(); err != nil || got.String() != test.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, test.want)
		}
	}
}
