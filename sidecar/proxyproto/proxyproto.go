// Package proxyproto reads and writes the header by which a proxy tells, in the
// first bytes of a connection, for whom it has made it: the PROXY protocol of
// HAProxy (proxy-protocol.txt, 2020/03/05), versions 1 and 2. It opens no connection.
package proxyproto

import "net/netip"

// Header is what is said of a connection.
type Header struct {
	// Source is who has made the connection, and Destination where it was made to.
	// Both are the zero value where nothing is said of them: the connection is the
	// proxy's own (LOCAL), of a kind that the proxy does not tell (UNKNOWN), or did
	// not come by TCP over IP (datagrams, Unix sockets).
	Source, Destination netip.AddrPort
}

// Version is how the header is written; the zero value writes none.
type Version uint8

// The versions of the protocol. V1 is a line of text, V2 is binary.
const (
	None Version = iota
	V1
	V2
)

// MaxSize is how long a header can be. Version 2 allows four times as much, for
// extensions; what is sent of them takes some hundred bytes.
const MaxSize = 16 << 10

const (
	prefix1 = "PROXY "
	prefix2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Parse reads the header that b begins with. With size 0 and no error it is not
// whole yet: there are more than len(b) bytes of it.
func Parse(b []byte) (h Header, size int, err error) {
	switch {
	case begins(b, prefix2):
		return parse2(b)
	case begins(b, prefix1):
		return parse1(b)
	}
	return Header{}, 0, errNone
}

// begins tells whether b begins with prefix, as far as it goes.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// Append appends a header. Where h does not know both ends of the connection, it is
// one that says nothing of them.
func (v Version) Append(dst []byte, h Header) []byte {
	from, to, family := ends(h)
	switch v {
	case V1:
		return append1(dst, from, to, family)
	case V2:
		return append2(dst, from, to, family)
	}
	return dst
}

// family is that of the addresses of a header.
type family uint8

const (
	unknown family = iota
	ipv4
	ipv6
)

// ends are those of h, in one family. The header of a connection knows no zones.
func ends(h Header) (from, to netip.AddrPort, f family) {
	if !h.Source.IsValid() || !h.Destination.IsValid() {
		return from, to, unknown
	}
	a, b := h.Source.Addr().Unmap(), h.Destination.Addr().Unmap()
	f = ipv4
	if a.Is6() || b.Is6() {
		f, a, b = ipv6, netip.AddrFrom16(a.As16()), netip.AddrFrom16(b.As16())
	}
	return netip.AddrPortFrom(a, h.Source.Port()), netip.AddrPortFrom(b, h.Destination.Port()), f
}

// broken is a header that is none.
type broken string

func (e broken) Error() string { return string(e) }

const errNone = broken("no PROXY protocol header: the connection begins with something else")
