package proxy

import "outrider/sidecar/http1"

// appendAnnounced appends the names that the Trailer fields of a head announce,
// as one list, but those that may not stand in a trailer, and those that Connection
// keeps on this hop (RFC 9110, 7.6.1).
func appendAnnounced(dst []byte, h *http1.Head, buf []byte) []byte {
	for _, f := range h.Fields {
		if f.ID != http1.Trailer {
			continue
		}
		for name := range http1.Tokens(f.Value.Of(buf)) {
			if http1.AllowedInTrailer(name) && (!h.Nominates || !h.Nominated(buf, name)) {
				dst = append(append(dst, name...), ',')
			}
		}
	}
	return dst
}

// appendTrailerField appends the announcement of the trailers that are passed on
// with a chunked body. There is none where nothing is left of it.
func appendTrailerField(dst []byte, h *http1.Head, buf []byte) []byte {
	const name = "Trailer: "
	before := len(dst)
	dst = appendAnnounced(append(dst, name...), h, buf)
	if len(dst) == before+len(name) {
		return dst[:before]
	}
	return append(dst[:len(dst)-1], "\r\n"...) // in the place of the last comma
}

// passesTrailer tells whether a trailer field of the response goes to the client. In
// HTTP/2 trailers need not be announced.
func (x *exchange) passesTrailer(name []byte) bool {
	if x.client.stream {
		return !names(x.withheld, name)
	}
	return names(x.announced, name)
}

// appendNominated appends what the Connection fields of a head nominate, as one list.
func appendNominated(dst []byte, h *http1.Head, buf []byte) []byte {
	for _, f := range h.Fields {
		if f.ID == http1.Connection {
			dst = append(append(dst, f.Value.Of(buf)...), ',')
		}
	}
	return dst
}

// appendLastChunk ends a chunked body, with the trailer fields, in buf, that pass
// and that may stand in a trailer.
func appendLastChunk(dst []byte, trailer []http1.Field, passes func(name []byte) bool, buf []byte) []byte {
	dst = append(dst, "0\r\n"...)
	for _, f := range trailer {
		name := f.Name.Of(buf)
		if f.ID != http1.Other || !http1.AllowedInTrailer(name) || !passes(name) {
			continue
		}
		dst = append(dst, name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value.Of(buf)...)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// names tells whether a comma-separated list has the name.
func names(list, name []byte) bool {
	for token := range http1.Tokens(list) {
		if equalFold(token, string(name)) {
			return true
		}
	}
	return false
}
