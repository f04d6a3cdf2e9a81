package stream

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestAListenerThatIsClosedLetsInWhoHasConnected(t *testing.T) {
	for name, listen := range map[string]func(*Loop, net.Listener) (Listener, error){
		"of the poller's": (*Loop).Listen,
		"under TLS": func(l *Loop, ln net.Listener) (Listener, error) {
			return l.ListenTLS(ln), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			d, err := listen(polling(t), ln)
			if err != nil {
				t.Fatal(err)
			}
			var clients []net.Conn
			for range 50 {
				nc, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				clients = append(clients, nc)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			for i, nc := range clients {
				c, err := d.Accept()
				if err != nil {
					t.Fatalf("client %d of %d is not let in: %v", i, len(clients), err)
				}
				if c.Remote().String() != nc.LocalAddr().String() {
					t.Errorf("client %v is let in as %v", nc.LocalAddr(), c.Remote())
				}
				c.Close()
			}
			if c, err := d.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("then comes %v, %v", c, err)
			}
		})
	}
}

func TestWhatComesToASharedListenerWaitsForTheNext(t *testing.T) {
	l := polling(t)
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	held, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for range 3 {
		inherited, err := net.FileListener(held)
		if err != nil {
			t.Fatal(err)
		}
		d, err := l.Listen(Shared{inherited.(*net.TCPListener)})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		nc, err := net.DialTimeout("tcp", ln.Addr().String(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	for range 3 {
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.Close()
	}
	if err := ln.Close(); err != nil && !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}
