package http1

import "bytes"

// validAuthority takes host[:port] with a host that is not empty, and no
// userinfo (RFC 9110, 4.2.1 and 4.2.4). It refuses percent-encoding, which the
// grammar of RFC 3986 has and no host name needs: one recipient would decode it
// before it looks the name up, and another would not. It refuses a comma too: two
// Host lines that somebody has joined look so.
func validAuthority(a []byte) bool {
	if len(a) > 0 && a[0] == '[' {
		i := bytes.IndexByte(a, ']')
		return i > 0 && validIPv6(a[1:i]) && validPort(a[i+1:])
	}
	i := classEnd(a, 0, isRegName)
	return i > 0 && validPort(a[i:])
}

// validPort takes nothing, or a colon with a number that may be missing.
func validPort(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	if p[0] != ':' || len(p) > 6 {
		return false
	}
	n := 0
	for _, c := range p[1:] {
		if classes[c]&isDigit == 0 {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// validIPv6 takes an address (RFC 4291, 2.2) without a zone. It is here because
// netip.ParseAddr wants a string, which is an allocation.
func validIPv6(b []byte) bool {
	groups, elided := 0, false
	for len(b) > 0 {
		switch {
		case bytes.HasPrefix(b, []byte("::")):
			if elided {
				return false
			}
			elided, b = true, b[2:]
			if len(b) == 0 {
				continue
			}
		case groups > 0:
			b = b[1:] // classEnd stopped at a colon
		}
		n := classEnd(b, 0, isHex)
		if n < len(b) && b[n] == '.' {
			return validIPv4(b) && fills(groups+2, elided)
		}
		if n == 0 || n > 4 || n < len(b) && b[n] != ':' {
			return false
		}
		groups++
		b = b[n:]
	}
	return fills(groups, elided)
}

// fills tells whether so many groups are an address; "::" stands for one at least.
func fills(groups int, elided bool) bool {
	if elided {
		return groups < 8
	}
	return groups == 8
}

// validIPv4 takes a dotted quad, without leading zeros: some read those as octal.
func validIPv4(b []byte) bool {
	for i := range 4 {
		if i > 0 {
			if len(b) == 0 || b[0] != '.' {
				return false
			}
			b = b[1:]
		}
		n := classEnd(b, 0, isDigit)
		if n == 0 || n > 3 || n > 1 && b[0] == '0' || n == 3 && string(b[:n]) > "255" {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}
