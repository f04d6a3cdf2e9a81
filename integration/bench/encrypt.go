package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// certificate is what every contender proves itself by: its files, and both in one for
// who wants it so.
type certificate struct{ Cert, Key, Both string }

// newCertificate makes one for loopback, of its own authority: ECDSA with P-256, the
// kind that public authorities give out by default.
func newCertificate(dir string) (c certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return c, fmt.Errorf("make a certificate: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return c, fmt.Errorf("write down a key: %w", err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
	c = certificate{filepath.Join(dir, "bench.crt"), filepath.Join(dir, "bench.key"), filepath.Join(dir, "bench.pem")}
	for file, text := range map[string][]byte{c.Cert: certPEM, c.Key: keyPEM, c.Both: slices.Concat(certPEM, keyPEM)} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return c, fmt.Errorf("write the certificate: %w", err)
		}
	}
	return c, nil
}

// url is where a path of the proxy is.
func (b *bench) url(p *proxy, path string) string {
	if b.encrypted {
		return "https://" + p.address + path
	}
	return "http://" + p.address + path
}

// shakeHands makes connections that have a whole handshake each; resume makes those
// that go on with a session from before.
func (b *bench) shakeHands(ctx context.Context, p *proxy) (measurement, error) {
	return b.shake(ctx, p, "full")
}

func (b *bench) resume(ctx context.Context, p *proxy) (measurement, error) {
	return b.shake(ctx, p, "resumed")
}

// stream sends requests over connections of HTTP/2 that stay.
func (b *bench) stream(ctx context.Context, p *proxy) (measurement, error) {
	return b.shake(ctx, p, "streams")
}

// call makes unary calls of gRPC.
func (b *bench) call(ctx context.Context, p *proxy) (measurement, error) {
	return b.shake(ctx, p, "calls")
}

func (b *bench) shake(ctx context.Context, p *proxy, how string) (measurement, error) {
	return b.meter(ctx, p, func() (load, error) {
		return b.ownLoad(ctx, "shake", p.address, target, strconv.Itoa(int(b.duration.Seconds())), strconv.Itoa(b.connections), how)
	})
}

// encrypting are those that speak TLS.
func encrypting() []contender { return []contender{outrider(), nginx(), haproxy(), caddy()} }

// shakeView compares by the CPU time of a connection with its handshake and one
// request.
func shakeView() view {
	v := encryptedView()
	v.title = "CPU us/connection"
	v.columns[0].title = "connections/s"
	return v
}

func encryptedView() view {
	v := loadView()
	v.baselines = []string{"nginx", "haproxy"}
	return v
}
