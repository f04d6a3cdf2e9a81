package cases

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"outrider/scripting"
)

// What a made-up request has where nothing else is said.
const (
	defaultHost     = "localhost"
	defaultIP       = "127.0.0.1"
	defaultID       = "test"
	defaultListener = "main"
)

// A Header is one field of a request.
type Header struct{ Name, Value string }

// A Sketch is what is written down of a request; the rest is made up.
type Sketch struct {
	Line     string   // "GET /x?y=1", or with an absolute URL, which says scheme and host too
	Headers  []Header // repeats are several fields
	Host     string   // "" = the URL's, the Host field's, else localhost
	IP       string   // "" = 127.0.0.1
	ID       string   // "" = test
	Listener string   // "" = main
	Subject  string   // of the client's certificate; "" = it has none
}

// A Request is a made-up request as a script sees it. It implements
// [scripting.Request].
type Request struct {
	method, path, query, scheme, authority, ip, id, listener string
	subject                                                  string
	fields                                                   []Header
}

// NewRequest completes a sketch. The error says what no request could be.
func NewRequest(s Sketch) (*Request, error) {
	r := &Request{scheme: "http", ip: s.IP, id: s.ID, listener: s.Listener, subject: s.Subject, fields: slices.Clone(s.Headers)}
	if err := r.parseLine(s.Line); err != nil {
		return nil, err
	}
	for _, f := range s.Headers {
		if err := checkField(f); err != nil {
			return nil, err
		}
		if r.authority == "" && strings.EqualFold(f.Name, "host") {
			r.authority = f.Value
		}
	}
	if s.Host != "" {
		r.authority = s.Host
	}
	for part, usual := range map[*string]string{
		&r.authority: defaultHost, &r.ip: defaultIP, &r.id: defaultID, &r.listener: defaultListener,
	} {
		if *part == "" {
			*part = usual
		}
	}
	if _, err := netip.ParseAddr(r.ip); err != nil {
		return nil, fmt.Errorf("%q is no IP address; write one such as 192.0.2.7", r.ip)
	}
	if r.subject != "" && r.scheme != "https" {
		return nil, errors.New("only a client that speaks TLS shows a certificate: write the request with an https:// URL, or leave the subject out")
	}
	r.setHost()
	return r, nil
}

func (r *Request) parseLine(line string) error {
	method, target, ok := strings.Cut(line, " ")
	switch {
	case !ok || method == "" || strings.Contains(method, "/"):
		return fmt.Errorf("a request is a method and a path, such as GET /one/, not %q", line)
	case strings.ContainsFunc(method, func(c rune) bool { return !isToken(c) }):
		return fmt.Errorf("%q is no method", method)
	case strings.HasSuffix(target, " HTTP/1.1"):
		return errors.New("leave HTTP/1.1 out: a request is a method and a path, such as GET /one/")
	case strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }):
		return fmt.Errorf("the path %q holds what no request can have; percent-encode it", target)
	}
	r.method = method
	if scheme, rest, absolute := strings.Cut(target, "://"); absolute && !strings.Contains(scheme, "/") {
		r.scheme = strings.ToLower(scheme)
		if r.scheme != "http" && r.scheme != "https" {
			return fmt.Errorf("%q is no scheme that comes in here; write http or https", scheme)
		}
		end := strings.IndexAny(rest+"/", "/?")
		r.authority, target = rest[:end], rest[end:]
		if !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
	}
	if !strings.HasPrefix(target, "/") && target != "*" {
		return fmt.Errorf("the path %q does not begin with a slash", target)
	}
	r.path, r.query, _ = strings.Cut(target, "?")
	return nil
}

// setHost makes the Host field say what the request says.
func (r *Request) setHost() {
	r.fields = slices.DeleteFunc(r.fields, func(f Header) bool { return strings.EqualFold(f.Name, "host") })
	r.fields = slices.Insert(r.fields, 0, Header{"Host", r.authority})
}

func checkField(f Header) error {
	if f.Name == "" || strings.ContainsFunc(f.Name, func(c rune) bool { return !isToken(c) }) {
		return fmt.Errorf("%q is no name of a header", f.Name)
	}
	if strings.ContainsFunc(f.Value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return fmt.Errorf("the header %s has a control character, which no request can have", f.Name)
	}
	return nil
}

// isToken is for the characters of methods and names of fields (RFC 9110, 5.6.2).
func isToken(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// Method implements [scripting.Request].
func (r *Request) Method() string { return r.method }

// Path implements [scripting.Request].
func (r *Request) Path() string { return r.path }

// RawQuery implements [scripting.Request].
func (r *Request) RawQuery() string { return r.query }

// Host implements [scripting.Request].
func (r *Request) Host() string {
	host := r.authority
	if end := strings.IndexByte(host, ']'); end > 0 {
		host = host[:end+1]
	} else {
		host, _, _ = strings.Cut(host, ":")
	}
	return strings.ToLower(host)
}

// Scheme implements [scripting.Request].
func (r *Request) Scheme() string { return r.scheme }

// IP implements [scripting.Request].
func (r *Request) IP() string { return r.ip }

// ID implements [scripting.Request].
func (r *Request) ID() string { return r.id }

// Listener implements [scripting.Request].
func (r *Request) Listener() string { return r.listener }

// TLS implements [scripting.Request]: an https URL came over TLS.
func (r *Request) TLS() *scripting.TLS {
	if r.scheme != "https" {
		return nil
	}
	return &scripting.TLS{Version: "1.3", ServerName: r.Host(), Subject: r.subject}
}

// Header implements [scripting.Request].
func (r *Request) Header(name string) (string, bool) {
	var values []string
	for _, f := range r.fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return strings.Join(values, ", "), values != nil
}

// HeaderNames implements [scripting.Request].
func (r *Request) HeaderNames() []string {
	var names []string
	for _, f := range r.fields {
		if name := strings.ToLower(f.Name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// URL is what the request asks for, whole.
func (r *Request) URL() string {
	url := r.scheme + "://" + r.authority + r.path
	if r.query != "" {
		url += "?" + r.query
	}
	return url
}
