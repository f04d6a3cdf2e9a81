// Package stream is one connection as an exchange sees it: read, write, wait,
// deadline. It knows no HTTP.
//
// A [Loop] owns the connections. It accepts and dials them, calls a [Handler]
// when an idle one becomes readable, and ends waits that last too long. The
// handler's code is straight-line: where it would block, it blocks, and three
// things end the wait: the bytes, the deadline, or the loss of another
// connection that the wait was told to watch (the client's, while the upstream
// thinks).
//
// Deadlines are coarse: a field per connection, looked at every [Tick] by one
// goroutine of the loop. Setting one costs an atomic store, never a timer.
//
// Two transports carry the bytes. Cleartext connections on Linux are descriptors
// in an epoll of our own (poll_linux.go): an idle one has no goroutine, no buffer
// and no timer, a read is tried only when there is something to read, and an idle
// upstream connection that is closed leaves its pool at once. Everything else,
// TLS above all and every other system, is a [net.Conn] (net.go).
package stream
