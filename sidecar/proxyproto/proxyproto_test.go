package proxyproto_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"outrider/sidecar/proxyproto"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// binaryHeader is one of version 2.
func binaryHeader(command, family byte, rest string) string {
	b := append([]byte(signature), command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(rest)))) + rest
}

func header(source, destination string) proxyproto.Header {
	return proxyproto.Header{Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination)}
}

const (
	ends4      = "\xc0\x00\x02\x01" + "\xc0\x00\x02\x02" + "\xdc\x04" + "\x01\xbb"
	extensions = "\x02\x00\x07a.test!" + "\x20\x00\x05\x01\x00\x00\x00\x00"
)

func ends6() string {
	from, to := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8::2").As16()
	return string(from[:]) + string(to[:]) + "\xdc\x04" + "\x01\xbb"
}

func TestAHeaderTellsWhoseConnectionItIs(t *testing.T) {
	four, six := header("192.0.2.1:56324", "192.0.2.2:443"), header("[2001:db8::1]:56324", "[2001:db8::2]:443")
	for name, row := range map[string]struct {
		raw  string
		want proxyproto.Header
	}{
		"1, IPv4":                  {"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", four},
		"1, IPv6":                  {"PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443\r\n", six},
		"1, IPv4 written as IPv6":  {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 56324 443\r\n", four},
		"1, unknown":               {"PROXY UNKNOWN\r\n", proxyproto.Header{}},
		"1, unknown, with a rest":  {"PROXY UNKNOWN ffff::1 ::2 65535 65535\r\n", proxyproto.Header{}},
		"1, the longest":           {"PROXY UNKNOWN " + strings.Repeat("f", 107-16) + "\r\n", proxyproto.Header{}},
		"2, IPv4":                  {binaryHeader(0x21, 0x11, ends4), four},
		"2, IPv4, with extensions": {binaryHeader(0x21, 0x11, ends4+extensions), four},
		"2, IPv6":                  {binaryHeader(0x21, 0x21, ends6()), six},
		"2, IPv6, with extensions": {binaryHeader(0x21, 0x21, ends6()+extensions), six},
		"2, datagrams":             {binaryHeader(0x21, 0x12, ends4), proxyproto.Header{}},
		"2, a Unix socket":         {binaryHeader(0x21, 0x31, strings.Repeat("/", 216)), proxyproto.Header{}},
		"2, unspecified":           {binaryHeader(0x21, 0x00, ""), proxyproto.Header{}},
		"2, local":                 {binaryHeader(0x20, 0x00, ""), proxyproto.Header{}},
		"2, local, with ends":      {binaryHeader(0x20, 0x11, ends4), proxyproto.Header{}},
		"2, local, with a rest":    {binaryHeader(0x20, 0x11, "abc"), proxyproto.Header{}},
		"2, the longest":           {binaryHeader(0x21, 0x11, ends4+strings.Repeat("x", proxyproto.MaxSize-16-12)), four},
	} {
		t.Run(name, func(t *testing.T) {
			got, size, err := proxyproto.Parse([]byte(row.raw + "GET / HTTP/1.1\r\n"))
			if got != row.want || size != len(row.raw) || err != nil {
				t.Errorf("%v of %d bytes (%v), want %v of %d", got, size, err, row.want, len(row.raw))
			}
			for n := range row.raw {
				if _, size, err := proxyproto.Parse([]byte(row.raw[:n])); size != 0 || err != nil {
					t.Fatalf("of %q: %d bytes, %v; it is not whole yet", row.raw[:n], size, err)
				}
			}
		})
	}
}

func TestWhatIsNoHeaderIsSaidToBeNone(t *testing.T) {
	for name, row := range map[string]struct{ raw, says string }{
		"a request":                   {"GET / HTTP/1.1\r\n\r\n", "begins with something else"},
		"another word":                {"PROXYTCP4 ", "begins with something else"},
		"a TLS hello":                 {"\x16\x03\x01", "begins with something else"},
		"a signature with an error":   {"\r\n\r\n\x00\r\nQUIT\x00", "begins with something else"},
		"1 that does not end":         {"PROXY UNKNOWN " + strings.Repeat("f", 107), "longer than 107 bytes"},
		"1 that is one byte too long": {"PROXY UNKNOWN " + strings.Repeat("f", 107-15) + "\r\n", "longer than 107 bytes"},
		"1 of another family":         {"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", `"UDP4" is neither`},
		"1 without addresses":         {"PROXY TCP4\r\n", "0 words"},
		"1 with too many words":       {"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "5 words"},
		"1 with two blanks":           {"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "5 words"},
		"1 with IPv6 as IPv4":         {"PROXY TCP4 ::1 1.2.3.4 1 2\r\n", `its source: "::1" is no address`},
		"1 with IPv4 as IPv6":         {"PROXY TCP6 ::1 1.2.3.4 1 2\r\n", `its destination: "1.2.3.4" is no address`},
		"1 with a zone":               {"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "no address"},
		"1 with a name":               {"PROXY TCP4 localhost 1.2.3.4 1 2\r\n", "no address"},
		"1 with a port too large":     {"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", `"65536" is no port`},
		"1 with a signed port":        {"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", `"+1" is no port`},
		"1 with a zero before":        {"PROXY TCP4 1.2.3.4 1.2.3.4 1 02\r\n", `"02" is no port`},
		"1 that ends in LF":           {"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" + strings.Repeat("x", 107), "longer than 107 bytes"},
		"2 of another version":        {binaryHeader(0x31, 0x11, ends4), "version and command are 0x31"},
		"2 with another command":      {binaryHeader(0x22, 0x11, ends4), "version and command are 0x22"},
		"2 of another family":         {binaryHeader(0x21, 0x41, ends4), "the family is 0x41"},
		"2 with half an address":      {binaryHeader(0x21, 0x11, ends4[:11]), "11 bytes are too few"},
		"2 with IPv4 as IPv6":         {binaryHeader(0x21, 0x21, ends4), "12 bytes are too few"},
		"2 with half a path":          {binaryHeader(0x21, 0x31, strings.Repeat("/", 215)), "215 bytes are too few"},
		"2 that is too long":          {binaryHeader(0x21, 0x11, strings.Repeat("x", 65535))[:16], "more than the 16384"},
	} {
		t.Run(name, func(t *testing.T) {
			got, size, err := proxyproto.Parse([]byte(row.raw))
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("the error is %v, want %q", err, row.says)
			}
			if size != 0 || got != (proxyproto.Header{}) {
				t.Errorf("and yet %v, of %d bytes", got, size)
			}
		})
	}
}

func anyEnd() *rapid.Generator[netip.AddrPort] {
	return rapid.Custom(func(t *rapid.T) netip.AddrPort {
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
		addr := netip.AddrFrom16([16]byte(raw)).Unmap()
		if rapid.Bool().Draw(t, "IPv4") {
			addr = netip.AddrFrom4([4]byte(raw))
		}
		return netip.AddrPortFrom(addr, rapid.Uint16().Draw(t, "port"))
	})
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.SampledFrom([]proxyproto.Version{proxyproto.V1, proxyproto.V2}).Draw(t, "version")
		want := proxyproto.Header{Source: anyEnd().Draw(t, "source"), Destination: anyEnd().Draw(t, "destination")}
		if rapid.Bool().Draw(t, "unknown") {
			want = proxyproto.Header{}
		}
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		raw := version.Append([]byte(before), want)
		written := len(raw) - len(before)
		if !bytes.HasPrefix(raw, []byte(before)) || version == proxyproto.V1 && written > 107 {
			t.Fatalf("%q", raw)
		}
		got, size, err := proxyproto.Parse(append(raw[len(before):], after...))
		if got != want || size != written || err != nil {
			t.Fatalf("%v of %d bytes (%v), want %v of %d", got, size, err, want, written)
		}
	})
}

func TestHalfAConnectionIsUnknown(t *testing.T) {
	half := proxyproto.Header{Source: netip.MustParseAddrPort("192.0.2.1:1")}
	for version, want := range map[proxyproto.Version]string{
		proxyproto.None: "", proxyproto.V1: "PROXY UNKNOWN\r\n", proxyproto.V2: binaryHeader(0x20, 0, ""),
	} {
		if got := version.Append(nil, half); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET"))
	f.Add([]byte("PROXY TCP6 2001:db8::1 ::2 56324 443\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(binaryHeader(0x21, 0x11, ends4+extensions)))
	f.Add([]byte(binaryHeader(0x21, 0x21, ends6())))
	f.Add([]byte(binaryHeader(0x20, 0x00, "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, size, err := proxyproto.Parse(b)
		switch {
		case size > len(b), size > proxyproto.MaxSize, err != nil && size != 0:
			t.Fatalf("%d of %d bytes, %v", size, len(b), err)
		case size == 0 && h != (proxyproto.Header{}):
			t.Fatalf("%v of nothing", h)
		case size == 0 && err == nil && len(b) >= proxyproto.MaxSize:
			t.Fatalf("%d bytes, and none of them is wrong", len(b))
		case size == 0:
			return
		}
		// The header does not depend on what stands behind it, and is read again where it
		// is written anew.
		if again, n, err := proxyproto.Parse(b[:size]); again != h || n != size || err != nil {
			t.Fatalf("alone it is %v of %d bytes (%v), not %v of %d", again, n, err, h, size)
		}
		for _, version := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
			if again, _, err := proxyproto.Parse(version.Append(nil, h)); again != h || err != nil {
				t.Fatalf("%v written anew is %v (%v)", h, again, err)
			}
		}
	})
}
