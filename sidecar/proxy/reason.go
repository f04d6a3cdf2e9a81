package proxy

import (
	"errors"
	"strings"
	"syscall"

	"outrider/sidecar/cause"
	"outrider/sidecar/stream"
)

// connectErrorType names why no connection was made, by RFC 9209, 2.3.
func connectErrorType(err error) string {
	_, handshake := errors.AsType[*stream.HandshakeError](err)
	switch {
	case cause.Timeout(err):
		return "connection_timeout"
	case handshake && strings.HasPrefix(cause.Of(err, 0), "certificate"):
		return "tls_certificate_error"
	case handshake:
		return "tls_protocol_error"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case isLocal(err):
		return "proxy_internal_error"
	}
	return "destination_unavailable"
}

// isLocal tells that an error is our own doing, and says nothing about the
// backend.
func isLocal(err error) bool { return cause.Local(err) || errors.Is(err, stream.ErrStopped) }

// noDescriptors tells that the process or the system has no descriptors left.
func noDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
