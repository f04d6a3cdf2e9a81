package stream

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"
)

// loops are the two transports of this package.
var loops = map[string]func() *Loop{"poller": NewLoop, "net": NewNetLoop}

// echo answers every burst with one byte.
type echo struct {
	conn *Conn
	dot  [1]byte
}

func (e *echo) Idle() time.Duration { return time.Hour }

func (e *echo) Gone() {}

func (e *echo) Serve() Next {
	e.conn.Advance(len(e.conn.Bytes()))
	if e.conn.Write(e.dot[:]) != nil {
		e.conn.Close()
		return Done
	}
	e.conn.ReleaseBuffer()
	return Keep
}

// served runs a loop whose connections echo, until the benchmark is over.
func served(b *testing.B, l *Loop) netip.AddrPort {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	door, err := l.Listen(ln)
	if err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	running.Go(func() {
		for {
			c, err := door.Accept()
			if err != nil {
				return
			}
			c.SetWriteLimit(time.Minute)
			l.Start(c, &echo{conn: c})
		}
	})
	b.Cleanup(func() {
		_ = door.Close()
		l.StopAll()
		for l.Busy() > 0 {
			runtime.Gosched()
		}
		stop()
		running.Wait()
	})
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func BenchmarkPingPong(b *testing.B) {
	for name, loop := range loops {
		b.Run(name, func(b *testing.B) {
			addr := served(b, loop())
			nc, err := net.Dial("tcp", addr.String())
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			buf := []byte{'?'}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nc.Write(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := nc.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The far ends are of the same process; what they cost is measured first, and
// taken off.
func BenchmarkIdleConnection(b *testing.B) {
	for name, loop := range loops {
		b.Run(name, func(b *testing.B) {
			const n = 2000
			l := loop()
			addr := served(b, l)
			var perConn float64
			for b.Loop() {
				perConn = idleCost(b, l, addr, n)
			}
			b.ReportMetric(perConn, "B/conn")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// idleCost opens n connections, lets each serve one burst, and measures what
// they occupy.
func idleCost(b *testing.B, l *Loop, addr netip.AddrPort, n int) float64 {
	b.Helper()
	far := make([]*net.TCPConn, n)
	defer func() {
		for _, nc := range far {
			_ = nc.Close()
		}
		for l.Open() > 0 {
			runtime.Gosched()
		}
	}()
	before := occupied()
	for i := range far {
		nc, err := net.Dial("tcp", addr.String())
		if err != nil {
			b.Fatal(err)
		}
		far[i] = nc.(*net.TCPConn)
		var buf [1]byte
		_, _ = nc.Write(buf[:])
		if _, err := nc.Read(buf[:]); err != nil {
			b.Fatal(err)
		}
	}
	both := occupied() - before
	return float64(both-sizeOfDialled(b, n)) / float64(n)
}

// sizeOfDialled is what n dialled connections occupy without ours at the other
// end.
func sizeOfDialled(b *testing.B, n int) int64 {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	far := make([]net.Conn, n)
	before := occupied()
	for i := range far {
		if far[i], err = net.Dial("tcp", ln.Addr().String()); err != nil {
			b.Fatal(err)
		}
	}
	cost := occupied() - before
	for _, nc := range far {
		_ = nc.Close()
	}
	return cost
}

// occupied is the memory of heap and stacks after a collection.
func occupied() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkSweep is one tick's look at the deadlines of 20,000 idle connections.
func BenchmarkSweep(b *testing.B) {
	l := NewNetLoop()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	for range 20000 {
		c := l.AdoptNet(near)
		c.readBy.Store(1 << 60)
	}
	for b.Loop() {
		l.sweep(1)
	}
}
