package scripting

import "strings"

// cleanPath normalises a path for decisions that protect something (RFC 3986
// section 6.2.2): escapes of unreserved characters are decoded, the others get
// upper-case digits, slashes are merged, dot segments are resolved. It is
// idempotent. What does not begin with a slash ("*", host:port) stays as it is.
func cleanPath(path string) string {
	if !strings.HasPrefix(path, "/") || !needsCleaning(path) {
		return path
	}
	return resolveDots(decodeUnreserved(path))
}

func needsCleaning(path string) bool {
	return strings.Contains(path, "%") || strings.Contains(path, "//") || strings.Contains(path, "/.")
}

func decodeUnreserved(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		c, ok := escaped(path, i)
		switch {
		case !ok:
			b.WriteByte(path[i])
			continue
		case isUnreserved(c):
			b.WriteByte(c)
		default:
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func resolveDots(path string) string {
	var kept []string
	segments := strings.Split(path[1:], "/")
	for _, segment := range segments {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	clean := "/" + strings.Join(kept, "/")
	if last := segments[len(segments)-1]; len(kept) > 0 && (last == "" || last == "." || last == "..") {
		clean += "/"
	}
	return clean
}

// escaped decodes the %XX at s[i], if there is one.
func escaped(s string, i int) (byte, bool) {
	if s[i] != '%' || i+2 >= len(s) {
		return 0, false
	}
	high, low := unhex(s[i+1]), unhex(s[i+2])
	return high<<4 | low&0xf, high <= 0xf && low <= 0xf
}

// unhex is the value of a hexadecimal digit, 0xff where c is none.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

func isUnreserved(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
