package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// Checker tests one address once. A nil error means that all is well; another
// renders as a short reason, such as "refused". Check returns soon after ctx
// ends, keeps nothing open, and may be called from many goroutines at once.
type Checker interface {
	Check(ctx context.Context, addr netip.AddrPort) error
}

// visit connects to addr, sends preface, lets talk speak, and hangs up. All of it
// ends with ctx. Errors come back with their short reason.
func visit(ctx context.Context, addr netip.AddrPort, preface string, talk func(net.Conn) error) error {
	allowed := allowance(ctx)
	dialer := net.Dialer{KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return explained(err, allowed)
	}
	defer func() { _ = conn.Close() }() // the result is known already

	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if preface != "" {
		_, err = io.WriteString(conn, preface)
	}
	if err == nil {
		err = talk(conn)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		err = ctx.Err() // our own deadline above, or the end of the program
	}
	return explained(err, allowed)
}

// allowance is the time that ctx leaves, 0 when it does not say.
func allowance(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return time.Until(deadline)
}

// encrypt does a TLS handshake as the client. Without a server name in the
// configuration the certificate must be valid for the address itself. Every
// check does the whole handshake: a resumed one would not show the certificate.
func encrypt(ctx context.Context, conn net.Conn, config *tls.Config, addr netip.AddrPort, protocols ...string) (*tls.Conn, error) {
	full := config.Clone()
	if full == nil {
		full = &tls.Config{}
	}
	full.ClientSessionCache = nil
	if full.ServerName == "" {
		full.ServerName = addr.Addr().String()
	}
	if len(protocols) > 0 {
		full.NextProtos = protocols
	}
	encrypted := tls.Client(conn, full)
	return encrypted, encrypted.HandshakeContext(ctx)
}

// find reads until it has seen want, the end, or limit bytes.
func find(r io.Reader, want string, limit int) (bool, error) {
	seen := make([]byte, 0, min(4096, limit))
	for len(seen) < limit {
		if len(seen) == cap(seen) {
			seen = append(seen, 0)[:len(seen)]
		}
		n, err := r.Read(seen[len(seen):min(cap(seen), limit)])
		from := max(0, len(seen)-len(want)+1)
		seen = seen[:len(seen)+n]
		if bytes.Contains(seen[from:], []byte(want)) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
