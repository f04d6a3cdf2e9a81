package stream

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is an address as the kernel reads and writes it: of IPv6, or of IPv4,
// which is shorter and begins alike.
type sockaddr struct{ unix.RawSockaddrInet6 }

// newSockaddr is addr with the length of it that counts.
func newSockaddr(addr netip.AddrPort) (sa sockaddr, length uintptr) {
	binary.BigEndian.PutUint16(sa.port(), addr.Port())
	ip := addr.Addr().Unmap()
	if ip.Is4() {
		v4 := sa.v4()
		v4.Family, v4.Addr = unix.AF_INET, ip.As4()
		return sa, unix.SizeofSockaddrInet4
	}
	sa.Family, sa.Addr = unix.AF_INET6, ip.As16()
	if zone, err := net.InterfaceByName(ip.Zone()); err == nil {
		sa.Scope_id = uint32(zone.Index)
	}
	return sa, unix.SizeofSockaddrInet6
}

// addrPort is the zero value when the address is of another family.
func (sa *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(sa.port())
	switch sa.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.v4().Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), port)
	}
	return netip.AddrPort{}
}

// port is where the port stands, in the order of the network.
func (sa *sockaddr) port() []byte { return (*[2]byte)(unsafe.Pointer(&sa.Port))[:] }

func (sa *sockaddr) v4() *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa.RawSockaddrInet6))
}
