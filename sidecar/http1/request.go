package http1

import "bytes"

// Form is the form of a request target (RFC 9112, 3.2). The authority form
// belongs to CONNECT, which is refused.
type Form uint8

// The forms of a request target.
const (
	Origin   Form = iota // /path?query
	Absolute             // http://host/path?query
	Asterisk             // *, with OPTIONS
)

// Request is the head of a request. The zero value is ready for Parse; Reset
// makes a used one ready again.
type Request struct {
	Head
	Method Span
	Target Span // as received
	Path   Span // without the query; empty in an absolute form that has no path
	Query  Span // what follows the first '?', which stands right before it when HasQuery
	// Authority is who the request is for: of an absolute form its own, else the
	// Host field's value. Empty in HTTP/1.0 without either.
	Authority Span
	Form      Form
	HasQuery  bool
	IsHead    bool // the method is HEAD: the response has no body
	IsGet     bool

	// ExpectContinue: the client waits for a 100 before it sends the body.
	ExpectContinue bool

	hasHost bool
}

// Reset forgets the head, and keeps the memory that it used.
func (r *Request) Reset() {
	h := r.Head
	h.reset()
	*r = Request{Head: h}
}

// Parse reads the head of a request at the start of buf. While the head is
// incomplete it reports false: call it again with the same bytes and more behind
// them. Errors are *Error.
func (r *Request) Parse(buf []byte, lim Limits) (bool, error) {
	if !r.started && len(buf) > 0 {
		if err := looksLikeRequest(buf[0]); err != nil {
			return false, recognise(buf, foreignRequests, err)
		}
	}
	done, err := r.parse(buf, lim, r)
	if err != nil && !r.started {
		err = r.faultOfFirstLine(buf, err)
	}
	return done, err
}

// faultOfFirstLine says what a first line is that was refused with err.
func (r *Request) faultOfFirstLine(buf []byte, err error) error {
	if err == ErrHeadTooLarge { //nolint:errorlint // never wrapped
		return ErrTargetTooLong
	}
	return recognise(buf, foreignRequests, err)
}

// looksLikeRequest refuses what can not begin a request before a whole line has
// come, so that who speaks another protocol is told at once.
func looksLikeRequest(c byte) error {
	switch {
	case c == '\r', classes[c]&isTchar != 0:
		return nil
	case c == '\n':
		return ErrBareLF
	}
	return ErrNotHTTP
}

func (r *Request) firstLine(buf []byte, start, end int) error {
	line := buf[:end]
	method := classEnd(line, start, isTchar)
	if method == start || method == end {
		return ErrRequestLine
	}
	if line[method] != ' ' {
		return ErrMethod
	}
	target := classEnd(line, method+1, isTarget)
	if target == end && target > method+1 && string(line[start:method]) == "GET" {
		return ErrHTTP09
	}
	if target == method+1 || target == end {
		return ErrRequestLine
	}
	if line[target] != ' ' {
		return ErrTarget
	}
	r.Method, r.Target = span(start, method), span(method+1, target)
	if err := r.version(line[target+1:]); err != nil {
		return err
	}
	if err := r.method(line[start:method]); err != nil {
		return err
	}
	return r.target(buf)
}

func (r *Request) method(m []byte) error {
	switch string(m) {
	case "GET":
		r.IsGet = true
	case "HEAD":
		r.IsHead = true
	case "CONNECT":
		return ErrConnect
	case "TRACE":
		return ErrTrace
	}
	return nil
}

func (r *Request) version(v []byte) error {
	switch string(v) {
	case "HTTP/1.1":
		r.Minor = 1
		return nil
	case "HTTP/1.0":
		return nil
	}
	if len(v) == 8 && string(v[:5]) == "HTTP/" && v[6] == '.' && classes[v[5]]&classes[v[7]]&isDigit != 0 {
		return ErrVersion
	}
	return ErrRequestLine
}

func (r *Request) target(buf []byte) error {
	target := r.Target.Of(buf)
	switch {
	case target[0] == '/':
		r.splitPath(buf, r.Target)
		return nil
	case len(target) == 1 && target[0] == '*':
		if string(r.Method.Of(buf)) != "OPTIONS" {
			return ErrTargetForm
		}
		r.Form, r.Path = Asterisk, r.Target
		return nil
	}
	return r.absolute(buf, target)
}

func (r *Request) absolute(buf, target []byte) error {
	skip := 0
	switch {
	case len(target) > 7 && EqualFold(target[:7], "http://"):
		skip = 7
	case len(target) > 8 && EqualFold(target[:8], "https://"):
		skip = 8
	default:
		return ErrTargetForm
	}
	authority := target[skip:]
	if i := bytes.IndexAny(authority, "/?"); i >= 0 {
		authority = authority[:i]
	}
	if !validAuthority(authority) {
		return ErrAuthority
	}
	start := int(r.Target.Start) + skip
	r.Form = Absolute
	r.Authority = span(start, start+len(authority))
	r.splitPath(buf, Span{r.Authority.End, r.Target.End})
	return nil
}

func (r *Request) splitPath(buf []byte, s Span) {
	r.Path = s
	if i := bytes.IndexByte(s.Of(buf), '?'); i >= 0 {
		r.HasQuery = true
		r.Path.End = s.Start + uint32(i)
		r.Query = Span{r.Path.End + 1, s.End}
	}
}

func (r *Request) noteField(buf []byte, f Field) error {
	switch f.ID {
	case Host:
		if !validAuthority(f.Value.Of(buf)) {
			return ErrHost
		}
		if r.hasHost {
			return ErrHostCount
		}
		r.hasHost = true
		if r.Form != Absolute {
			r.Authority = f.Value
		}
	case Expect:
		if !EqualFold(f.Value.Of(buf), "100-continue") {
			return ErrExpect
		}
		r.ExpectContinue = true
	default:
		return r.note(buf, f)
	}
	return nil
}

func (r *Request) finish() error {
	if r.Minor == 0 {
		if r.chunked {
			return ErrTEVersion
		}
		r.ExpectContinue = false // a 1.0 client knows no 1xx (RFC 9110, 10.1.1)
		return nil
	}
	if !r.hasHost {
		return ErrHostCount
	}
	return nil
}

// Body tells how the request's body is framed. A request without a length has
// no body (RFC 9112, 6.3).
func (r *Request) Body() Framing {
	switch {
	case r.chunked:
		return Framing{Kind: Chunked}
	case r.length > 0:
		return Framing{Kind: Length, Length: r.length}
	}
	return Framing{Kind: None, Declared: r.declared}
}

// Idempotent tells whether the request may be sent a second time when nobody
// knows what became of the first (RFC 9110, 9.2.2).
func (r *Request) Idempotent(buf []byte) bool {
	if r.IsGet || r.IsHead {
		return true
	}
	switch string(r.Method.Of(buf)) {
	case "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// Via tells whether a Via field names an intermediary that is called so
// (RFC 9110, 7.6.3).
func (r *Request) Via(buf []byte, name string) bool {
	for _, f := range r.Fields {
		if f.ID != Via {
			continue
		}
		for hop := range Tokens(f.Value.Of(buf)) {
			_, by := cutBlank(hop) // behind the protocol
			if by, _ = cutBlank(by); len(by) > 0 && string(by) == name {
				return true
			}
		}
	}
	return false
}

// cutBlank splits at the first blank, and drops those that follow it.
func cutBlank(b []byte) (before, after []byte) {
	i := bytes.IndexAny(b, " \t")
	if i < 0 {
		return b, nil
	}
	return b[:i], trim(b[i:])
}
