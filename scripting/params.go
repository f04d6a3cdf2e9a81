package scripting

import (
	"strings"
	"unicode/utf8"
)

// A pair is one name and value of a query or a Cookie header.
type pair struct{ name, value string }

// appendQuery parses a raw query as URLSearchParams does (WHATWG URL, section
// 5.1): + is a space, escapes that are none stay literal, what is no UTF-8 becomes
// U+FFFD.
func appendQuery(pairs []pair, raw string) []pair {
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, pair{decodeForm(name), decodeForm(value)})
	}
	return pairs
}

func decodeForm(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return validText(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c, ok := escaped(s, i); ok {
			b = append(b, c)
			i += 2
		} else if s[i] == '+' {
			b = append(b, ' ')
		} else {
			b = append(b, s[i])
		}
	}
	return validText(string(b))
}

// validText replaces what is no UTF-8 by U+FFFD, as decoders of the web do: one for
// the longest beginning of a character that is cut off, one for any other byte
// (WHATWG Encoding, section 8.1.1; "maximal subpart" in Unicode, chapter 3).
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	b := make([]byte, 0, len(s)+2)
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		if c == utf8.RuneError && size == 1 {
			size = cutOff(s[i:])
		}
		b = utf8.AppendRune(b, c)
		i += size
	}
	return string(b)
}

// cutOff is how many bytes of an invalid text are the beginning of one character,
// at least one.
func cutOff(s string) int {
	more, low, high := 0, byte(0x80), byte(0xbf)
	switch c := s[0]; {
	case 0xc2 <= c && c <= 0xdf:
		more = 1
	case 0xe0 <= c && c <= 0xef:
		more = 2
	case 0xf0 <= c && c <= 0xf4:
		more = 3
	}
	switch s[0] { // the second byte of these is bounded more narrowly
	case 0xe0:
		low = 0xa0
	case 0xed:
		high = 0x9f
	case 0xf0:
		low = 0x90
	case 0xf4:
		high = 0x8f
	}
	n := 1
	for n <= more && n < len(s) && low <= s[n] && s[n] <= high {
		n, low, high = n+1, 0x80, 0xbf
	}
	return n
}

// appendCookies parses a Cookie header (RFC 6265 section 4.2.1): values are taken
// as they are, without the double quotes around them. What has no = is skipped.
func appendCookies(pairs []pair, header string) []pair {
	for part := range strings.SplitSeq(header, ";") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found || name == "" {
			continue
		}
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		pairs = append(pairs, pair{name, validText(value)})
	}
	return pairs
}
