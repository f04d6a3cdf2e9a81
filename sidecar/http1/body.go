package http1

// Body takes a body out of the bytes of a connection. The zero value is a body
// that has ended.
type Body struct {
	kind  Kind
	state bodyState
	left  int64 // of a length or of the chunk at hand
	extra int64 // see noteOverhead
	lines lines // of the trailer section
	// Trailer holds the fields of a chunked body's trailer section, once the
	// body is done; their spans point into what Next was last given.
	Trailer []Field
}

type bodyState uint8

const (
	ended     bodyState = iota
	inData              // left bytes of data come next
	atSize              // a chunk's size line comes next
	atDataEnd           // the CRLF behind a chunk's data comes next
	atTrailer           // the trailer section comes next
)

// Start begins a body that is framed so.
func (b *Body) Start(f Framing) {
	*b = Body{kind: f.Kind, Trailer: b.Trailer[:0]}
	switch {
	case f.Kind == Chunked:
		b.state = atSize
	case f.Kind == UntilClose:
		b.state = inData
	case f.Kind == Length && f.Length > 0:
		b.state, b.left = inData, f.Length
	}
}

// Done tells that the whole body was taken.
func (b *Body) Done() bool { return b.state == ended }

// Left is how many bytes are known to be missing from a body with a length.
func (b *Body) Left() int64 {
	if b.kind != Length {
		return 0
	}
	return b.left
}

// Skip takes n bytes of a body with a length, at most Left, that went past without
// being looked at.
func (b *Body) Skip(n int) {
	if b.left -= int64(n); b.left == 0 {
		b.state = ended
	}
}

// Next takes from buf what belongs to the body: it consumes n bytes, of which
// data, a part of buf, is body. When it consumes nothing and the body is not
// done, it needs more bytes behind the same ones, but never more than MaxPending
// in all. Errors are *Error; data that came before the fault is handed out with
// it, and the body never gets done.
func (b *Body) Next(buf []byte) (data []byte, n int, err error) {
	switch {
	case b.state == ended || len(buf) == 0:
		return nil, 0, nil
	case b.kind == UntilClose:
		return buf, len(buf), nil
	case b.kind == Length:
		data = b.takeData(buf)
		if b.left == 0 {
			b.state = ended
		}
		return data, len(data), nil
	}
	return b.nextChunk(buf)
}

// Close tells the body that its connection has ended. It reports whether that
// was the body's proper end.
func (b *Body) Close() bool {
	if b.kind == UntilClose {
		b.state = ended
	}
	return b.state == ended
}

func (b *Body) takeData(buf []byte) []byte {
	data := buf[:min(int64(len(buf)), b.left)]
	b.left -= int64(len(data))
	return data
}

// nextChunk takes the data of one chunk at most, and of the lines around it
// whatever has come: the next chunk's data is another piece of buf.
func (b *Body) nextChunk(buf []byte) (data []byte, n int, err error) {
	for {
		took, rest := 0, buf[n:]
		switch b.state {
		case ended:
			return data, n, nil
		case atSize:
			took, err = b.sizeLine(rest)
		case inData:
			if len(data) > 0 {
				return data, n, nil
			}
			data = b.takeData(rest)
			took = len(data)
			if b.left == 0 {
				b.state = atDataEnd
			}
		case atDataEnd:
			took, err = b.dataEnd(rest)
		case atTrailer:
			if n > 0 {
				// Only an empty section needs no spans, which want to begin at
				// the start of buf.
				if len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n' {
					b.state = ended
					n += 2
				}
				return data, n, nil
			}
			took, err = b.trailer(rest)
		}
		if err != nil || took == 0 {
			return data, n, err
		}
		n += took
	}
}
