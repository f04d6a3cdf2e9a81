package app_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issue writes a certificate for name and its key into files.
func (a *authority) issue(dir, name string, until time.Time) (cert, key string) {
	a.t.Helper()
	pair := a.certificate(name, until)
	raw, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	writeFile(a.t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	writeFile(a.t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	return cert, key
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// shake connects to a listener that speaks TLS.
func shake(addr string, c *tls.Config) (*tls.Conn, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, c)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// ask sends one request over a connection.
func ask(conn net.Conn, path string) (answer, error) {
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// servedName is the name of the certificate that a client gets who asks for a name.
func servedName(t testing.TB, addr, name string, pool *x509.CertPool) string {
	t.Helper()
	conn, err := shake(addr, &tls.Config{ServerName: name, RootCAs: pool, InsecureSkipVerify: name == ""})
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestAListenerSpeaksTLSByTheNameThatIsAskedFor(t *testing.T) {
	one := newBackend(t, "one-a")
	one.does(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto")) })
	ca, dir := newAuthority(t), t.TempDir()
	shop, shopKey := ca.issue(dir, "shop.test", time.Now().Add(time.Hour))
	api, apiKey := ca.issue(dir, "api.test", time.Now().Add(time.Hour))
	s := start(t, fmt.Sprintf(`
listen: [{ address: "127.0.0.1:0", tls: { certificates: [{ cert: %s, key: %s }, { cert: %s, key: %s }] } }]
clusters: { one: { backends: %s, %s } }
`, shop, shopKey, api, apiKey, list(one), seldom))
	for asked, want := range map[string]string{"shop.test": "shop.test", "api.test": "api.test", "": "shop.test"} {
		if got := servedName(t, s.addr, asked, ca.pool()); got != want {
			t.Errorf("who asks for %q gets the certificate of %q, want %q", asked, got, want)
		}
	}
	conn, err := shake(s.addr, &tls.Config{ServerName: "api.test", RootCAs: ca.pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range 2 {
		if a, err := ask(conn, "/one/"); err != nil || a.status != 200 || a.body != "https" {
			t.Errorf("over TLS: %+v, %v", a, err)
		}
	}
}

func TestASessionIsResumed(t *testing.T) {
	one := newBackend(t, "one-a")
	ca := newAuthority(t)
	cert, key := ca.issue(t.TempDir(), "shop.test", time.Now().Add(time.Hour))
	s := start(t, fmt.Sprintf(`
listen: [{ address: "127.0.0.1:0", tls: { certificates: [{ cert: %s, key: %s }] } }]
clusters: { one: { backends: %s, %s } }
`, cert, key, list(one), seldom))
	c := &tls.Config{ServerName: "shop.test", RootCAs: ca.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	for visit := range 2 {
		conn, err := shake(s.addr, c)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := ask(conn, "/one/"); err != nil || a.status != 200 {
			t.Errorf("%+v, %v", a, err)
		}
		if resumed := conn.ConnectionState().DidResume; resumed != (visit == 1) {
			t.Errorf("visit %d: resumed %v", visit, resumed)
		}
		_ = conn.Close()
	}
}

// Kubernetes mounts a Secret as links to a directory behind a link, which it
// replaces.
func TestACertificateIsSwappedWithoutARestart(t *testing.T) {
	one := newBackend(t, "one-a")
	ca, dir := newAuthority(t), t.TempDir()
	publish := func(version, name string, until time.Time) {
		at := filepath.Join(dir, version)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		cert, key := ca.issue(at, name, until)
		for from, to := range map[string]string{cert: "tls.crt", key: "tls.key"} {
			if err := os.Rename(from, filepath.Join(at, to)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(version, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..1", "first.test", time.Now().Add(time.Hour))
	for _, file := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	configuration := fmt.Sprintf(`
listen: [{ address: "127.0.0.1:0", tls: { certificates: [{ cert: %s/tls.crt, key: %s/tls.key }] } }]
clusters: { one: { backends: %s, %s } }
`, dir, dir, list(one), seldom)
	s := start(t, configuration)
	stays, err := shake(s.addr, &tls.Config{ServerName: "first.test", RootCAs: ca.pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stays.Close() }()

	publish("..2", "second.test", time.Now().Add(time.Hour))
	eventually(t, "the second certificate", func() bool { return servedName(t, s.addr, "", nil) == "second.test" })
	if a, err := ask(stays, "/one/"); err != nil || a.status != 200 {
		t.Errorf("a connection from before: %+v, %v", a, err)
	}

	publish("..3", "third.test", time.Now().Add(-time.Minute))
	told := s.log.await(t, "new certificates are no good")
	if !strings.Contains(fmt.Sprint(told.fields["error"]), "tls.crt has expired on ") {
		t.Errorf("told %v", told.fields)
	}
	if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "tls.crt has expired on ") {
		t.Errorf("a reload with an expired certificate: %v", err)
	}
	if name := servedName(t, s.addr, "", nil); name != "second.test" {
		t.Errorf("served now: %s", name)
	}
	publish("..4", "fourth.test", time.Now().Add(time.Hour))
	eventually(t, "the fourth certificate", func() bool { return servedName(t, s.addr, "", nil) == "fourth.test" })
}

func TestClientsNeedACertificateOfTheRightAuthority(t *testing.T) {
	one := newBackend(t, "one-a")
	ours, theirs, dir := newAuthority(t), newAuthority(t), t.TempDir()
	cert, key := ours.issue(dir, "shop.test", time.Now().Add(time.Hour))
	script := filepath.Join(dir, "route.js")
	writeFile(t, script, `function route(req) {
  if (req.tls && req.tls.subject === 'CN=client.test') return { cluster: 'one', requestHeaders: {} };
  return { respond: { status: 403, body: req.tls ? 'tls ' + req.tls.version + ' ' + req.tls.serverName + ' ' + req.tls.subject : 'cleartext' } };
}`)
	listener := func(auth string) string {
		return fmt.Sprintf(`{ name: %s, address: "127.0.0.1:0", tls: { certificates: [{ cert: %s, key: %s }], client_ca: %s, client_auth: %s } }`, auth, cert, key, ours.file, auth)
	}
	s := start(t, fmt.Sprintf("listen: [%s, %s, { name: clear, address: \"127.0.0.1:0\" }]\nscript: { file: %s }\nclusters: { one: { backends: %s, %s } }\n",
		listener("require"), listener("optional"), script, list(one), seldom))
	require, optional, cleartext := s.Addresses()[0], s.Addresses()[1], s.Addresses()[2]
	visit := func(addr string, certs ...tls.Certificate) (answer, error) {
		conn, err := shake(addr, &tls.Config{ServerName: "shop.test", RootCAs: ours.pool(), Certificates: certs})
		if err != nil {
			return answer{}, err
		}
		defer func() { _ = conn.Close() }()
		return ask(conn, "/")
	}
	good, bad := ours.certificate("client.test", time.Now().Add(time.Hour)), theirs.certificate("client.test", time.Now().Add(time.Hour))
	for _, addr := range []string{require, optional} {
		if a, err := visit(addr, good); err != nil || a.body != "one-a" {
			t.Errorf("the right certificate: %+v, %v", a, err)
		}
	}
	if a, err := visit(optional); err != nil || a.body != "tls 1.3 shop.test " {
		t.Errorf("no certificate where it is optional: %+v, %v", a, err)
	}
	if a, err := visit(require); err == nil {
		t.Errorf("no certificate was let in: %+v", a)
	}
	for range 3 {
		// crypto/tls sends only a certificate of an authority that the server names.
		force := &tls.Config{ServerName: "shop.test", RootCAs: ours.pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &bad, nil }}
		conn, err := shake(require, force)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := ask(conn, "/"); err == nil || !strings.Contains(err.Error(), "unknown certificate authority") {
			t.Errorf("a certificate of another authority: %+v, %v", a, err)
		}
		_ = conn.Close()
	}
	told := s.log.await(t, "the TLS handshake with a client failed")
	if told.fields["listener"] != "require" || told.fields["client"] != "127.0.0.1" {
		t.Errorf("told %v", told.fields)
	}
	if n := len(s.log.all("the TLS handshake with a client failed")); n != 1 {
		t.Errorf("it is told %d times", n)
	}
	plain, err := net.Dial("tcp", cleartext)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	if a, err := ask(plain, "/"); err != nil || a.body != "cleartext" {
		t.Errorf("in cleartext: %+v, %v", a, err)
	}
}

func TestWhoSpeaksCleartextToATLSListenerIsTold(t *testing.T) {
	one := newBackend(t, "one-a")
	cert, key := newAuthority(t).issue(t.TempDir(), "shop.test", time.Now().Add(time.Hour))
	s := start(t, fmt.Sprintf(`
listen: [{ address: "127.0.0.1:0", tls: { certificates: [{ cert: %s, key: %s }] } }]
clusters: { one: { backends: %s, %s } }
`, cert, key, list(one), seldom))
	if a := s.get("/"); a.status != 400 || !strings.Contains(a.body, "the listener speaks TLS: use https://") {
		t.Errorf("got %+v", a)
	}
	s.log.await(t, "a client speaks cleartext to a listener that speaks TLS")
	eventually(t, "no client is left", func() bool { return s.Status().Clients == 0 })
}

// hello is how a client of TLS begins: the head of a record of 512 bytes, and what
// is in it.
var hello = append([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), make([]byte, 400)...)

// The client's half second is longer than any silence that a stop waits for.
func TestAStopWaitsForAHandshakeThatHasBegun(t *testing.T) {
	one := newBackends(t, "one-a")
	ca, dir := newAuthority(t), t.TempDir()
	cert, key := ca.issue(dir, "shop.test", time.Now().Add(time.Hour))
	s := start(t, fmt.Sprintf("listen: [{ address: '127.0.0.1:0', tls: { certificates: [{ cert: %q, key: %q }] } }]\nclusters: { one: { backends: %s } }\nshutdown: { grace: 20s }\n", cert, key, list(one...)))
	s.awaitReady()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	eventually(t, "the client is in", func() bool { return s.Status().Clients == 1 })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.end()
	}()
	thinking := time.NewTimer(500 * time.Millisecond)
	eventually(t, "nobody is let in any more", func() bool {
		again, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = again.Close()
		}
		return err != nil
	})
	<-thinking.C
	secure := tls.Client(nc, &tls.Config{ServerName: "shop.test", RootCAs: ca.pool()})
	if a, err := ask(secure, "/"); err != nil || a.body != "one-a" {
		t.Errorf("it got %+v, %v", a, err)
	}
	_ = nc.Close()
	<-ended
}

func TestAHandshakeThatDoesNotEndIsCut(t *testing.T) {
	one := newBackend(t, "one-a")
	cert, key := newAuthority(t).issue(t.TempDir(), "shop.test", time.Now().Add(time.Hour))
	s := start(t, fmt.Sprintf(`
listen: [{ address: "127.0.0.1:0", tls: { certificates: [{ cert: %s, key: %s }] } }]
limits: { head_timeout: 200ms }
clusters: { one: { backends: %s, %s } }
`, cert, key, list(one), seldom))
	for name, say := range map[string]func(net.Conn) error{
		"nothing is said": func(net.Conn) error { return nil },
		"half a hello":    func(c net.Conn) error { _, err := c.Write(hello[:100]); return err },
		"it drips": func(c net.Conn) error {
			for i := range hello {
				if _, err := c.Write(hello[i : i+1]); err != nil {
					return nil // it was cut while it dripped
				}
				time.Sleep(10 * time.Millisecond) // that of the client, who has four seconds to say
			}
			return fmt.Errorf("all of the hello was waited for")
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := say(conn); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); os.IsTimeout(err) {
				t.Error("the connection is still there")
			}
			eventually(t, "no client is left", func() bool { return s.Status().Clients == 0 })
		})
	}
}

func TestClientsThatNeverShakeHandsMakeRoomForThoseThatDo(t *testing.T) {
	const limit = 8
	one, authority := newBackend(t, "one-a"), newAuthority(t)
	cert, key := authority.issue(t.TempDir(), "shop.test", time.Now().Add(time.Hour))
	s := start(t, fmt.Sprintf(`
listen: [{ address: "127.0.0.1:0", tls: { certificates: [{ cert: %s, key: %s }] } }]
limits: { head_timeout: 1h, connections: %d }
clusters: { one: { backends: %s, %s } }
`, cert, key, limit, list(one), seldom))
	for i := range limit {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write(hello[:i*50]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all of them are there", func() bool { return s.Status().Clients == limit })
	for range limit / 2 {
		eventually(t, "one of them has waited for long enough", func() bool {
			conn, err := shake(s.addr, &tls.Config{ServerName: "shop.test", RootCAs: authority.pool()})
			if err != nil {
				return false
			}
			t.Cleanup(func() { _ = conn.Close() }) // and until then it stays
			a, err := ask(conn, "/")
			return err == nil && a.body == "one-a"
		})
	}
	eventually(t, "no more than are allowed", func() bool { return s.Status().Clients == limit })
}
