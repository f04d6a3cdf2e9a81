package http1

// MaxPending is the most bytes that Body.Next can want to see at once: a buffer
// of that size never gets stuck.
const MaxPending = maxTrailer

// Bounds on what a chunked body may add to its data.
const (
	maxSizeDigits = 15 // 60 bits
	maxSizeLine   = 256
	maxOverhead   = 16 << 10
	maxTrailer    = 16 << 10
	maxTrailers   = 64
)

// sizeLine takes `1*HEXDIG [BWS ";" extension] CRLF` (RFC 9112, 7.1). Extensions
// are dropped: they are for the next hop alone, and nobody knows one. Blanks are
// tolerated before one, as 7.1.1 wants it, and nowhere else: behind a bare size
// they are what another recipient may take for a part of the size.
func (b *Body) sizeLine(buf []byte) (int, error) {
	buf = buf[:min(len(buf), maxSizeLine)]
	size, digits := int64(0), 0
	for digits < len(buf) && classes[buf[digits]]&isHex != 0 {
		size = size<<4 | int64(unhex(buf[digits]))
		digits++
	}
	switch {
	case digits > maxSizeDigits:
		return 0, ErrChunkSize
	case digits == len(buf):
		return 0, nil
	case digits == 0:
		return 0, ErrChunkSize
	}
	end := digits
	for end < len(buf) && isBlank(buf[end]) {
		end++
	}
	switch {
	case end == len(buf): // the extension may follow
	case buf[end] == ';':
		end = valueEnd(buf, end)
	case end > digits || buf[end] != '\r':
		return 0, ErrChunkSize
	}
	next, err := lineEnd(buf, end, ErrChunkExtension)
	if err != nil || next == 0 && len(buf) == maxSizeLine {
		return 0, ErrChunkExtension
	}
	if next == 0 {
		return 0, nil
	}
	if !b.noteOverhead(end, size) {
		return 0, ErrChunkExtension
	}
	b.left, b.state = size, inData
	if size == 0 {
		b.state = atTrailer
	}
	return next, nil
}

// noteOverhead keeps account of what size lines cost beyond what they are good
// for, and tells whether that is still bearable. A chunk may cost 16 bytes, so
// that single bytes may be streamed, and twice its data; the measure is that of
// Go's net/http.
func (b *Body) noteOverhead(line int, size int64) bool {
	b.extra = max(0, b.extra+int64(line)+2-16-2*size)
	return b.extra <= maxOverhead
}

// dataEnd takes the CRLF behind a chunk's data.
func (b *Body) dataEnd(buf []byte) (int, error) {
	next, err := lineEnd(buf, 0, ErrChunkEnd)
	if err != nil {
		return 0, ErrChunkEnd
	}
	if next > 0 {
		b.state = atSize
	}
	return next, nil
}

// trailer takes the whole trailer section at the start of buf, or nothing.
func (b *Body) trailer(buf []byte) (int, error) {
	buf = buf[:min(len(buf), maxTrailer)]
	if b.lines.stalled(buf) {
		return 0, b.lines.stop(buf, maxTrailer, nil, ErrTrailerTooLong)
	}
	for {
		f, next, err := scanField(buf, b.lines.at)
		switch {
		case err != nil, next == 0:
			return 0, b.lines.stop(buf, maxTrailer, err, ErrTrailerTooLong)
		case f.Name.Len() == 0:
			b.state = ended
			return next, nil
		case len(b.Trailer) == maxTrailers:
			return 0, ErrTrailerTooLong
		}
		b.Trailer = append(b.Trailer, f)
		b.lines.at = next
	}
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
