package stream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"outrider/sidecar/stream"
)

func idleAddr(ln net.Listener) netip.AddrPort { return ln.Addr().(*net.TCPAddr).AddrPort() }

func TestADialThatIsRefusedSaysSo(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		ln := listen(t)
		_ = ln.Close()
		c, err := l.Dial(stream.Target{Addr: idleAddr(ln)}, patience, nil)
		var op *net.OpError
		if !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) || op.Addr.String() != ln.Addr().String() {
			t.Errorf("got %v, %v", c, err)
		}
	})
}

// A full backlog is silent about who comes next.
func TestADialThatIsNotAnsweredTimesOut(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		addr := fullBacklog(t)
		start := time.Now()
		c, err := l.Dial(stream.Target{Addr: addr}, brief, nil)
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("got %v, %v", c, err)
		}
		if took := time.Since(start); took < brief {
			t.Errorf("it took %v", took)
		}
	})
}

func TestStopAllEndsADial(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		addr := fullBacklog(t)
		dialling := begin(func() error { _, err := l.Dial(stream.Target{Addr: addr}, time.Hour, nil); return err })
		l.StopAll()
		select {
		case err := <-dialling:
			if err == nil {
				t.Error("it is connected")
			}
		case <-time.After(patience):
			t.Fatal("it still waits")
		}
	})
}

// fullBacklog is an address at which nobody is accepted any more.
func fullBacklog(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*syscall.SockaddrInet4).Port))
	for range 100 {
		nc, err := net.DialTimeout("tcp", addr.String(), brief)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
	t.Fatal("the backlog is never full")
	return addr
}

// certified is the two sides of TLS on 127.0.0.1.
func certified(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{{127, 0, 0, 1}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

// secure is a TLS connection that l has dialled, and its other end.
func secure(t *testing.T, l *stream.Loop) (*stream.Conn, *tls.Conn) {
	t.Helper()
	server, client := certified(t)
	ln := tls.NewListener(listen(t), server)
	defer ln.Close()
	type accepted struct {
		nc  *tls.Conn
		err error
	}
	far := make(chan accepted, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			far <- accepted{nil, err}
			return
		}
		far <- accepted{nc.(*tls.Conn), nc.(*tls.Conn).Handshake()}
	}()
	c, err := l.Dial(stream.Target{Addr: idleAddr(ln), TLS: client}, patience, nil)
	a := <-far
	if err := errors.Join(err, a.err); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.nc.Close() })
	_ = a.nc.SetReadDeadline(time.Now().Add(patience))
	return patient(t, c), a.nc
}

func TestTLSCarriesBytesAndEnds(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, nc := secure(t, l)
		for range 10 {
			if err := c.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(nc, nc, 5); err != nil {
				t.Fatal(err)
			}
			fill(t, c, 5)
			c.Advance(5)
			c.SetReadLimit(0)
			if err := c.Fill(1, nil); err != stream.ErrTimeout { //nolint:errorlint // never wrapped
				t.Errorf("got %v, want a timeout", err)
			}
			c.SetReadLimit(patience)
		}
		c.Close()
		if rest, err := io.ReadAll(nc); err != nil || len(rest) > 0 {
			t.Errorf("at the far end: %q, %v", rest, err)
		}
	})
}

// Who gets a close_notify takes what came before for all there is (RFC 8446, 6.1).
func TestAnAbortOverTLSIsNoCleanEnd(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, nc := secure(t, l)
		c.Abort()
		if rest, err := io.ReadAll(nc); err == nil {
			t.Errorf("the far end got %q and a clean end", rest)
		}
	})
}

// A deadline breaks a TLS connection for writing. None may be left by a Stop
// that came when the write was over.
func TestStopAndContinueLeaveTLSWhole(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		for range 20 {
			stopBehindWrites(t, l)
		}
	})
}

