package app_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"outrider/sidecar/proxyproto"
)

// introductory is a backend that is told by the PROXY protocol who its clients are.
type introductory struct {
	addr string

	mu    sync.Mutex // guards heard
	heard map[proxyproto.Header]int
}

func newIntroductory(t *testing.T, serve *tls.Config) *introductory {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &introductory{addr: ln.Addr().String(), heard: map[proxyproto.Header]int{}}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(patience))
				b.serve(conn, serve)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		tasks.Wait()
	})
	return b
}

func (b *introductory) serve(conn net.Conn, serve *tls.Config) {
	in := bufio.NewReader(conn)
	for n := 1; ; n++ {
		raw, err := in.Peek(n)
		if err != nil {
			return
		}
		said, size, err := proxyproto.Parse(raw)
		if err != nil {
			return
		}
		if size > 0 {
			_, _ = in.Discard(size)
			b.hear(said)
			break
		}
	}
	if serve != nil {
		conn = tls.Server(&peeked{conn, in}, serve)
		in = bufio.NewReader(conn)
	}
	for {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

// peeked is a connection of which some was read.
type peeked struct {
	net.Conn
	in *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.in.Read(b) }

func (b *introductory) hear(h proxyproto.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard[h]++
}

// times is how often a connection was introduced so.
func (b *introductory) times(h proxyproto.Header) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard[h]
}

func TestTheProxyProtocolStandsBeforeTLSOnBothSides(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	cert, key := ca.issue(dir, "shop.test", time.Now().Add(time.Hour))
	far := newIntroductory(t, &tls.Config{Certificates: []tls.Certificate{ca.certificate("app.test", time.Now().Add(time.Hour))}})
	for _, check := range []string{"tls", "http", "tcp"} {
		s := start(t, fmt.Sprintf(`
listen: [{ address: "127.0.0.1:0", proxy_protocol: true, tls: { certificates: [{ cert: %s, key: %s }] } }]
trusted_proxies: [private]
clusters:
  one: { backends: [%q], send_proxy: v2, tls: { server_name: app.test, ca: %s }, check: { type: %s, interval: 50ms } }
`, cert, key, far.addr, ca.file, check))
		s.awaitReady()
		eventually(t, "a check says that it is the sidecar's own", func() bool { return far.times(proxyproto.Header{}) > 0 })
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		secure := tls.Client(conn, &tls.Config{ServerName: "shop.test", RootCAs: ca.pool()})
		said := proxyproto.Header{Source: netip.MustParseAddrPort("192.0.2.1:1234"), Destination: netip.MustParseAddrPort("192.0.2.2:443")}
		_, err = conn.Write(proxyproto.V2.Append(nil, said))
		for range 2 {
			a, asked := ask(secure, "/")
			if err = errors.Join(err, asked); err != nil || a.body != "ok" {
				t.Fatalf("%s: got %+v, %v", check, a, err)
			}
		}
		if n := far.times(said); n != 1 {
			t.Errorf("%s: introduced %d times", check, n)
		}
		if state := s.Status().Clusters[0].Backends[0].State; state != "up" {
			t.Errorf("%s: the backend is %s", check, state)
		}
		_ = conn.Close()
		s.end()
		far.mu.Lock()
		clear(far.heard)
		far.mu.Unlock()
	}
}

func TestTheProxyProtocolComesAndGoesByAReload(t *testing.T) {
	one := newBackend(t, "one-a")
	one.does(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Forwarded-For")) })
	const configuration = `
listen: [{ address: "127.0.0.1:0", proxy_protocol: %t }]
trusted_proxies: [127.0.0.1]
status: { listen: "127.0.0.1:0" }
clusters: { one: { backends: %s, %s } }
`
	var page status
	s := start(t, fmt.Sprintf(configuration, true, list(one), seldom), page.option)
	introduced := func() (answer, error) {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			return answer{}, err
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"); err != nil {
			return answer{}, err
		}
		return ask(conn, "/")
	}
	if a, err := introduced(); err != nil || a.body != "192.0.2.1" {
		t.Errorf("introduced: %+v, %v", a, err)
	}
	if a, err := s.try("/"); err == nil {
		t.Errorf("not introduced: %+v", a)
	}
	if told := s.log.await(t, "a connection to a listener with proxy_protocol is refused"); told.fields["client"] != "127.0.0.1" {
		t.Errorf("told %v", told.fields)
	}
	page.awaitLines(t, "outrider_proxy_protocol_refused_total 1")

	s.reload(fmt.Sprintf(configuration, false, list(one), seldom))
	if a := s.get("/"); a.body != "127.0.0.1" {
		t.Errorf("not introduced: %+v", a)
	}
	if a, err := introduced(); err != nil || a.status != 400 {
		t.Errorf("introduced: %+v, %v", a, err)
	}
}
