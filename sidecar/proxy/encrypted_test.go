package proxy_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// halfCloser is a connection whose sending side can end alone.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// encrypted is what listeners speak TLS by where the tests run over it, and where they
// listen.
type encrypted struct {
	certificate func(testing.TB) tls.Certificate

	mu        sync.Mutex // guards listeners
	listeners map[string]bool
}

func newEncrypted() *encrypted {
	var once sync.Once
	var made tls.Certificate
	return &encrypted{
		certificate: func(t testing.TB) tls.Certificate {
			once.Do(func() { made = newAuthority(t).certificate("sidecar.test", time.Now().Add(time.Hour)) })
			return made
		},
		listeners: make(map[string]bool),
	}
}

// config is what a listener at this address speaks TLS by until the test is over.
func (e *encrypted) config(t testing.TB, addr string) func() *tls.Config {
	made := &tls.Config{Certificates: []tls.Certificate{e.certificate(t)}, NextProtos: []string{http2.NextProtoTLS, "http/1.1"}}
	e.set(addr, true)
	t.Cleanup(func() { e.set(addr, false) })
	return func() *tls.Config { return made }
}

func (e *encrypted) set(addr string, speaksTLS bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners[addr] = speaksTLS
}

func (e *encrypted) speaksTLS(addr string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listeners[addr]
}

var overTLS = newEncrypted()

// dial connects to addr, in TLS where a listener there speaks it, to speak protocol.
func dial(addr, protocol string) (halfCloser, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if !overTLS.speaksTLS(addr) {
		return nc.(*net.TCPConn), nil
	}
	secure := trusted()
	secure.NextProtos = []string{protocol}
	return tls.Client(nc, secure), nil
}

// dialling makes dial what a client of net/http connects by, whatever its URLs say.
func dialling(protocol string) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, addr string) (net.Conn, error) { return dial(addr, protocol) }
}

// mustDial is dial to speak HTTP/1.1.
func mustDial(t testing.TB, addr string) halfCloser {
	t.Helper()
	nc, err := dial(addr, "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// trusted is what a sidecar is connected to by another one; nil: in cleartext.
func trusted() *tls.Config {
	if *transport != "tls" {
		return nil
	}
	return &tls.Config{InsecureSkipVerify: true}
}

// refusesHandshake tells whether the sidecar turns the client away before it has heard
// it. In cleartext it never does.
func (c *client) refusesHandshake() bool {
	c.t.Helper()
	secure, ok := c.nc.(*tls.Conn)
	if !ok {
		return false
	}
	c.patient()
	err := secure.Handshake()
	if err != nil && !strings.HasSuffix(err.Error(), "remote error: tls: internal error") {
		c.t.Fatalf("the handshake fails: %v", err)
	}
	return err != nil
}

// expectTurnedAway wants the connection to be one too many.
func (c *client) expectTurnedAway() {
	c.t.Helper()
	if c.refusesHandshake() {
		return
	}
	a := c.response() // without a request
	expectFault(c.t, a, http.StatusServiceUnavailable, "connection_limit_reached")
	if a.Header.Get("Retry-After") == "" || !a.Close {
		c.t.Errorf("got Retry-After %q, close %v", a.Header.Get("Retry-After"), a.Close)
	}
	c.expectEnd()
}

// scheme is that of the sidecars' addresses.
func scheme() string {
	if *transport == "tls" {
		return "https"
	}
	return "http"
}
