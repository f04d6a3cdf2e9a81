package proxy

import (
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"outrider/sidecar/http1"
)

// requestIDSize is how many characters an id of our own has.
const requestIDSize = 16

// maxRequestID bounds an id that comes from a trusted proxy.
const maxRequestID = 128

// Request is what a Router may know of a request. The strings that it gives are
// copies.
type Request struct{ x *exchange }

// InTime reports whether the decision that Route has come to is the one that
// counts. False: it is too late, Overdue has decided. After true it is never too
// late. A Router that counts its decisions, or tells of them, asks before it does.
func (r *Request) InTime() bool { return r.x.inTime() }

// Method is as sent, "GET".
func (r *Request) Method() string {
	switch m := r.x.req.Method.Of(r.x.head); string(m) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "HEAD":
		return "HEAD"
	case "DELETE":
		return "DELETE"
	default:
		return string(m)
	}
}

// Path is as received: without the query, still percent-encoded.
func (r *Request) Path() string { return string(r.x.path()) }

// HasPathPrefix tells whether Path begins with prefix, without making a copy.
func (r *Request) HasPathPrefix(prefix string) bool {
	p := r.x.path()
	return len(p) >= len(prefix) && string(p[:len(prefix)]) == prefix
}

// RawQuery is what follows the '?'.
func (r *Request) RawQuery() string { return string(r.x.req.Query.Of(r.x.head)) }

// Host is the host that the request is for: lower case, without port.
func (r *Request) Host() string {
	host := r.x.req.Authority.Of(r.x.head)
	if i := slices.Index(host, ']'); i > 0 {
		host = host[:i+1]
	} else if i := slices.Index(host, ':'); i >= 0 {
		host = host[:i]
	}
	return strings.ToLower(string(host))
}

// Scheme is "http" or "https": that of the client's connection, or what a trusted
// proxy tells.
func (r *Request) Scheme() string {
	if v, ok := r.trusted(http1.XForwardedProto); ok {
		if http1.EqualFold(v, "https") {
			return "https"
		}
		return "http"
	}
	return r.x.client.scheme()
}

// TLS is how the client's connection is encrypted; nil: it is not.
func (r *Request) TLS() *TLS { return r.x.client.tls }

// IP is the client's address: the last one in X-Forwarded-For that is no
// trusted proxy's own, where a trusted proxy tells it.
func (r *Request) IP() string {
	c := r.x.client
	if !r.x.trusted || r.x.terms.Forwarded == Replace {
		return c.ip
	}
	list, ok := r.Header("x-forwarded-for")
	if !ok {
		return c.ip
	}
	ip := c.ip
	hops := strings.Split(list, ",")
	for _, hop := range slices.Backward(hops) {
		addr, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break
		}
		ip = addr.String()
		if !r.x.settings.trusts(addr) {
			break
		}
	}
	return ip
}

// parseHop reads an address of X-Forwarded-For, where some proxies write the port
// as well, and IPv6 in brackets.
func parseHop(hop string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(hop)
		if err != nil {
			return addr, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap(), true
}

// ID is the request's id: a trusted proxy's, or one of our own.
func (r *Request) ID() string { return string(r.x.requestID()) }

// AppendID appends the request's id, without making a string of it.
func (r *Request) AppendID(to []byte) []byte { return append(to, r.x.requestID()...) }

// Listener is the name of the listener that the request came in by.
func (r *Request) Listener() string { return r.x.terms.Name }

// Header is the value of a field by its name in any case; repeated fields are
// joined by ", ".
func (r *Request) Header(name string) (string, bool) {
	var found []byte
	n := 0
	for _, f := range r.x.req.Fields {
		if !equalFold(f.Name.Of(r.x.head), name) {
			continue
		}
		if n++; n > 1 {
			found = append(slices.Clip(found), ", "...)
			found = append(found, f.Value.Of(r.x.head)...)
			continue
		}
		found = f.Value.Of(r.x.head)
	}
	return string(found), n > 0
}

// HeaderNames are the names of the fields in lower case, each once.
func (r *Request) HeaderNames() []string {
	var names []string
	for _, f := range r.x.req.Fields {
		name := strings.ToLower(string(f.Name.Of(r.x.head)))
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (r *Request) trusted(id http1.FieldID) ([]byte, bool) {
	if !r.x.trusted || r.x.terms.Forwarded == Replace {
		return nil, false
	}
	return r.x.req.Lookup(r.x.head, id)
}

func equalFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if lower(c) != lower(name[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// path is the path that is forwarded: that of an absolute form may be empty,
// which means the root (RFC 9112, 3.2.1), or the asterisk (3.2.4).
func (x *exchange) path() []byte {
	if p := x.req.Path.Of(x.head); len(p) > 0 {
		return p
	}
	if string(x.req.Method.Of(x.head)) == "OPTIONS" && !x.req.HasQuery {
		return asterisk[:]
	}
	return root[:]
}

//nolint:gochecknoglobals // immutable
var root, asterisk = [1]byte{'/'}, [1]byte{'*'}

func (x *exchange) makeID() {
	const digits = "0123456789abcdef"
	n := rand.Uint64()
	for i := range x.id {
		x.id[i] = digits[n&15]
		n >>= 4
	}
}

func (x *exchange) requestID() []byte {
	if x.trusted {
		if v, ok := x.req.Lookup(x.head, http1.XRequestID); ok && len(v) > 0 && len(v) <= maxRequestID && visible(v) {
			return v
		}
	}
	return x.id[:]
}

func visible(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// ambiguous tells that servers differ in what they make of a path: dot segments
// (some cut parameters off first), empty segments, backslashes, encoded dots,
// slashes, backslashes and NULs, and escapes that are none.
func ambiguous(path []byte) bool {
	p := strings.ToLower(string(path))
	for _, trick := range []string{"//", "\\", "%2f", "%5c", "%2e", "%00", ";/"} {
		if strings.Contains(p, trick) {
			return true
		}
	}
	for segment := range strings.SplitSeq(p, "/") {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." || name == "" && segment != "" {
			return true
		}
	}
	_, err := url.PathUnescape(p)
	return err != nil
}
