package http1

import (
	"encoding/binary"
	"math/bits"
)

// Span is a piece of the buffer that a head was parsed from.
type Span struct{ Start, End uint32 }

// Of returns the bytes that s names in buf.
func (s Span) Of(buf []byte) []byte { return buf[s.Start:s.End] }

// Len is the number of bytes of s.
func (s Span) Len() int { return int(s.End - s.Start) }

func span(start, end int) Span { return Span{uint32(start), uint32(end)} }

// Classes of bytes; one table lookup answers any of them.
const (
	isTchar   = 1 << iota // a token's character, RFC 9110 5.6.2
	isTarget              // may stand in a request target, RFC 3986, plus what browsers leave unescaped
	isRegName             // may stand in a host name, RFC 3986 3.2.2, where it means itself, but a comma
	isHex
	isDigit
	isControl // may not stand in a field value, RFC 9110 5.5
)

var classes = classTable() //nolint:gochecknoglobals // an immutable table

func classTable() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		alpha := b|0x20 >= 'a' && b|0x20 <= 'z'
		digit := b >= '0' && b <= '9'
		if alpha || digit || contains("!#$%&'*+-.^_`|~", b) {
			t[c] |= isTchar
		}
		if b > ' ' && b < 0x7f && b != '#' {
			t[c] |= isTarget
		}
		if alpha || digit || contains("-._~!$&'()*+;=", b) {
			t[c] |= isRegName
		}
		if digit || b|0x20 >= 'a' && b|0x20 <= 'f' {
			t[c] |= isHex
		}
		if digit {
			t[c] |= isDigit
		}
		if b < ' ' && b != '\t' || b == 0x7f {
			t[c] |= isControl
		}
	}
	return t
}

func contains(set string, b byte) bool {
	for i := range len(set) {
		if set[i] == b {
			return true
		}
	}
	return false
}

func all(b []byte, class uint8) bool { return classEnd(b, 0, class) == len(b) }

// classEnd returns where, from i on, the first byte stands that is not of the
// class, or len(b).
func classEnd(b []byte, i int, class uint8) int {
	for i < len(b) && classes[b[i]]&class != 0 {
		i++
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// IsToken tells whether b is a token (RFC 9110, 5.6.2).
func IsToken[T ~string | ~[]byte](b T) bool {
	for i := range len(b) {
		if classes[b[i]]&isTchar == 0 {
			return false
		}
	}
	return len(b) > 0
}

// IsValue tells whether b may be a field's value: no control character but HTAB
// (RFC 9110, 5.5).
func IsValue[T ~string | ~[]byte](b T) bool {
	for i := range len(b) {
		if classes[b[i]]&isControl != 0 {
			return false
		}
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// valueEnd returns where, from i on, the first byte stands that no field value
// has, or len(b). It looks at eight bytes at a time: of each that is below 0x20
// or a DEL the highest bit gets set, by subtractions that can only borrow from
// bytes behind the first such one.
func valueEnd(b []byte, i int) int {
	for len(b)-i >= 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		del := w ^ 0x7f*ones
		found := ((w-0x20*ones)&^w | (del-ones)&^del) & highs
		if found == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && classes[b[i]]&isControl == 0 {
		i++
	}
	return i
}

// EqualFold compares b with lower, which must be in lower case ASCII.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if toLower(c) != lower[i] {
			return false
		}
	}
	return true
}

// sameName compares two field names. Unlike bytes.EqualFold it folds ASCII
// alone: K is not the Kelvin sign.
func sameName(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if toLower(c) != toLower(b[i]) {
			return false
		}
	}
	return true
}

func toLower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// Tokens calls yield for each element of a comma-separated list, without the
// blanks around it; empty elements are passed over (RFC 9110, 5.6.1).
func Tokens(list []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(list) > 0 {
			end := 0
			for end < len(list) && list[end] != ',' {
				end++
			}
			if token := trim(list[:end]); len(token) > 0 && !yield(token) {
				return
			}
			list = list[min(end+1, len(list)):]
		}
	}
}

func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
