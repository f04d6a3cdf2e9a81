package http1

import "bytes"

// Limits bound a head.
type Limits struct {
	Head   int // bytes, the empty line at its end included
	Fields int // field lines
}

// maxOptions bounds the Connection fields, in bytes: each field of the head has
// to be looked up in them.
const maxOptions = 1 << 10

// Head is what request and response heads have in common. Its spans point into
// the buffer that was given to Parse.
type Head struct {
	Fields []Field
	Size   int // bytes of the whole head, once it is complete
	Minor  int // HTTP/1.Minor

	// What the Connection fields say.
	Close, KeepAlive, Upgrade bool
	// Nominates tells that Connection names fields to be removed: see Nominated.
	Nominates bool

	lines    lines
	options  int   // bytes of all Connection fields
	started  bool  // the first line was read
	length   int64 // what Content-Length says
	declared bool  // there is a Content-Length
	chunked  bool
}

func (h *Head) reset() {
	*h = Head{Fields: h.Fields[:0]}
}

// message is what requests and responses have of their own: what their first
// line, buf[start:end], and their known fields mean, and what they miss at the
// end.
type message interface {
	firstLine(buf []byte, start, end int) error
	noteField(buf []byte, f Field) error
	finish() error
}

// parse reads as many whole lines as buf has and hands them to m. It reports
// whether the head is complete. A line counts as read only once all is well with
// it, and the empty line at the end never: asking again gives the same answer.
func (h *Head) parse(buf []byte, lim Limits, m message) (bool, error) {
	buf = buf[:min(len(buf), lim.Head)]
	if h.lines.stalled(buf) {
		return false, h.stop(buf, lim, nil)
	}
	for !h.started {
		if more, err := h.parseFirst(buf, m); err != nil || more {
			return false, h.stop(buf, lim, err)
		}
	}
	for {
		f, next, err := scanField(buf, h.lines.at)
		switch {
		case err != nil, next == 0:
			return false, h.stop(buf, lim, err)
		case f.Name.Len() == 0:
			if err := m.finish(); err != nil {
				return false, err
			}
			h.Size = next
			return true, nil
		case len(h.Fields) >= lim.Fields:
			return false, ErrTooMany
		}
		if f.ID != Other {
			if err := m.noteField(buf, f); err != nil {
				return false, err
			}
		}
		h.Fields = append(h.Fields, f)
		h.lines.at = next
	}
}

func (h *Head) stop(buf []byte, lim Limits, fault error) error {
	return h.lines.stop(buf, lim.Head, fault, ErrHeadTooLarge)
}

// parseFirst reads the first line, or the one empty line that is forgiven before
// it (RFC 9112, 2.2). It reports whether it needs more bytes.
func (h *Head) parseFirst(buf []byte, m message) (more bool, err error) {
	start := h.lines.at
	lf := bytes.IndexByte(buf[start:], '\n')
	if lf < 0 {
		return true, nil
	}
	end := start + lf - 1
	if end < start || buf[end] != '\r' {
		return false, ErrBareLF
	}
	if end == 0 {
		h.lines.at = 2
		return false, nil
	}
	if err := m.firstLine(buf, start, end); err != nil {
		return false, err
	}
	h.started, h.lines.at = true, end+2
	return false, nil
}

// note takes in the fields that mean the same in both directions.
func (h *Head) note(buf []byte, f Field) error {
	switch f.ID {
	case ContentLength:
		return h.noteLength(f.Value.Of(buf))
	case TransferEncoding:
		return h.noteTransferEncoding(f.Value.Of(buf))
	case Connection:
		return h.noteConnection(f.Value.Of(buf))
	}
	return nil
}

func (h *Head) noteLength(value []byte) error {
	n, ok := parseLength(value)
	switch {
	case !ok:
		return ErrLength
	case h.chunked:
		return ErrLengthAndTE
	case h.declared && h.length != n:
		return ErrLengthDiffer
	}
	h.length, h.declared = n, true
	return nil
}

func (h *Head) noteTransferEncoding(value []byte) error {
	switch {
	case h.declared:
		return ErrLengthAndTE
	case h.chunked || !EqualFold(value, "chunked"):
		return ErrTE
	}
	h.chunked = true
	return nil
}

func (h *Head) noteConnection(value []byte) error {
	if h.options += len(value); h.options > maxOptions {
		return ErrConnection
	}
	for token := range Tokens(value) {
		switch {
		case EqualFold(token, "close"):
			h.Close = true
		case EqualFold(token, "keep-alive"):
			h.KeepAlive = true
		case EqualFold(token, "upgrade"):
			h.Upgrade = true
		default:
			h.Nominates = true
		}
	}
	return nil
}

// Persistent tells whether the sender wants the connection to stay open after
// this exchange (RFC 9112, 9.3).
func (h *Head) Persistent() bool {
	return !h.Close && (h.Minor > 0 || h.KeepAlive)
}

// Nominated tells whether a Connection field names this field as one that is
// meant for the next hop alone (RFC 9110, 7.6.1).
func (h *Head) Nominated(buf []byte, name []byte) bool {
	for _, f := range h.Fields {
		if f.ID != Connection {
			continue
		}
		for token := range Tokens(f.Value.Of(buf)) {
			if sameName(token, name) {
				return true
			}
		}
	}
	return false
}

// Lookup returns the value of the first field with that name, which must be
// known.
func (h *Head) Lookup(buf []byte, id FieldID) ([]byte, bool) {
	for _, f := range h.Fields {
		if f.ID == id {
			return f.Value.Of(buf), true
		}
	}
	return nil, false
}

// Line returns the whole line of field i of a complete head, its CRLF included.
func (h *Head) Line(buf []byte, i int) []byte {
	end := uint32(h.Size - 2)
	if i+1 < len(h.Fields) {
		end = h.Fields[i+1].Name.Start
	}
	return buf[h.Fields[i].Name.Start:end]
}

// parseLength takes digits alone: no sign, blank or list (RFC 9110, 8.6).
func parseLength(value []byte) (int64, bool) {
	if len(value) == 0 || len(value) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range value {
		if classes[c]&isDigit == 0 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
