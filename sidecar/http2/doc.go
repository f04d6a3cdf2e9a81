// Package http2 speaks HTTP/2 (RFC 9113) with clients and backends, by Go's own
// net/http, and HTTP/1.1 with the engine: each stream is to the engine a connection
// in memory that carries one exchange. So both wires meet the same rules, router,
// clusters and accounting, and what one of them forbids does not pass by the other.
//
// [Accept] carries out a client's stream, a [Session] those of one connection to a
// backend. What HTTP/1.1 can not say ends a stream: a message that is cut is reset,
// in either direction.
package http2
