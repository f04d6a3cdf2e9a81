package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// authority signs the certificates of a test.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string // its certificate as PEM
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writeFile(t, a.file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificate is for name, valid until a time.
func (a *authority) certificate(name string, until time.Time) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure is a far end behind TLS that counts handshakes and connections.
type secure struct {
	addr       string
	handshakes atomic.Int64
	asked      atomic.Pointer[string] // the server name, last
}

func newSecure(t testing.TB, cert tls.Certificate, settings ...func(*tls.Config)) *secure {
	t.Helper()
	far := new(secure)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s by %s for %s", r.URL.Path, r.TLS.ServerName, r.Host)
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{cert},
		VerifyConnection: func(state tls.ConnectionState) error {
			far.handshakes.Add(1)
			far.asked.Store(&state.ServerName)
			return nil
		},
	}
	for _, set := range settings {
		set(server.TLS)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	far.addr = server.Listener.Addr().String()
	return far
}

func TestTLSUpstreamVerifiesTheBackend(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	later, earlier := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		cert   tls.Certificate
		reason string // in the log; empty: it works
	}{
		"good":       {ours.certificate("backend.test", later), ""},
		"wrong name": {ours.certificate("other.test", later), "other.test"},
		"expired":    {ours.certificate("backend.test", earlier), "expired"},
		"unknown CA": {theirs.certificate("backend.test", later), "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			far := newSecure(t, c.cert)
			s := start(t, fmt.Sprintf(
				"clusters:\n  web:\n    backends: [%q]\n    check: { type: off }\n    tls: { server_name: backend.test, ca: %q }\n", "https://"+far.addr, ours.file))
			s.awaitReady()
			a := s.get("/path")
			if c.reason == "" {
				if want := "/path by backend.test for backend.test"; a.status != 200 || a.body != want {
					t.Errorf("got %+v, want %q", a, want)
				}
				return
			}
			if a.status != 502 || !strings.Contains(a.header.Get("Proxy-Status"), "tls_certificate_error") {
				t.Errorf("got %+v", a)
			}
			told := s.log.await(t, "the TLS handshake with a backend failed")
			if reason := fmt.Sprint(told.fields["reason"]); !strings.Contains(reason, c.reason) {
				t.Errorf("the log gives the reason %q, want %q", reason, c.reason)
			}
		})
	}
}

func TestChecksOverTLSDoTheHandshake(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	good, bad := newSecure(t, ours.certificate("backend.test", later)), newSecure(t, theirs.certificate("backend.test", later))
	for _, check := range []string{"{ type: http, path: /healthz, interval: 50ms }", "{ type: tls, interval: 50ms }"} {
		t.Run(check, func(t *testing.T) {
			before := good.handshakes.Load()
			s := start(t, fmt.Sprintf(
				"clusters:\n  web:\n    backends: [%q, %q]\n    check: %s\n    tls: { server_name: backend.test, ca: %q }\n", good.addr, bad.addr, check, ours.file))
			out := s.log.await(t, bad.addr+" out:")
			if !strings.Contains(out.message, "certificate: signed by an unknown authority") {
				t.Errorf("the log says %q", out.message)
			}
			eventually(t, "two handshakes with the good one", func() bool { return good.handshakes.Load() >= before+2 })
			if name := *good.asked.Load(); name != "backend.test" {
				t.Errorf("the check asked for %q", name)
			}
			if usable := s.Status().Clusters[0].Usable; usable != 1 {
				t.Errorf("%d of the two can be used, want 1", usable)
			}
			for range 4 {
				if a := s.get("/"); a.status != 200 {
					t.Errorf("got %+v", a)
				}
			}
		})
	}
}

// A reload reads the authority's file again: what it finds is equal, and so the
// connections stay. With another authority they must not.
func TestAReloadKeepsTLSConnectionsUnlessTLSChanges(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	far := newSecure(t, ours.certificate("backend.test", time.Now().Add(time.Hour)))
	text := "clusters:\n  web:\n    backends: [%q]\n    check: { type: off }\n    tls: { server_name: backend.test, ca: %q }\n"
	s := start(t, fmt.Sprintf(text, far.addr, ours.file))
	s.awaitReady()
	s.get("/")
	first := far.handshakes.Load()
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/"); a.status != 200 || far.handshakes.Load() != first {
		t.Errorf("a reload of the same file cost a handshake (%d, now %d), %+v", first, far.handshakes.Load(), a)
	}
	s.write(fmt.Sprintf(text, far.addr, theirs.file))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/"); a.status != 502 {
		t.Errorf("the old connection is used under the new authority: %+v", a)
	}
}

func TestBackendsThatAskForACertificateGetOne(t *testing.T) {
	backends, sidecars, dir := newAuthority(t), newAuthority(t), t.TempDir()
	cert, key := sidecars.issue(dir, "sidecar.test", time.Now().Add(time.Hour))
	far := newSecure(t, backends.certificate("backend.test", time.Now().Add(time.Hour)), func(c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, sidecars.pool()
	})
	text := "clusters:\n  web:\n    backends: [%q]\n    check: { type: %s, interval: 50ms }\n    tls: { server_name: backend.test, ca: %q%s }\n"
	for _, check := range []string{"http, path: /healthz", "tls"} {
		s := start(t, fmt.Sprintf(text, far.addr, check, backends.file, fmt.Sprintf(", client_cert: %q, client_key: %q", cert, key)))
		s.awaitReady()
		if a := s.get("/x"); a.status != 200 || s.Status().Clusters[0].Usable != 1 {
			t.Errorf("with a certificate, check %s: %+v", check, a)
		}
		s.end()
	}
	s := start(t, fmt.Sprintf(text, far.addr, "http, path: /healthz", backends.file, ""))
	s.awaitReady()
	if a := s.get("/x"); a.status != 503 && a.status != 502 {
		t.Errorf("without one: %+v", a)
	}
}

// What the files of a cluster hold is taken up by itself, and the connections that
// were made by what they held are not used any more.
func TestAnAuthorityIsSwappedWithoutARestart(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	far := newSecure(t, ours.certificate("backend.test", time.Now().Add(time.Hour)))
	pinned := filepath.Join(t.TempDir(), "pinned.pem")
	copyFile(t, ours.file, pinned)
	s := start(t, fmt.Sprintf("clusters:\n  web:\n    backends: [%q]\n    check: { type: off }\n    tls: { server_name: backend.test, ca: %q }\n", far.addr, pinned))
	s.awaitReady()
	if a := s.get("/"); a.status != 200 {
		t.Fatalf("before: %+v", a)
	}
	copyFile(t, theirs.file, pinned)
	eventually(t, "the backend is not believed", func() bool { return s.get("/").status == 502 })
	copyFile(t, ours.file, pinned)
	eventually(t, "the backend is believed again", func() bool { return s.get("/").status == 200 })
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to+"~", string(data))
	if err := os.Rename(to+"~", to); err != nil {
		t.Fatal(err)
	}
}
