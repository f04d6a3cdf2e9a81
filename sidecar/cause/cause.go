// Package cause says what a network error means to an operator: one vocabulary
// for health checks, requests and the log.
package cause

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxText bounds the text of an error that has no short name of its own.
const maxText = 120

// Of says in a few words why a connection, handshake or exchange failed:
// "refused", "reset", "timeout after 1s", "certificate: expired on 2026-01-31".
// allowed is the time that it had; 0 leaves it out. An error that knows its cause
// has a method `Cause() string`.
func Of(err error, allowed time.Duration) string {
	if known, ok := errors.AsType[interface {
		error
		Cause() string
	}](err); ok {
		return known.Cause()
	}
	switch {
	case err == nil:
		return ""
	case Timeout(err) && allowed > 0:
		return "timeout after " + allowed.Round(time.Millisecond).String()
	case Timeout(err):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "host unreachable"
	case errors.Is(err, syscall.ENETUNREACH):
		return "network unreachable"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed without a full answer"
	}
	if reason := handshake(err); reason != "" {
		return reason
	}
	return plain(err)
}

// Local tells whether err lies with this process or machine and so says nothing
// about the backend: no descriptors, no ports or memory left, or the attempt was
// cancelled.
func Local(err error) bool {
	for _, local := range []error{
		context.Canceled, net.ErrClosed,
		syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ENOSPC, // no watches left in epoll
	} {
		if errors.Is(err, local) {
			return true
		}
	}
	return false
}

// Timeout tells whether err is that of a wait that was too long.
func Timeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		return true
	}
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout()
}

// handshake explains what a TLS handshake can fail with, empty for others.
func handshake(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "no TLS answer"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "certificate: signed by an unknown authority"
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate: " + misnamed(wrong)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "certificate: " + mistimed(invalid.Cert)
	}
	if refused, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "certificate: " + Clipped(strings.TrimPrefix(refused.Err.Error(), "x509: "), maxText)
	}
	return ""
}

func misnamed(wrong x509.HostnameError) string {
	names := wrong.Certificate.DNSNames
	for _, ip := range wrong.Certificate.IPAddresses {
		names = append(slices.Clip(names), ip.String())
	}
	if len(names) == 0 {
		return "names no host, not " + wrong.Host
	}
	return "valid for " + Clipped(strings.Join(names, ", "), 60) + ", not " + wrong.Host
}

func mistimed(certificate *x509.Certificate) string {
	if time.Now().Before(certificate.NotBefore) {
		return "not valid before " + certificate.NotBefore.UTC().Format(time.DateTime)
	}
	return "expired on " + certificate.NotAfter.UTC().Format(time.DateOnly)
}

// plain is err's own text, without the addresses that net puts before it and
// on one line.
func plain(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return Clipped(strings.Join(strings.Fields(err.Error()), " "), maxText)
}

// Clipped is text, cut after at most limit bytes.
func Clipped(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}
