package http1

import "bytes"

// lines is how far a section of lines was read. A line is judged once its LF has
// come and not looked at before, so that a long one which comes byte by byte
// costs no more than any other.
type lines struct {
	at   int // where the next line begins
	seen int // that line has no LF before here
}

// stalled tells whether the line at hand still has no end.
func (l *lines) stalled(buf []byte) bool {
	return l.seen > l.at && bytes.IndexByte(buf[l.seen:], '\n') < 0
}

// stop settles what comes of a line that could not be read: its fault, but only
// if its end has come, or else tooLong when buf has all that there may be.
func (l *lines) stop(buf []byte, limit int, fault, tooLong error) error {
	if fault != nil && bytes.IndexByte(buf[l.at:], '\n') >= 0 {
		return fault
	}
	l.seen = len(buf)
	if len(buf) >= limit {
		return tooLong
	}
	return nil
}
