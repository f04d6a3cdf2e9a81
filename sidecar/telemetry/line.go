package telemetry

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// maxValue bounds what one line holds of one value that comes from outside, in
// bytes. A longer one is cut, and ends with "...".
const maxValue = 2048

// appendJSON appends the exchange as a line of JSON. Keys whose value would be
// empty are left out.
func appendJSON(dst []byte, e *Exchange, now time.Time) []byte {
	dst = append(dst, `{"time":"`...)
	dst = now.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","client":`...)
	dst = appendQuoted(dst, e.Client, jsonEscape)
	dst = appendMember(dst, "method", e.Method)
	dst = appendMember(dst, "host", e.Host)
	if len(e.Path) > 0 {
		dst = append(dst, `,"path":"`...)
		dst = append(appendTarget(dst, e, jsonEscape), '"')
	}
	if len(e.Method) > 0 {
		dst = append(append(append(dst, `,"proto":"`...), e.Protocol...), '"')
	}
	dst = appendCount(dst, "status", int64(e.Status))
	dst = appendCount(dst, "bytes_in", e.Received)
	dst = appendCount(dst, "bytes_out", e.Sent)
	dst = appendMillis(append(dst, `,"ms":`...), e.Total)
	dst = appendStep(dst, "route_ms", e.Route)
	dst = appendStep(dst, "connect_ms", e.Connect)
	dst = appendStep(dst, "first_byte_ms", e.FirstByte)
	dst = appendMember(dst, "cluster", e.Cluster)
	dst = appendMember(dst, "backend", e.Backend)
	dst = appendCount(dst, "attempts", int64(e.Attempts))
	dst = appendMember(dst, "rule", e.Rule)
	dst = appendMember(dst, "script", e.Version)
	dst = appendMember(dst, "outcome", e.Outcome)
	dst = appendMember(dst, "end", e.End)
	dst = appendMember(dst, "error", e.Error)
	dst = appendMember(dst, "detail", e.Detail)
	dst = appendMember(dst, "id", e.ID)
	dst = appendMember(dst, "trace", TraceID(e.Trace))
	return append(dst, "}\n"...)
}

// appendText appends the exchange as a line in the manner of Apache's combined
// log, with what a proxy has to tell behind it.
func appendText(dst []byte, e *Exchange, now time.Time) []byte {
	dst = appendEscaped(dst, e.Client, textEscape)
	dst = now.UTC().AppendFormat(append(dst, " - - "...), `[02/Jan/2006:15:04:05.000 +0000] "`)
	if len(e.Method) > 0 {
		dst = appendEscaped(dst, e.Method, textEscape)
		dst = appendTarget(append(dst, ' '), e, textEscape)
		dst = append(append(dst, ' '), e.Protocol...)
	}
	dst = strconv.AppendInt(append(dst, `" `...), int64(e.Status), 10)
	dst = strconv.AppendInt(append(dst, ' '), e.Sent, 10)
	dst = appendQuoted(append(dst, " host="...), e.Host, textEscape)
	dst = strconv.AppendInt(append(dst, " in="...), e.Received, 10)
	dst = appendMillis(append(dst, " ms="...), e.Total)
	dst = appendTextStep(dst, "route", e.Route)
	dst = appendTextStep(dst, "connect", e.Connect)
	dst = appendTextStep(dst, "first_byte", e.FirstByte)
	dst = appendWord(dst, "cluster", e.Cluster)
	dst = appendWord(dst, "backend", e.Backend)
	dst = strconv.AppendInt(append(dst, " attempts="...), int64(e.Attempts), 10)
	dst = appendWord(dst, "rule", e.Rule)
	dst = appendWord(dst, "script", e.Version)
	dst = appendWord(dst, "outcome", e.Outcome)
	dst = appendWord(dst, "end", e.End)
	dst = appendWord(dst, "error", e.Error)
	if e.Detail != "" {
		dst = appendQuoted(append(dst, " detail="...), e.Detail, textEscape)
	}
	dst = appendWord(dst, "id", e.ID)
	dst = appendWord(dst, "trace", TraceID(e.Trace))
	return append(dst, '\n')
}

