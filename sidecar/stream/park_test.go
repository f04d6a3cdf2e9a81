package stream_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"outrider/sidecar/stream"
)

// upstream is a connection that l has dialled, and its other end.
func upstream(t *testing.T, l *stream.Loop) (*stream.Conn, far) {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	c, err := l.Dial(stream.Target{Addr: ln.Addr().(*net.TCPAddr).AddrPort()}, patience, nil)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	return patient(t, c), far{t, nc.(*net.TCPConn)}
}

// gone counts, and closes.
type gone struct{ n atomic.Int32 }

func (g *gone) tell(c *stream.Conn) {
	g.n.Add(1)
	c.Close()
}

func TestAParkedConnectionComesBack(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := upstream(t, l)
		var g gone
		for range 200 {
			if err := c.Write([]byte("?")); err != nil {
				t.Fatal(err)
			}
			f.expect("?")
			f.send("answer")
			fill(t, c, 6)
			c.Advance(6)
			if !c.Park(g.tell) {
				t.Fatal("an idle connection was not parked")
			}
			if !c.Unpark() {
				t.Fatal("an idle connection did not come back")
			}
		}
		if n := g.n.Load(); n != 0 {
			t.Errorf("gone was told %d times of a connection that is there", n)
		}
	})
}

// hurts are what ends the rest of a parked connection.
var hurts = map[string]func(far){
	"ends":     far.fin,
	"is reset": far.reset,
	"speaks":   func(f far) { f.send("unasked") },
}

func TestAParkedConnectionThatEndsOrSpeaksIsGoneAtOnce(t *testing.T) {
	for name, hurt := range hurts {
		t.Run(name, func(t *testing.T) {
			l := running(t, stream.NewLoop())
			c, f := upstream(t, l)
			var g gone
			if !c.Park(g.tell) {
				t.Fatal("an idle connection was not parked")
			}
			hurt(f)
			until(t, "the end", func() bool { return l.Open() == 0 })
			if c.Unpark() {
				t.Error("it came back")
			}
			if n := g.n.Load(); n != 1 {
				t.Errorf("gone was told %d times", n)
			}
		})
	}
}

// Over net.Conn nothing is told while it is parked: Unpark asks.
func TestAParkedNetConnThatEndsOrSpeaksIsNotTaken(t *testing.T) {
	for name, hurt := range hurts {
		t.Run(name, func(t *testing.T) {
			c, f := upstream(t, running(t, stream.NewNetLoop()))
			var g gone
			if !c.Park(g.tell) {
				t.Fatal("an idle connection was not parked")
			}
			hurt(f)
			until(t, "the end", func() bool { return !c.Unpark() })
			if n := g.n.Load(); n != 1 {
				t.Errorf("gone was told %d times", n)
			}
		})
	}
}

func TestWhatIsThereAlreadyIsNotParked(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := upstream(t, l)
		f.send("unasked")
		fill(t, c, 7)
		if c.Park(nil) {
			t.Error("a connection with unread bytes was parked")
		}
		c.Advance(7)
		f.fin()
		if err := c.Fill(1, nil); err == nil {
			t.Error("there is no end")
		}
		if c.Park(nil) {
			t.Error("a connection that has ended was parked")
		}
	})
}

// A connection that is not parked stays the caller's, with all that is in it.
func TestAConnectionThatIsNotParkedCanBeRead(t *testing.T) {
	l := running(t, stream.NewLoop())
	for range 50 {
		c, f := upstream(t, l)
		var g gone
		f.send("unasked")
		if c.Park(g.tell) {
			if c.Unpark() {
				fill(t, c, 7) // it came after all that
				c.Close()
			}
			continue
		}
		fill(t, c, 7)
		c.Close()
	}
}

// The end and the next use come at the same time: one of them wins.
func TestAConnectionIsEitherGoneOrTaken(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		for i := range 200 {
			c, f := upstream(t, l)
			var g gone
			if !c.Park(g.tell) {
				t.Fatal("an idle connection was not parked")
			}
			hurting := begin(func() error {
				if i%2 == 0 {
					return f.Close()
				}
				_, err := f.Write([]byte("unasked"))
				return err
			})
			taken := c.Unpark()
			if n := g.n.Load(); taken && n != 0 {
				t.Fatalf("taken and gone %d times", n)
			}
			<-hurting
			if taken {
				if err := c.Fill(1, nil); err == nil && i%2 == 0 {
					t.Fatal("there is no end")
				}
				c.Close()
			}
			until(t, "its end", func() bool { return l.Open() == 0 })
			if n := g.n.Load(); (n == 1) == taken {
				t.Fatalf("taken is %t, and gone %d times", taken, n)
			}
		}
	})
}
