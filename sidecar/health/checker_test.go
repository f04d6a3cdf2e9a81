package health

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"outrider/sidecar/cause"
)

// server is a backend on loopback that treats every connection the same way.
type server struct {
	listener net.Listener
	busy     sync.WaitGroup
	once     sync.Once
}

func listen(t *testing.T) *server { return serve(t, func(net.Conn) {}) }

// serve hands each connection to talk and closes it afterwards.
func serve(t *testing.T, talk func(net.Conn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: l}
	s.busy.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.busy.Go(func() {
				defer conn.Close()
				talk(conn)
			})
		}
	})
	t.Cleanup(s.close)
	return s
}

func (s *server) close() {
	s.once.Do(func() {
		_ = s.listener.Close()
		s.busy.Wait()
	})
}

func (s *server) addr() netip.AddrPort {
	return netip.MustParseAddrPort(s.listener.Addr().String())
}

// answering reads a request head and answers with text.
func answering(t *testing.T, text string) *server {
	return serve(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, text)
		}
	})
}

// cleartext answers a TLS client as an HTTP server does.
func cleartext(t *testing.T) *server {
	return serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
}

// silent keeps connections open until the client leaves.
func silent(t *testing.T) *server {
	return serve(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
}

func resetting(t *testing.T) *server {
	return serve(t, func(conn net.Conn) {
		one := make([]byte, 1)
		_, _ = conn.Read(one)
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
}

// nobody is an address that refuses.
func nobody(t *testing.T) netip.AddrPort {
	s := listen(t)
	s.close()
	return s.addr()
}

// examine runs one check and wants the reason, empty for none.
func examine(t *testing.T, name string, c Checker, addr netip.AddrPort, timeout time.Duration, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	got := ""
	if err := c.Check(ctx, addr); err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
	if ctx.Err() != nil && !strings.HasPrefix(want, "timeout") {
		t.Errorf("%s: it used up all its time", name)
	}
}

const (
	ample = 10 * time.Second
	short = 50 * time.Millisecond
)

func TestTCPCheck(t *testing.T) {
	redis := serve(t, func(conn net.Conn) {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if line == "PING\r\n" {
			for _, part := range []string{"+P", "ON", "G\r\n"} {
				_, _ = io.WriteString(conn, part)
			}
			_, _ = io.Copy(io.Discard, conn)
		}
	})
	smtp := serve(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "220 mail ready\r\n") })
	endless := serve(t, func(conn net.Conn) {
		for {
			if _, err := conn.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	for _, c := range []struct {
		name    string
		check   TCP
		addr    netip.AddrPort
		timeout time.Duration
		want    string
	}{
		{"open port", TCP{}, smtp.addr(), ample, ""},
		{"closed port", TCP{}, nobody(t), ample, "refused"},
		{"answer in pieces", TCP{Send: "PING\r\n", Expect: "+PONG"}, redis.addr(), ample, ""},
		{"greeting", TCP{Expect: "220 "}, smtp.addr(), ample, ""},
		{"other greeting", TCP{Expect: "+OK"}, smtp.addr(), ample, `answer does not contain "+OK"`},
		{"endless answer", TCP{Expect: "+OK"}, endless.addr(), ample, `answer does not contain "+OK"`},
		{"silence", TCP{Expect: "+OK"}, silent(t).addr(), short, "timeout after 50ms"},
		{"reset", TCP{Send: "PING\r\n", Expect: "+OK"}, resetting(t).addr(), ample, "reset"},
	} {
		examine(t, c.name, c.check, c.addr, c.timeout, c.want)
	}
}

func TestTLSCheck(t *testing.T) {
	good, pool := certificate(t, time.Hour, "app.test")
	expired, expiredPool := certificate(t, -time.Hour, "app.test")
	future, futurePool := certificate(t, 0, "app.test")
	byAddress, addressPool := certificate(t, time.Hour, "127.0.0.1")
	leaving := serve(t, func(conn net.Conn) {
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	now := time.Now().UTC()

	for _, c := range []struct {
		name    string
		config  *tls.Config
		addr    netip.AddrPort
		timeout time.Duration
		want    string
	}{
		{"right", &tls.Config{ServerName: "app.test", RootCAs: pool}, encrypted(t, good).addr(), ample, ""},
		{"valid for the address", &tls.Config{RootCAs: addressPool}, encrypted(t, byAddress).addr(), ample, ""},
		{"wrong name", &tls.Config{ServerName: "b.test", RootCAs: pool}, encrypted(t, good).addr(), ample, "certificate: valid for app.test, not b.test"},
		{"no name for the address", &tls.Config{RootCAs: pool}, encrypted(t, good).addr(), ample, "certificate: valid for app.test, not 127.0.0.1"},
		{"unknown authority", nil, encrypted(t, byAddress).addr(), ample, "certificate: signed by an unknown authority"},
		{"expired", &tls.Config{ServerName: "app.test", RootCAs: expiredPool}, encrypted(t, expired).addr(), ample, "certificate: expired on " + now.Add(-time.Hour).Format(time.DateOnly)},
		{"from the future", &tls.Config{ServerName: "app.test", RootCAs: futurePool}, encrypted(t, future).addr(), ample, "certificate: not valid before 2100-01-01 00:00:00"},
		{"not verified", &tls.Config{InsecureSkipVerify: true}, encrypted(t, expired).addr(), ample, ""},
		{"cleartext", nil, cleartext(t).addr(), ample, "no TLS answer"},
		{"silence", nil, silent(t).addr(), short, "timeout after 50ms"},
		{"nobody", nil, nobody(t), ample, "refused"},
		{"hangs up", nil, leaving.addr(), ample, "closed without a full answer"},
		{"no common version", &tls.Config{MaxVersion: tls.VersionTLS12, RootCAs: pool, ServerName: "app.test"}, encrypted(t, good).addr(), ample, "tls: protocol version not supported"},
	} {
		examine(t, c.name, TLS{Config: c.config}, c.addr, c.timeout, c.want)
	}
}

func TestTLSCheckNeverResumes(t *testing.T) {
	good, pool := certificate(t, time.Hour, "app.test")
	config := &tls.Config{ServerName: "app.test", RootCAs: pool, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	resumed := make(chan bool, 3)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{good}})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: l}
	s.busy.Go(func() {
		for range 3 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
			resumed <- conn.(*tls.Conn).ConnectionState().DidResume
			_ = conn.Close()
		}
	})
	t.Cleanup(s.close)
	for range 3 {
		examine(t, "check", HTTP{TLS: config}, s.addr(), ample, "")
		if <-resumed {
			t.Error("a session was resumed")
		}
	}
}

func TestHTTPCheck(t *testing.T) {
	const fine = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall: well"
	endless := serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		for {
			if _, err := conn.Write([]byte(strings.Repeat("x", 4096))); err != nil {
				return
			}
		}
	})
	trickle := serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n6\r\n: well\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	early := serve(t, func(conn net.Conn) { // does not even read the request
		_, _ = io.WriteString(conn, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	for _, c := range []struct {
		name    string
		check   HTTP
		addr    netip.AddrPort
		timeout time.Duration
		want    string
	}{
		{"fine", HTTP{}, answering(t, fine).addr(), ample, ""},
		{"redirect, not followed", HTTP{}, answering(t, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").addr(), ample, ""},
		{"redirect, not wanted", HTTP{StatusRanges: []StatusRange{{200, 299}}}, answering(t, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n").addr(), ample, "status 302"},
		{"error", HTTP{}, answering(t, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").addr(), ample, "status 500"},
		{"error, wanted", HTTP{StatusRanges: []StatusRange{{200, 299}, {500, 500}}}, answering(t, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").addr(), ample, ""},
		{"answered before it was asked", HTTP{}, early.addr(), ample, "status 503"},
		{"interim answers", HTTP{}, answering(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"+fine).addr(), ample, ""},
		{"unasked upgrade", HTTP{}, answering(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").addr(), ample, "status 101"},
		{"body", HTTP{BodyMatch: "all: well"}, answering(t, fine).addr(), ample, ""},
		{"body in chunks that never end", HTTP{BodyMatch: "all: well"}, trickle.addr(), ample, ""},
		{"body that never ends and nobody asked for", HTTP{}, trickle.addr(), ample, ""},
		{"body at its far end", HTTP{BodyMatch: "ready"}, answering(t, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 60<<10)+"ready").addr(), ample, ""},
		{"other body", HTTP{BodyMatch: "ready"}, answering(t, fine).addr(), ample, `body does not contain "ready"`},
		{"endless body", HTTP{BodyMatch: "ready"}, endless.addr(), ample, `body does not contain "ready"`},
		{"endless body that nobody asked for", HTTP{}, endless.addr(), ample, ""},
		{"body cut off", HTTP{BodyMatch: "ready"}, answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nrea").addr(), ample, "closed without a full answer"},
		{"endless head", HTTP{}, answering(t, "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("x", 100<<10)).addr(), ample, "response head too long"},
		{"no HTTP", HTTP{}, answering(t, "220 mail ready\r\n\r\n").addr(), ample, "no HTTP answer"},
		{"nothing", HTTP{}, answering(t, "").addr(), ample, "closed without a full answer"},
		{"silence", HTTP{}, silent(t).addr(), short, "timeout after 50ms"},
		{"refused", HTTP{}, nobody(t), ample, "refused"},
	} {
		examine(t, c.name, c.check, c.addr, c.timeout, c.want)
	}
}

func TestHTTPCheckSendsWhatItIsTold(t *testing.T) {
	requests := make(chan *http.Request, 1)
	s := serve(t, func(conn net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			requests <- r
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	check := HTTP{
		Path:   "/healthz?deep=1",
		Host:   "app.test",
		Header: http.Header{"authorization": {"Bearer x"}, "User-Agent": {"me"}},
	}
	examine(t, "check", check, s.addr(), ample, "")
	r := <-requests
	if r.Method != http.MethodGet || r.RequestURI != "/healthz?deep=1" || r.Host != "app.test" || !r.Close {
		t.Errorf("asked %s %s of %q, close %v", r.Method, r.RequestURI, r.Host, r.Close)
	}
	if r.Header.Get("Authorization") != "Bearer x" || r.UserAgent() != "me" {
		t.Errorf("fields %v", r.Header)
	}

	examine(t, "check", HTTP{}, s.addr(), ample, "")
	r = <-requests
	if r.RequestURI != "/" || r.Host != s.addr().String() || r.UserAgent() != "outrider-check" {
		t.Errorf("asked %s of %q as %q", r.RequestURI, r.Host, r.UserAgent())
	}

	examine(t, "check", HTTP{Path: "/%zz"}, s.addr(), ample, `the check's own request: parse "http://`+s.addr().String()+`/%zz": invalid URL escape "%zz"`)
}

func TestHTTPCheckOverTLS(t *testing.T) {
	good, pool := certificate(t, time.Hour, "app.test")
	s := encrypted(t, good)
	examine(t, "right", HTTP{TLS: &tls.Config{ServerName: "app.test", RootCAs: pool, NextProtos: []string{"h2"}}, BodyMatch: "app.test"}, s.addr(), ample, "")
	examine(t, "wrong name", HTTP{TLS: &tls.Config{ServerName: "b.test", RootCAs: pool}}, s.addr(), ample, "certificate: valid for app.test, not b.test")
	examine(t, "cleartext", HTTP{TLS: &tls.Config{ServerName: "app.test", RootCAs: pool}}, cleartext(t).addr(), ample, "no TLS answer")
}

func TestACancelledCheckIsNoEvidence(t *testing.T) {
	for _, c := range []Checker{TCP{Send: "x", Expect: "x"}, TLS{}, HTTP{}} {
		ctx, cancel := context.WithCancel(t.Context())
		heard := make(chan struct{}, 1) // something, so that it is past the dial
		s := serve(t, func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1))
			heard <- struct{}{}
			_, _ = io.Copy(io.Discard, conn)
		})
		result := make(chan error, 1)
		var checking sync.WaitGroup
		checking.Go(func() { result <- c.Check(ctx, s.addr()) })
		<-heard
		cancel()
		if err := <-result; err == nil || !cause.Local(err) {
			t.Errorf("%T: %v, want an error that is no evidence", c, err)
		}
		checking.Wait()
	}
}

func FuzzFind(f *testing.F) {
	f.Add("all is well", "is", uint8(3))
	f.Add("aab", "ab", uint8(1))
	f.Fuzz(func(t *testing.T, text, want string, step uint8) {
		if want == "" || step == 0 {
			return
		}
		const limit = 64
		found, err := find(&stepwise{text, int(step)}, want, limit)
		if expected := strings.Contains(text[:min(len(text), limit)], want); found != expected {
			t.Errorf("find(%q, %q) = %v, %v", text, want, found, err)
		}
	})
}

// stepwise gives a few bytes at a time.
type stepwise struct {
	rest string
	step int
}

func (s *stepwise) Read(p []byte) (int, error) {
	if s.rest == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.step)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// encrypted speaks TLS 1.3 and answers requests with the name that it was
// asked for.
func encrypted(t *testing.T, c tls.Certificate) *server {
	config := &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
	return serve(t, func(conn net.Conn) {
		secure := tls.Server(conn, config)
		defer secure.Close()
		if secure.Handshake() != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(secure))
		if err != nil || secure.ConnectionState().NegotiatedProtocol != "http/1.1" {
			return
		}
		_, _ = io.WriteString(secure, "HTTP/1.1 200 OK\r\n\r\nthis is "+r.Host)
	})
}

// certificate is for one host and signed by itself; the pool trusts it. It
// ends after lasts, or lies in the future when that is 0.
func certificate(t *testing.T, lasts time.Duration, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: host},
		NotBefore:    time.Now().Add(-2 * time.Hour),
		NotAfter:     time.Now().Add(lasts),
		IsCA:         true, BasicConstraintsValid: true,
	}
	if lasts == 0 {
		template.NotBefore = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
		template.NotAfter = template.NotBefore.AddDate(1, 0, 0)
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}
