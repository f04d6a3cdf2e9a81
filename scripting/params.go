package scripting

import "strings"

// A pair is one name and value of a query or a Cookie header.
type pair struct{ name, value string }

// appendQuery parses a raw query as URLSearchParams does (WHATWG URL, section
// 5.1): + is a space, escapes that are none stay literal, bytes that are no UTF-8
// become U+FFFD.
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

// validText replaces each byte that is no UTF-8 by U+FFFD.
func validText(s string) string {
	for _, c := range s {
		if c == '\uFFFD' {
			return string([]rune(s))
		}
	}
	return s
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
