package proxyproto

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// A header of version 2 begins with its signature, a version with a command, a
// family, and the length of what follows: the addresses, then extensions (TLVs).
const (
	fixed2 = len(prefix2) + 4

	local2 = 0x20 // version 2, LOCAL
	proxy2 = 0x21 // version 2, PROXY
)

// layouts are the families, and how many bytes two ends take in them.
//
//nolint:gochecknoglobals // immutable
var layouts = map[byte]struct {
	size   int
	family family // unknown: nothing that stands for a client of ours
}{
	0x00: {0, unknown},   // unspecified
	0x11: {12, ipv4},     // TCP
	0x12: {12, unknown},  // UDP
	0x21: {36, ipv6},     // TCP
	0x22: {36, unknown},  // UDP
	0x31: {216, unknown}, // a Unix socket, stream
	0x32: {216, unknown}, // and datagrams
}

// parse2 reads a header of version 2. Its extensions are skipped.
func parse2(b []byte) (h Header, size int, err error) {
	if len(b) < fixed2 {
		return h, 0, nil
	}
	command, kind, length := b[12], b[13], int(binary.BigEndian.Uint16(b[14:]))
	layout, known := layouts[kind]
	switch {
	case command != local2 && command != proxy2:
		return h, 0, wrong2("version and command are 0x%02x", command)
	case !known:
		return h, 0, wrong2("the family is 0x%02x", kind)
	case command == proxy2 && length < layout.size:
		return h, 0, wrong2("%d bytes are too few for the addresses of family 0x%02x", length, kind)
	case fixed2+length > MaxSize:
		return h, 0, wrong2("%d bytes are more than the %d that are read", fixed2+length, MaxSize)
	}
	size = fixed2 + length
	if len(b) < size {
		return h, 0, nil
	}
	if command == proxy2 {
		h = readEnds(b[fixed2:size], layout.family)
	}
	return h, size, nil
}

func wrong2(format string, args ...any) error {
	return broken("a PROXY protocol header of version 2: " + fmt.Sprintf(format, args...))
}

// readEnds reads two addresses, then two ports.
func readEnds(b []byte, f family) (h Header) {
	var from, to netip.Addr
	switch f {
	case unknown:
		return h
	case ipv4:
		from, to, b = netip.AddrFrom4([4]byte(b)), netip.AddrFrom4([4]byte(b[4:])), b[8:]
	case ipv6:
		from, to, b = netip.AddrFrom16([16]byte(b)), netip.AddrFrom16([16]byte(b[16:])), b[32:]
	}
	h.Source = netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(b))
	h.Destination = netip.AddrPortFrom(to.Unmap(), binary.BigEndian.Uint16(b[2:]))
	return h
}

func append2(dst []byte, from, to netip.AddrPort, f family) []byte {
	dst = append(dst, prefix2...)
	switch f {
	case unknown:
		return append(dst, local2, 0x00, 0, 0)
	case ipv4:
		dst = append(dst, proxy2, 0x11, 0, 12)
	case ipv6:
		dst = append(dst, proxy2, 0x21, 0, 36)
	}
	dst = append(dst, from.Addr().AsSlice()...)
	dst = append(dst, to.Addr().AsSlice()...)
	dst = binary.BigEndian.AppendUint16(dst, from.Port())
	return binary.BigEndian.AppendUint16(dst, to.Port())
}
