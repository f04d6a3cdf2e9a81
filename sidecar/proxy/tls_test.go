package proxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"outrider/sidecar/cluster"
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
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

// certificate is for name, until a time.
func (a *authority) certificate(name string, until time.Time) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// secured makes a cluster speak TLS, to a backend of this name that this
// authority vouches for.
func secured(name string, trust *authority) option {
	return policy(func(p *cluster.Policy) {
		p.TLS = &tls.Config{ServerName: name, RootCAs: trust.pool(), MinVersion: tls.VersionTLS12}
	})
}

// secureServer is a far end that speaks HTTP over TLS, and knows who connected.
type secureServer struct {
	addr  netip.AddrPort
	mu    sync.Mutex // guards names
	names []string   // that were asked for, one for each handshake
}

func newSecureServer(t testing.TB, cert tls.Certificate, h http.HandlerFunc, protocols ...string) *secureServer {
	t.Helper()
	u := new(secureServer)
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = len(protocols) > 0
	s.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.names = append(u.names, hello.ServerName)
		return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols}, nil
	}}
	s.Config.ErrorLog = log.New(t.Output(), "far end: ", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	u.addr = addressOf(s)
	return u
}

// handshakes are the names that were asked for.
func (u *secureServer) handshakes() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.names...)
}

func hello(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "ok")
}

func TestUpstreamsAreSpokenToOverTLS(t *testing.T) {
	ca := newAuthority(t)
	up := newSecureServer(t, ca.certificate("app.test", time.Now().Add(time.Hour)), hello)
	sc := newSidecar(t, at(up.addr), secured("app.test", ca))
	for range 3 {
		expectOK(t, sc.ask(t, getRoot))
		expectOK(t, sc.ask(t, postHello))
	}
	if names := up.handshakes(); len(names) != 1 || names[0] != "app.test" {
		t.Errorf("the handshakes asked for %q, want one, for app.test", names)
	}
}

func TestABackendThatCanNotProveWhoItIsGetsNoRequest(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	rows := []struct {
		name   string
		cert   tls.Certificate
		reason string
	}{
		{"wrong name", ca.certificate("other.test", later), "valid for other.test, not app.test"},
		{"expired", ca.certificate("app.test", time.Now().Add(-time.Hour)), "expired"},
		{"unknown authority", stranger.certificate("app.test", later), "unknown authority"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			hook, tapped := logged()
			told := new(failures)
			up := newSecureServer(t, row.cert, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
			sc := newSidecar(t, at(up.addr), secured("app.test", ca), tapped, told.option())
			for range 2 {
				a := sc.ask(t, postHello)
				expectFault(t, a, http.StatusBadGateway, "tls_certificate_error")
				if !strings.Contains(a.body, row.reason) {
					t.Errorf("the answer says %q, want the reason %q", a.body, row.reason)
				}
			}
			entries := hook.AllEntries()
			if len(entries) != 1 {
				t.Fatalf("%d lines of log for one cause, want 1", len(entries))
			}
			if reason, _ := entries[0].Data["reason"].(string); !strings.Contains(reason, row.reason) {
				t.Errorf("the log gives the reason %q, want %q", reason, row.reason)
			}
			if n := len(told.all()); n != 2 {
				t.Errorf("OnFailure was called %d times, want 2", n)
			}
		})
	}
}

func TestABackendThatCanNotProveWhoItIsIsReplaced(t *testing.T) {
	ca := newAuthority(t)
	later := time.Now().Add(time.Hour)
	bad := newSecureServer(t, ca.certificate("other.test", later), hello)
	good := newSecureServer(t, ca.certificate("app.test", later), hello)
	sc := newSidecar(t, at(bad.addr, good.addr), secured("app.test", ca))
	for range 4 {
		expectOK(t, sc.ask(t, postHello))
	}
}