// appendMember appends a member of an object, unless it is empty.
func appendMember[S ~string | ~[]byte](dst []byte, key string, value S) []byte {
	if len(value) == 0 {
		return dst
	}
	return appendQuoted(appendKey(dst, key), value, jsonEscape)
}

func appendCount(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(appendKey(dst, key), n, 10)
}

func appendStep(dst []byte, key string, d time.Duration) []byte {
	if d == 0 {
		return dst
	}
	return appendMillis(appendKey(dst, key), d)
}

func appendKey(dst []byte, key string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, key...)
	return append(dst, `":`...)
}

// appendWord appends key=value, unless the value is empty.
func appendWord[S ~string | ~[]byte](dst []byte, key string, value S) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(append(append(dst, ' '), key...), '=')
	return appendEscaped(dst, value, textEscape)
}

func appendTextStep(dst []byte, key string, d time.Duration) []byte {
	if d == 0 {
		return dst
	}
	return appendMillis(append(append(append(dst, ' '), key...), '='), d)
}

// appendMillis appends milliseconds, to the microsecond.
func appendMillis(dst []byte, d time.Duration) []byte {
	micros := max(d, 0).Microseconds()
	dst = strconv.AppendInt(dst, micros/1000, 10)
	rest := micros % 1000
	return append(dst, '.', '0'+byte(rest/100), '0'+byte(rest/10%10), '0'+byte(rest%10))
}

func appendTarget(dst []byte, e *Exchange, escape escape) []byte {
	dst = appendEscaped(dst, e.Path, escape)
	if e.HasQuery {
		dst = appendEscaped(append(dst, '?'), e.Query, escape)
	}
	return dst
}

func appendQuoted[S ~string | ~[]byte](dst []byte, value S, escape escape) []byte {
	return append(appendEscaped(append(dst, '"'), value, escape), '"')
}

// escape appends what stands for a rune that can not stand in a line as it is, or
// for a byte that is part of no rune.
type escape func(dst []byte, r rune, broken bool) []byte

// appendEscaped appends a value. What can not break a line, nor steer a terminal,
// is copied.
func appendEscaped[S ~string | ~[]byte](dst []byte, value S, escape escape) []byte {
	cut := len(value) > maxValue
	if cut {
		value = value[:maxValue]
	}
	from := 0
	for i := 0; i < len(value); {
		if plain(value[i]) {
			i++
			continue
		}
		r, size := decodeRune(value[i:])
		broken := r == utf8.RuneError && size == 1
		if broken {
			r = rune(value[i])
		}
		if broken || r < 0xa0 {
			dst = escape(append(dst, value[from:i]...), r, broken)
			from = i + size
		}
		i += size
	}
	dst = append(dst, value[from:]...)
	if cut {
		dst = append(dst, "..."...)
	}
	return dst
}

// plain tells of a byte that stands for itself everywhere.
func plain(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' && c != '\\' }

// decodeRune is the first rune of a value that is not empty.
func decodeRune[S ~string | ~[]byte](value S) (r rune, size int) {
	return utf8.DecodeRuneInString(string(value[:min(len(value), utf8.UTFMax)]))
}

const hexDigits = "0123456789abcdef"

// jsonEscape follows RFC 8259, 7.
func jsonEscape(dst []byte, r rune, broken bool) []byte {
	switch {
	case broken:
		return append(dst, `\ufffd`...)
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
}

// textEscape writes bytes as Apache does, and control characters beyond ASCII by
// their number.
func textEscape(dst []byte, r rune, broken bool) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	case r < utf8.RuneSelf || broken:
		return append(dst, '\\', 'x', hexDigits[r>>4], hexDigits[r&15])
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
}

// TraceID is the trace's part of a traceparent field, 32 lower-case hexadecimal
// digits that are not all zero (W3C Trace Context, 3.2.2); empty when it has none.
func TraceID(parent []byte) []byte {
	const from, to = 3, 35
	if len(parent) < 55 || parent[2] != '-' || parent[to] != '-' {
		return nil
	}
	some := false
	for _, c := range parent[from:to] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil
		}
		some = some || c != '0'
	}
	if !some {
		return nil
	}
	return parent[from:to]
}
