package http1

// Response is the head of a response. The zero value is ready for Parse; Reset
// makes a used one ready again.
type Response struct {
	Head
	Status int
	Reason Span
}

// Reset forgets the head, and keeps the memory that it used.
func (r *Response) Reset() {
	h := r.Head
	h.reset()
	*r = Response{Head: h}
}

// Parse reads the head of a response at the start of buf. While the head is
// incomplete it reports false: call it again with the same bytes and more behind
// them. Errors are *Error.
func (r *Response) Parse(buf []byte, lim Limits) (bool, error) {
	if len(buf) > 0 && buf[0] != 'H' {
		return false, foreignResponse(buf, ErrNotHTTP)
	}
	return r.parse(buf, lim, r)
}

// firstLine takes `HTTP/1.x SP 3DIGIT SP reason`, and forgives a missing last
// blank, which many servers leave out with the reason.
func (r *Response) firstLine(buf []byte, start, end int) error {
	line := buf[start:end]
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return ErrStatusLine
	}
	if len(line) > 12 && line[12] != ' ' || !all(line[9:12], isDigit) || valueEnd(line, 12) < len(line) {
		return ErrStatusLine
	}
	r.Minor = int(line[7] - '0')
	r.Status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	if r.Status < 100 || r.Status > 599 {
		return ErrStatusLine
	}
	r.Reason = span(min(start+13, end), end)
	return nil
}

func (r *Response) noteField(buf []byte, f Field) error { return r.note(buf, f) }

func (r *Response) finish() error {
	if r.Minor == 0 && r.chunked {
		return ErrTEVersion
	}
	return nil
}

// Interim tells that this is a 1xx: a final response follows (RFC 9110, 15.2).
func (r *Response) Interim() bool { return r.Status < 200 }

// BodyAllowed tells whether a response with this status to this kind of request
// can have a body at all (RFC 9112, 6.3).
func BodyAllowed(status int, toHead bool) bool {
	return !toHead && status >= 200 && status != 204 && status != 304
}

// lengthAllowed tells whether a response with this status may have a
// Content-Length (RFC 9110, 8.6).
func lengthAllowed(status int) bool { return status >= 200 && status != 204 }

// Body tells how the response's body is framed, given that it answers a HEAD or
// not. Of a response to HEAD and of a 304, Declared and Length still tell what
// the body would have been.
func (r *Response) Body(toHead bool) Framing {
	if !BodyAllowed(r.Status, toHead) {
		if r.declared && lengthAllowed(r.Status) {
			return Framing{Kind: None, Declared: true, Length: r.length}
		}
		return Framing{Kind: None}
	}
	switch {
	case r.chunked:
		return Framing{Kind: Chunked}
	case r.length > 0:
		return Framing{Kind: Length, Length: r.length}
	case r.declared:
		return Framing{Kind: None, Declared: true}
	}
	return Framing{Kind: UntilClose}
}
