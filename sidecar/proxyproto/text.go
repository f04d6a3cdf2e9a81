package proxyproto

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
)

// maxSize1 is the longest header of version 1, with the end of its line.
const maxSize1 = 107

// parse1 reads a header of version 1:
//
//	PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n
func parse1(b []byte) (h Header, size int, err error) {
	line, _, whole := bytes.Cut(b[:min(len(b), maxSize1)], []byte("\r\n"))
	switch {
	case !whole && len(b) >= maxSize1:
		return h, 0, broken("a PROXY protocol header of version 1 is longer than 107 bytes")
	case !whole:
		return h, 0, nil
	}
	size = len(line) + len("\r\n")
	h, err = parseLine(line[len(prefix1):])
	if err != nil {
		return Header{}, 0, fmt.Errorf("a PROXY protocol header of version 1: %w", err)
	}
	return h, size, nil
}

// parseLine reads what stands behind "PROXY ".
func parseLine(line []byte) (h Header, err error) {
	words := bytes.Split(line, []byte(" "))
	var fits func(netip.Addr) bool
	switch string(words[0]) {
	case "UNKNOWN":
		return h, nil // whatever else it says
	case "TCP4":
		fits = netip.Addr.Is4
	case "TCP6":
		fits = netip.Addr.Is6
	default:
		return h, broken(fmt.Sprintf("%q is neither TCP4, TCP6 nor UNKNOWN", clipped(words[0])))
	}
	if len(words) != 5 {
		return h, broken(fmt.Sprintf("%d words in the place of two addresses and two ports", len(words)-1))
	}
	if h.Source, err = parseEnd(words[1], words[3], fits); err != nil {
		return h, fmt.Errorf("its source: %w", err)
	}
	if h.Destination, err = parseEnd(words[2], words[4], fits); err != nil {
		return h, fmt.Errorf("its destination: %w", err)
	}
	return h, nil
}

func parseEnd(address, port []byte, fits func(netip.Addr) bool) (end netip.AddrPort, err error) {
	addr, err := netip.ParseAddr(string(address))
	if err != nil || !fits(addr) || addr.Zone() != "" {
		return end, broken(fmt.Sprintf("%q is no address of that family", clipped(address)))
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != string(port) {
		return end, broken(fmt.Sprintf("%q is no port", clipped(port)))
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// clipped keeps a message short.
func clipped(b []byte) []byte { return b[:min(len(b), 40)] }

func append1(dst []byte, from, to netip.AddrPort, f family) []byte {
	dst = append(dst, prefix1...)
	switch f {
	case unknown:
		return append(dst, "UNKNOWN\r\n"...)
	case ipv4:
		dst = append(dst, "TCP4 "...)
	case ipv6:
		dst = append(dst, "TCP6 "...)
	}
	dst = append(from.Addr().AppendTo(dst), ' ')
	dst = append(to.Addr().AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(from.Port()), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(to.Port()), 10)
	return append(dst, "\r\n"...)
}
