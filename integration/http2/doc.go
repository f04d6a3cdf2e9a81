// Package http2 holds the real program against h2spec, the conformance suite of
// HTTP/2. It is a module of its own, so that nobody who builds the program needs that.
package http2
