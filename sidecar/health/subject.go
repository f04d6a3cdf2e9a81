package health

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Subject is what a claim is about: an address as seen by one kind of look at it.
// It never has a name that resolves, whose answer differs from host to host, nor a
// cluster's, which means something else next door. The zero value is nothing.
type Subject struct {
	Place
	Kind ClaimKind
	Path uint32 // of a check by HTTP: a hash of what it asks for; else 0
}

// Place is an address. The same one stands for different servers in networks with
// different scopes, and with different names inside TLS.
type Place struct {
	Addr       netip.AddrPort
	ServerName string // of TLS; empty: cleartext
	Scope      string
}

// ClaimKind is how somebody came to his claim. The numbers are those on the wire.
type ClaimKind uint8

// A claim by a kind of check counts for those who check alike; one that comes from
// requests that could not connect, or got no answer, for everybody. Draining is what
// a sidecar says of its own app.
const (
	ByTCP     ClaimKind = 1
	ByTLS     ClaimKind = 2
	ByHTTP    ClaimKind = 3
	ByTraffic ClaimKind = 4
	ByOwner   ClaimKind = 5
)

func (k ClaimKind) String() string {
	switch k {
	case ByTCP:
		return "tcp"
	case ByTLS:
		return "tls"
	case ByHTTP:
		return "http"
	case ByTraffic:
		return "traffic"
	case ByOwner:
		return "owner"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MaxSubjectName is the length in bytes that the server name and the scope may have
// together, for the key to fit into a claim.
const MaxSubjectName = 200

// Key is the subject as a claim carries it:
//
//	kind(1) length of address(1: 4 or 16) address port(2) path(4, by HTTP alone)
//	length of server name(1) server name, scope
//
// Two subjects have one key only if they are equal.
func (s Subject) Key() string {
	addr := s.Addr.Addr().Unmap()
	b := make([]byte, 0, 32)
	b = append(b, byte(s.Kind), byte(addr.BitLen()/8))
	b = append(b, addr.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, s.Addr.Port())
	if s.Kind == ByHTTP {
		b = binary.BigEndian.AppendUint32(b, s.Path)
	}
	b = append(b, byte(len(s.ServerName)))
	b = append(b, s.ServerName...)
	return string(append(b, s.Scope...))
}

var errSubject = errors.New("not the key of a claim about health")

// ParseSubject reads what Key writes.
func ParseSubject(key string) (Subject, error) {
	b := []byte(key)
	if len(b) < 2 || b[1] != 4 && b[1] != 16 {
		return Subject{}, errSubject
	}
	s := Subject{Kind: ClaimKind(b[0])}
	n := int(b[1])
	if b = b[2:]; len(b) < n+2 {
		return Subject{}, errSubject
	}
	addr, _ := netip.AddrFromSlice(b[:n])
	s.Addr = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[n:]))
	if b = b[n+2:]; s.Kind == ByHTTP {
		if len(b) < 4 {
			return Subject{}, errSubject
		}
		s.Path, b = binary.BigEndian.Uint32(b), b[4:]
	}
	if len(b) < 1 || len(b) < 1+int(b[0]) || addr.Is4In6() {
		return Subject{}, errSubject
	}
	s.ServerName, s.Scope = string(b[1:1+b[0]]), string(b[1+b[0]:])
	return s, nil
}

// Shareable tells whether an address means the same to other hosts: not loopback,
// not link-local, not unspecified. With local it may be loopback: the peers are on
// this host.
func Shareable(addr netip.Addr, local bool) bool {
	addr = addr.Unmap()
	switch {
	case !addr.IsValid(), addr.IsUnspecified(), addr.IsLinkLocalUnicast(), addr.IsMulticast():
		return false
	case addr.IsLoopback():
		return local
	}
	return true
}
