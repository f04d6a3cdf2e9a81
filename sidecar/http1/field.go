package http1

// Field is one field line of a head or of a trailer section.
type Field struct {
	Name, Value Span // Value is without the blanks around it
	ID          FieldID
}

// FieldID names the fields that a proxy has to know.
type FieldID uint8

// The known fields. Everything else is Other.
const (
	Other FieldID = iota
	Connection
	ContentLength
	Date
	Expect
	Forwarded
	Host
	HTTP2Settings
	KeepAlive
	MaxForwards
	ProxyConnection
	TE
	Trailer
	TransferEncoding
	Upgrade
	Via
	XForwardedFor
	XForwardedHost
	XForwardedProto
	XOutriderExplain
	XRequestID
	// Alias is a field such as X_Forwarded_For: gateways to CGI and WSGI give the
	// application one variable for it and for the field that a proxy vouches for.
	Alias
)

// fieldID finds a name by its length first: most names differ from every known
// one there already.
func fieldID(name []byte) FieldID {
	switch len(name) {
	case 2:
		return known(name, "te", TE)
	case 3:
		return known(name, "via", Via)
	case 4:
		if name[0]|0x20 == 'h' {
			return known(name, "host", Host)
		}
		return known(name, "date", Date)
	case 6:
		return known(name, "expect", Expect)
	case 7:
		if name[0]|0x20 == 't' {
			return known(name, "trailer", Trailer)
		}
		return known(name, "upgrade", Upgrade)
	case 9:
		return known(name, "forwarded", Forwarded)
	case 10:
		if name[0]|0x20 == 'c' {
			return known(name, "connection", Connection)
		}
		return known(name, "keep-alive", KeepAlive)
	case 12:
		if name[0]|0x20 == 'm' {
			return known(name, "max-forwards", MaxForwards)
		}
		return orAlias(name, "x-request-id", XRequestID)
	case 14:
		if name[0]|0x20 == 'c' {
			return known(name, "content-length", ContentLength)
		}
		return known(name, "http2-settings", HTTP2Settings)
	case 15:
		return orAlias(name, "x-forwarded-for", XForwardedFor)
	case 16:
		if name[0]|0x20 == 'x' {
			return orAlias(name, "x-forwarded-host", XForwardedHost)
		}
		return known(name, "proxy-connection", ProxyConnection)
	case 17:
		if name[0]|0x20 == 't' {
			return known(name, "transfer-encoding", TransferEncoding)
		}
		return orAlias(name, "x-forwarded-proto", XForwardedProto)
	case 18:
		return orAlias(name, "x-outrider-explain", XOutriderExplain)
	}
	return Other
}

func known(name []byte, lower string, id FieldID) FieldID {
	if EqualFold(name, lower) {
		return id
	}
	return Other
}

// orAlias is known for a field that may be written with underscores to slip past a
// proxy.
func orAlias(name []byte, lower string, id FieldID) FieldID {
	if id := known(name, lower, id); id != Other {
		return id
	}
	return aliased(name, lower)
}

func aliased(name []byte, lower string) FieldID {
	other := false
	for i, c := range name {
		switch {
		case c == '_' && lower[i] == '-':
			other = true
		case c != lower[i] && c|0x20 != lower[i]:
			return Other
		}
	}
	if !other {
		return Other
	}
	return Alias
}

// scanField reads the field line at buf[at:] in one pass, and returns where the
// next line begins: 0 while the line is incomplete. A field without a name is
// the empty line that ends the section.
func scanField(buf []byte, at int) (f Field, next int, err error) {
	colon := classEnd(buf, at, isTchar)
	if colon == len(buf) {
		return Field{}, 0, nil
	}
	if buf[colon] != ':' || colon == at {
		return scanNameless(buf, at, colon)
	}
	from := colon + 1
	for from < len(buf) && isBlank(buf[from]) {
		from++
	}
	end := valueEnd(buf, from)
	if next, err = lineEnd(buf, end, ErrFieldValue); next == 0 {
		return Field{}, 0, err
	}
	for end > from && isBlank(buf[end-1]) {
		end--
	}
	return Field{span(at, colon), span(from, end), fieldID(buf[at:colon])}, next, nil
}

// scanNameless reads a line whose name ends, at stop, without a colon or before
// it began.
func scanNameless(buf []byte, at, stop int) (Field, int, error) {
	if stop > at {
		if buf[stop] == '\n' {
			return Field{}, 0, ErrBareLF
		}
		return Field{}, 0, ErrFieldName
	}
	if isBlank(buf[at]) {
		return Field{}, 0, ErrFold
	}
	next, err := lineEnd(buf, at, ErrFieldName)
	return Field{}, next, err
}

// lineEnd wants CRLF at buf[at:] and returns what stands behind it, or 0 while
// more bytes are needed; another byte is the fault other.
func lineEnd(buf []byte, at int, other error) (int, error) {
	switch {
	case at == len(buf):
		return 0, nil
	case buf[at] == '\n':
		return 0, ErrBareLF
	case buf[at] != '\r':
		return 0, other
	case at+1 == len(buf):
		return 0, nil
	case buf[at+1] != '\n':
		return 0, ErrBareCR
	}
	return at + 2, nil
}

// HopByHop tells whether a field belongs to one connection or frames the
// message, so that nobody but the one who writes the message may set it
// (RFC 9110, 7.6.1). The name may be in any case.
func HopByHop(name string) bool {
	switch fieldID([]byte(name)) {
	case Connection, ContentLength, Expect, HTTP2Settings, KeepAlive, ProxyConnection, TE, Trailer,
		TransferEncoding, Upgrade:
		return true
	}
	return len(name) >= 6 && EqualFold([]byte(name[:6]), "proxy-")
}

// AllowedInTrailer tells whether a field may stand in a trailer section: not
// what frames, routes, authenticates or modifies the message (RFC 9110, 6.5.1).
func AllowedInTrailer(name []byte) bool {
	if fieldID(name) != Other || len(name) == 0 {
		return false
	}
	for _, forbidden := range [...]string{
		"age", "authorization", "cache-control", "content-encoding", "content-range", "content-type",
		"cookie", "expires", "location", "pragma", "proxy-authenticate",
		"proxy-authorization", "range", "retry-after", "set-cookie", "vary", "warning", "www-authenticate",
		"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range",
	} {
		if EqualFold(name, forbidden) {
			return false
		}
	}
	return true
}
