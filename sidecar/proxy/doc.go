// Package proxy is the journey of one request: accept, read, route, forward,
// answer, account. Start reading at exchange.run.
//
// One task carries an exchange from its first byte to its last, in straight-line
// code over [stream.Conn]; [http1] tells it what the bytes mean. Two things run
// beside it: a request body that is longer than what came with its head
// (upload.go), and the second direction of an upgraded connection (tunnel.go).
// README.md tells how the connections below work, and whose the buffers are.
//
// Whatever goes wrong becomes a [Fault], and meets one place (exchange.fail)
// that chooses between an answer of our own, cutting the client off so that it
// sees the cut, and silence.
package proxy
