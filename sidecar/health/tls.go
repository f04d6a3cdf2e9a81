package health

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
)

// TLS is fine when a whole TLS handshake succeeds: the backend speaks TLS and
// shows a certificate that Config accepts. A nil Config trusts the system's
// authorities; without a server name in it the certificate must be valid for
// the address.
type TLS struct {
	Config  *tls.Config
	Preface string // sent before the handshake, as on all connections to the backend
}

// Check makes one connection and one handshake.
func (c TLS) Check(ctx context.Context, addr netip.AddrPort) error {
	return visit(ctx, addr, c.Preface, func(conn net.Conn) error {
		encrypted, err := encrypt(ctx, conn, c.Config, addr)
		if err != nil {
			return err
		}
		_ = encrypted.Close() // says goodbye; the handshake is the verdict
		return nil
	})
}