// stopBehindWrites goes on until a Stop has hit a write.
func stopBehindWrites(t *testing.T, l *stream.Loop) {
	t.Helper()
	c, nc := secure(t, l)
	echoed := begin(func() error { _, err := io.Copy(nc, nc); return err })
	defer func() {
		c.Close()
		<-echoed
	}()
	for range 50 {
		written := begin(func() error { return c.Write([]byte("x")) })
		c.Stop()
		err := <-written
		c.Continue()
		if err == stream.ErrStopped { //nolint:errorlint // never wrapped
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		fill(t, c, 1)
		c.Advance(1)
	}
}

func TestAHandshakeThatFailsIsAHandshakeError(t *testing.T) {
	server, _ := certified(t)
	_, stranger := certified(t)
	hello := make([]byte, 1)
	for name, answer := range map[string]func(net.Conn){
		"another certificate": func(nc net.Conn) { _ = tls.Server(nc, server).Handshake() },
		"no TLS": func(nc net.Conn) {
			_, _ = nc.Read(hello)
			_, _ = nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		},
		"an end": func(nc net.Conn) { _, _ = nc.Read(hello) },
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, l *stream.Loop) {
				ln := listen(t)
				defer ln.Close()
				answered := begin(func() error {
					nc, err := ln.Accept()
					if err != nil {
						return err
					}
					answer(nc)
					return nc.Close()
				})
				_, err := l.Dial(stream.Target{Addr: idleAddr(ln), TLS: stranger}, patience, nil)
				if _, failed := errors.AsType[*stream.HandshakeError](err); !failed {
					t.Errorf("got %v", err)
				}
				expectError(t, answered, nil)
			})
		})
	}
}

func TestAcceptEndsWithClose(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		door, err := l.Listen(listen(t))
		if err != nil {
			t.Fatal(err)
		}
		accepting := begin(func() error { _, err := door.Accept(); return err })
		_ = door.Close()
		for _, err := range []error{<-accepting, func() error { _, err := door.Accept(); return err }()} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// prefaced sends something in cleartext before, and together with, its first write.
type prefaced struct {
	net.Conn
	preface string
}

func (p *prefaced) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(append([]byte(p.preface), b...))
	n = max(0, n-len(p.preface))
	p.preface = ""
	return n, err
}

func TestAHandshakeBeginsWithWhatWasReadAhead(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		server, client := certified(t)
		ln := listen(t)
		door := l.ListenTLS(ln)
		defer door.Close()
		shaken := begin(func() error {
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				return err
			}
			defer nc.Close()
			secure := tls.Client(&prefaced{nc, "first"}, client)
			if _, err := secure.Write([]byte("second")); err != nil {
				return err
			}
			_, err = secure.Read(make([]byte, 1)) // until the end
			return err
		})
		c, err := door.Accept()
		if err != nil {
			t.Fatal(err)
		}
		patient(t, c)
		for len(c.Bytes()) < len("first")+1 {
			if err := c.Fill(stream.SmallBuffer, nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := string(c.Bytes()[:5]); got != "first" {
			t.Errorf("it begins with %q", got)
		}
		c.Advance(5)
		if _, err := c.Handshake(patience, server); err != nil {
			t.Fatal(err)
		}
		if err := c.Fill(stream.SmallBuffer, nil); err != nil || string(c.Bytes()) != "second" {
			t.Errorf("then comes %q (%v)", c.Bytes(), err)
		}
		c.Close()
		expectError(t, shaken, io.EOF)
	})
}

func TestAPrefaceIsSentFirst(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		ln := listen(t)
		defer ln.Close()
		c, err := l.Dial(stream.Target{Addr: idleAddr(ln), Preface: "first "}, patience, nil)
		if err != nil {
			t.Fatal(err)
		}
		patient(t, c)
		if err := c.Write([]byte("second")); err != nil {
			t.Fatal(err)
		}
		c.Close()
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if got, err := io.ReadAll(nc); string(got) != "first second" || err != nil {
			t.Errorf("got %q (%v)", got, err)
		}
	})
}
