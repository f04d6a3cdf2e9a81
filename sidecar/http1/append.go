package http1

import (
	"fmt"
	"strconv"
)

// AppendField appends one field line. The name and the value are looked at once
// more, wherever they come from: an error means that nothing was appended.
func AppendField[T ~string | ~[]byte](dst []byte, name string, value T) ([]byte, error) {
	if !IsToken(name) {
		return dst, fmt.Errorf("field name %q is not a token", name)
	}
	if !IsValue(value) {
		return dst, fmt.Errorf("value of field %s has a control character", name)
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...), nil
}

// AppendFraming appends the one field that frames a body, if any.
func AppendFraming(dst []byte, f Framing) []byte {
	switch {
	case f.Kind == Chunked:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	case f.Kind == Length, f.Declared:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, f.Length, 10)
		return append(dst, "\r\n"...)
	}
	return dst
}

// AppendStatusLine appends the first line of a response. The status has three
// digits. A reason that can not stand there is left out: nobody may act on it
// (RFC 9112, 4).
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	if IsValue(reason) {
		dst = append(dst, reason...)
	}
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the line that stands before n bytes of chunk data. An
// n of 0 begins the trailer section: there is no empty chunk.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, "\r\n"...)
}