func TestABackendThatSpeaksNoTLSIsABadGateway(t *testing.T) {
	ca := newAuthority(t)
	hook, tapped := logged()
	up := newUpstream(t, func(c *far) {
		c.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up), secured("app.test", ca), tapped)
	a := sc.ask(t, getRoot)
	expectFault(t, a, http.StatusBadGateway, "tls_protocol_error")
	const reason = "no TLS answer"
	if e := hook.LastEntry(); e == nil || e.Data["reason"] != reason || !strings.Contains(a.body, reason) {
		t.Errorf("the log says %v, the answer %q", e, a.body)
	}
}

func TestAHandshakeThatTakesTooLongIsAGatewayTimeout(t *testing.T) {
	told := new(failures)
	up := newUpstream(t, func(c *far) { _ = c.awaitClose() })
	sc := newSidecar(t, to(up), secured("app.test", newAuthority(t)), told.option(),
		policy(func(p *cluster.Policy) { p.Connect = 100 * time.Millisecond }))
	expectFault(t, sc.ask(t, getRoot), http.StatusGatewayTimeout, "connection_timeout")
	if errs := told.all(); len(errs) != 1 || !isTimeout(errs[0]) {
		t.Errorf("OnFailure got %v, want a timeout", errs)
	}
}

func TestBodiesStreamOverTLSInBothDirections(t *testing.T) {
	ca := newAuthority(t)
	up := newSecureServer(t, ca.certificate("app.test", time.Now().Add(time.Hour)), func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		for piece := make([]byte, 1<<10); ; {
			n, err := r.Body.Read(piece)
			_, _ = w.Write(piece[:n])
			_ = control.Flush()
			if err != nil {
				return
			}
		}
	})
	sc := newSidecar(t, at(up.addr), secured("app.test", ca))
	c := dialRaw(t, sc.addr)
	for range 2 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
		c.head()
		c.expect("3\r\none\r\n")
		c.send("3\r\ntwo\r\n").expect("3\r\ntwo\r\n")
		c.send("0\r\n\r\n").expect("0\r\n\r\n")
	}
	sc.rest(t)
	const size = 8 << 20
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+sc.addr, io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browse(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d of %d bytes came back: %v", n, size, err)
	}
	if n := len(up.handshakes()); n != 1 {
		t.Errorf("%d handshakes, want the connection used again", n)
	}
}

func TestALostClientCancelsAnExchangeOverTLS(t *testing.T) {
	ca := newAuthority(t)
	waiting, cancelled := make(chan struct{}), make(chan struct{})
	up := newSecureServer(t, ca.certificate("app.test", time.Now().Add(time.Hour)), func(_ http.ResponseWriter, r *http.Request) {
		close(waiting)
		<-r.Context().Done()
		close(cancelled)
	})
	sc := newSidecar(t, at(up.addr), secured("app.test", ca))
	c := dialRaw(t, sc.addr).send(getRoot)
	<-waiting
	c.reset()
	select {
	case <-cancelled:
	case <-time.After(patience):
		t.Error("the backend was not told")
	}
}

// While the backend thinks, the client sends its next requests: looking for its
// end must not lose them.
func TestRequestsThatArriveMeanwhileAreServedOverTLS(t *testing.T) {
	ca := newAuthority(t)
	answer := make(chan struct{})
	up := newSecureServer(t, ca.certificate("app.test", time.Now().Add(time.Hour)), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-answer
		}
		_, _ = io.WriteString(w, r.URL.Path)
	})
	sc := newSidecar(t, at(up.addr), secured("app.test", ca))
	c := dialRaw(t, sc.addr).send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	until(t, "the exchange", func() bool { return len(up.handshakes()) == 1 })
	pause := time.NewTicker(30 * time.Millisecond) // long enough for the client to be watched
	defer pause.Stop()
	for _, path := range []string{"/a", "/b", "/c"} {
		<-pause.C
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	<-pause.C
	close(answer)
	for _, path := range []string{"/slow", "/a", "/b", "/c"} {
		if a := c.response(); a.body != path {
			t.Errorf("got %q, want the answer to %s", a.body, path)
		}
	}
}
