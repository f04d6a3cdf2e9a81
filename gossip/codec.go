package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// A message is
//
//	version(1) type(1) body
//
// and the body of the type claims is any number of
//
//	state(1) observer(8) seq(uvarint) age in ms(uvarint) length of key(1) key
//
// with big-endian integers. The body of the type ask is
//
//	digest(8) length of name(1) name
//
// by which the node of that name asks for all claims of one whose digest differs.
const (
	wireVersion = 1
	typeClaims  = 1
	typeAsk     = 2

	headerSize = 2
	maxMessage = 2 << 20 // bytes; all claims that a store can hold fit
)

var (
	errMalformed      = errors.New("malformed message")
	errOversized      = errors.New("oversized message")
	errUnknownVersion = errors.New("unknown version of the protocol")
	errUnknownType    = errors.New("unknown type of message")
)

// message is what one packet or stream brought; ask is nil but for the type ask.
type message struct {
	claims []Claim
	ask    *ask
}

type ask struct {
	digest uint64
	name   string
}

// decode reads a whole message or nothing of it, and keeps nothing of b. A
// claim with a state that this version does not know is left out. The error is
// one of those above, wrapped or not.
func decode(b []byte) (message, error) {
	switch {
	case len(b) < headerSize:
		return message{}, fmt.Errorf("%w: %d bytes", errMalformed, len(b))
	case len(b) > maxMessage:
		return message{}, fmt.Errorf("%w: %d bytes", errOversized, len(b))
	case b[0] != wireVersion:
		return message{}, fmt.Errorf("%w: %d", errUnknownVersion, b[0])
	}
	switch body := b[headerSize:]; b[1] {
	case typeClaims:
		claims, err := decodeClaims(body)
		return message{claims: claims}, err
	case typeAsk:
		a, err := decodeAsk(body)
		return message{ask: a}, err
	}
	return message{}, fmt.Errorf("%w: %d", errUnknownType, b[1])
}

func decodeClaims(b []byte) ([]Claim, error) {
	var claims []Claim
	for len(b) > 0 {
		c, rest, ok := decodeClaim(b)
		if !ok {
			return nil, fmt.Errorf("%w: claim %d", errMalformed, len(claims)+1)
		}
		if len(claims) == maxClaims {
			return nil, fmt.Errorf("%w: more than %d claims", errOversized, maxClaims)
		}
		if c.State.known() {
			claims = append(claims, c)
		}
		b = rest
	}
	return claims, nil
}

func decodeClaim(b []byte) (c Claim, rest []byte, ok bool) {
	if len(b) < 1+8 {
		return c, nil, false
	}
	c.State, c.Observer, b = State(b[0]), Observer(binary.BigEndian.Uint64(b[1:])), b[9:]
	seq, n := binary.Uvarint(b)
	if n <= 0 || seq == 0 {
		return c, nil, false
	}
	c.Seq, b = seq, b[n:]
	age, n := binary.Uvarint(b)
	if n <= 0 {
		return c, nil, false
	}
	c.Age, b = time.Duration(min(age, math.MaxUint32))*time.Millisecond, b[n:]
	c.Key, b, ok = cutString(b)
	return c, b, ok && c.Key != ""
}

func decodeAsk(b []byte) (*ask, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%w: digest", errMalformed)
	}
	name, rest, ok := cutString(b[8:])
	if !ok || len(rest) > 0 {
		return nil, fmt.Errorf("%w: name", errMalformed)
	}
	return &ask{digest: binary.BigEndian.Uint64(b), name: name}, nil
}

// cutString takes a string that its length in one byte precedes.
func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 1 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	end := 1 + int(b[0])
	return string(b[1:end]), b[end:], true
}

// appendClaim appends c. A fraction of a millisecond of its age counts as a
// whole one: no relay may make a claim younger.
func appendClaim(b []byte, c Claim) []byte {
	b = append(b, byte(c.State))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Observer))
	b = binary.AppendUvarint(b, c.Seq)
	b = binary.AppendUvarint(b, uint64((c.Age+time.Millisecond-1)/time.Millisecond))
	return appendString(b, c.Key)
}

// leastClaim is the length of the shortest claim that appendClaim makes.
const leastClaim = 1 + 8 + 1 + 1 + 1 + 1

// claimSize is the length of what appendClaim makes of c.
func claimSize(c Claim) int {
	var scratch [1 + 8 + 2*binary.MaxVarintLen64 + 1 + MaxKey]byte
	return len(appendClaim(scratch[:0], c))
}

func appendString(b []byte, s string) []byte {
	return append(append(b, byte(len(s))), s...)
}

func encodeClaims(claims []Claim) []byte {
	b := []byte{wireVersion, typeClaims}
	for _, c := range claims {
		b = appendClaim(b, c)
	}
	return b
}

// encodePackets encodes claims as messages of at most size bytes each; any single
// claim fits into one of 300.
func encodePackets(claims []Claim, size int) [][]byte {
	var packets [][]byte
	var packet []byte
	for _, c := range claims {
		encoded := appendClaim(nil, c)
		if packet == nil || len(packet)+len(encoded) > size {
			if packet != nil {
				packets = append(packets, packet)
			}
			packet = []byte{wireVersion, typeClaims}
		}
		packet = append(packet, encoded...)
	}
	if packet != nil {
		packets = append(packets, packet)
	}
	return packets
}

func encodeAsk(a ask) []byte {
	b := binary.BigEndian.AppendUint64([]byte{wireVersion, typeAsk}, a.digest)
	return appendString(b, a.name)
}
