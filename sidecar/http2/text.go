package http2

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"outrider/sidecar/http1"
)

// appendRequest appends the head of an HTTP/1.1 request that says what r does. It
// is the only one of its connection. chunked tells how its body is to be framed.
// The error is what HTTP/2 forbids (RFC 9113, 8.1.1) and net/http lets pass.
func appendRequest(dst []byte, r *http.Request) (head []byte, chunked bool, err error) {
	target := r.RequestURI
	if r.Method == http.MethodConnect {
		target = r.Host
	}
	if !http1.IsToken(r.Method) || target == "" || strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return dst, false, errors.New(":method or :path holds what no request line can")
	}
	if target[0] != '/' && target != "*" && r.Method != http.MethodConnect {
		return dst, false, errors.New(":path does not begin with a slash (RFC 9113, 8.3.1)")
	}
	dst = append(append(append(append(dst, r.Method...), ' '), target...), " HTTP/1.1\r\n"...)
	hosts := r.Header["Host"]
	if r.Host != "" && !slices.Contains(hosts, r.Host) || len(hosts) == 0 {
		hosts = append(slices.Clip(hosts), r.Host) // two that differ are refused as such
	}
	for _, host := range hosts {
		if dst, err = http1.AppendField(dst, "Host", host); err != nil {
			return dst, false, err
		}
	}
	for name, values := range r.Header {
		switch name {
		case "Host", "Content-Length":
			continue
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
			return dst, false, fmt.Errorf("field %s belongs to a connection of HTTP/1.1 (RFC 9113, 8.2.2)", name)
		}
		for _, value := range values {
			if dst, err = http1.AppendField(dst, name, value); err != nil {
				return dst, false, err
			}
		}
	}
	dst, chunked, err = appendRequestFraming(dst, r)
	return append(dst, "Connection: close\r\n\r\n"...), chunked, err
}

func appendRequestFraming(dst []byte, r *http.Request) (framed []byte, chunked bool, err error) {
	for _, length := range r.Header["Content-Length"] {
		if n, err := strconv.ParseUint(length, 10, 63); err != nil || length[0] == '+' || int64(n) != r.ContentLength {
			return dst, false, errors.New("content-length is not the one number that it has to be")
		}
	}
	trails := len(r.Trailer) > 0 && (r.ContentLength != 0 || len(r.Header["Content-Length"]) > 0) // else there is no body for it to follow
	switch {
	case r.ContentLength < 0 || trails:
		if trails {
			dst = append(dst, "Trailer: "+strings.Join(names(r.Trailer), ", ")+"\r\n"...)
		}
		return append(dst, "Transfer-Encoding: chunked\r\n"...), true, nil
	case r.ContentLength > 0 || len(r.Header["Content-Length"]) > 0:
		dst = append(strconv.AppendInt(append(dst, "Content-Length: "...), r.ContentLength, 10), "\r\n"...)
	}
	return dst, false, nil
}

// appendResponse appends the head of an HTTP/1.1 response that says what r does. It
// is the only final one of its connection.
func appendResponse(dst []byte, r *http.Response, toHead bool) (head []byte, chunked bool, err error) {
	dst = http1.AppendStatusLine(dst, r.StatusCode, nil)
	if dst, err = appendResponseFields(dst, r.Header); err != nil {
		return dst, false, err
	}
	if len(r.Trailer) > 0 {
		dst = append(dst, "Trailer: "+strings.Join(names(r.Trailer), ", ")+"\r\n"...)
	}
	bodyAllowed := http1.BodyAllowed(r.StatusCode, toHead)
	switch {
	case r.ContentLength == 0, r.ContentLength > 0 && !mayTrail(r):
		dst = append(strconv.AppendInt(append(dst, "Content-Length: "...), r.ContentLength, 10), "\r\n"...)
	case bodyAllowed:
		dst, chunked = append(dst, "Transfer-Encoding: chunked\r\n"...), true
	}
	return append(dst, "Connection: close\r\n\r\n"...), chunked, nil
}

// mayTrail tells whether a trailer may follow the body, which a length would leave no
// place for: it is announced, or the response is gRPC's, which never announces it.
func mayTrail(r *http.Response) bool { return len(r.Trailer) > 0 || isGRPC(r.Header) }

func isGRPC(h http.Header) bool { return strings.HasPrefix(h.Get("Content-Type"), "application/grpc") }

// appendInterim appends a response that another one follows.
func appendInterim(dst []byte, status int, fields http.Header) ([]byte, error) {
	dst, err := appendResponseFields(http1.AppendStatusLine(dst, status, nil), fields)
	return append(dst, "\r\n"...), err
}

func appendResponseFields(dst []byte, fields http.Header) (_ []byte, err error) {
	for name, values := range fields {
		switch name {
		case "Content-Length", "Trailer":
			continue
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
			return dst, fmt.Errorf("field %s belongs to a connection of HTTP/1.1 (RFC 9113, 8.2.2)", name)
		}
		for _, value := range values {
			if dst, err = http1.AppendField(dst, name, value); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// writeBody writes a body, framed so, and what trails it.
func writeBody(to io.Writer, body io.Reader, chunked bool, trailer func() http.Header) error {
	lent := buffers.Get().(*[]byte)
	defer buffers.Put(lent)
	buf := *lent
	for {
		n, err := body.Read(buf[chunkHead : len(buf)-2])
		if n > 0 {
			piece := buf[chunkHead : chunkHead+n]
			if chunked {
				piece = frame(buf, n)
			}
			if _, err := to.Write(piece); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF && chunked:
			_, err := to.Write(appendTrailers([]byte("0\r\n"), trailer()))
			return err
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// chunkHead is what a buffer keeps free before the data for the size of a chunk.
const chunkHead = 8

// frame makes a chunk of n bytes of data that stand at buf[chunkHead:].
func frame(buf []byte, n int) []byte {
	var size [chunkHead]byte
	head := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
	copy(buf[chunkHead-len(head):], head)
	copy(buf[chunkHead+n:], "\r\n")
	return buf[chunkHead-len(head) : chunkHead+n+2]
}

// appendTrailers leaves out what can not stand in a trailer: unlike a field of the
// head it harms nobody who never sees it.
func appendTrailers(dst []byte, fields http.Header) []byte {
	for name, values := range fields {
		for _, value := range values {
			if with, err := http1.AppendField(dst, name, value); err == nil {
				dst = with
			}
		}
	}
	return append(dst, "\r\n"...)
}

func names(fields http.Header) []string {
	all := make([]string, 0, len(fields))
	for name := range fields {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
