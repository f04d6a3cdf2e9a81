package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"outrider/sidecar/stream"
)

// Reason says in a word or two what a network error means to an operator.
func Reason(err error) string {
	var handshake *stream.HandshakeError
	switch {
	case errors.As(err, &handshake):
		return "TLS: " + tlsReason(handshake.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case isTimeout(err):
		return "timeout"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF):
		return "closed"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case isLocal(err):
		return "out of local resources"
	}
	return err.Error()
}

func tlsReason(err error) string {
	var (
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		return "certificate is not for this name: " + name.Error()
	case errors.As(err, &authority):
		return "certificate signed by an unknown authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate has expired or is not yet valid"
	case errors.As(err, &record):
		return "the backend does not speak TLS"
	case isTimeout(err):
		return "timeout"
	}
	return strings.TrimPrefix(err.Error(), "tls: ")
}

func connectErrorType(err error) string {
	var handshake *stream.HandshakeError
	switch {
	case isTimeout(err):
		return "connection_timeout"
	case errors.As(err, &handshake) && strings.Contains(tlsReason(handshake.Err), "certificate"):
		return "tls_certificate_error"
	case errors.As(err, &handshake):
		return "tls_protocol_error"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case isLocal(err):
		return "proxy_internal_error"
	}
	return "destination_unavailable"
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.Is(err, stream.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) ||
		errors.As(err, &netErr) && netErr.Timeout()
}

// isLocal tells that an error is this machine's own trouble, and says nothing
// about the backend.
func isLocal(err error) bool {
	for _, local := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL,
		context.Canceled, stream.ErrStopped, net.ErrClosed,
	} {
		if errors.Is(err, local) {
			return true
		}
	}
	return false
}
