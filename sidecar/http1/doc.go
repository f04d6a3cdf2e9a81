// Package http1 is HTTP/1.x as bytes (RFC 9110, RFC 9112): it parses heads in
// place, decodes and frames bodies, and appends heads to buffers. It has no
// sockets and knows no clusters.
//
// A parsed head points into the buffer that it was parsed from by offsets
// ([Span]), so the buffer may grow and move between calls, and parsing
// allocates nothing. Where the RFCs let a recipient choose between repairing
// and refusing, this package refuses: two parsers that repair differently are
// how requests get smuggled.
package http1
