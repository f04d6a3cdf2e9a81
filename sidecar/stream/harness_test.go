package stream_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"outrider/sidecar/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must happen; brief is a limit that must run out.
const (
	patience = 10 * time.Second
	brief    = 50 * time.Millisecond
)

// overBoth runs a test over each of the transports.
func overBoth(t *testing.T, test func(t *testing.T, l *stream.Loop)) {
	t.Helper()
	t.Run("poller", func(t *testing.T) { test(t, running(t, stream.NewLoop())) })
	t.Run("net", func(t *testing.T) { test(t, running(t, stream.NewNetLoop())) })
}

// running runs l until the test is over, when nothing may be left of it.
func running(t *testing.T, l *stream.Loop) *stream.Loop {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { l.Run(ctx) })
	t.Cleanup(func() {
		stop()
		run.Wait()
		until(t, "the end of all tasks", func() bool { return l.Busy() == 0 })
		if n := l.Open(); n != 0 {
			t.Errorf("%d connections were left open", n)
		}
	})
	return l
}

func until(t testing.TB, what string, reached func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !reached(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// far is the other end of a connection under test.
type far struct {
	t *testing.T
	*net.TCPConn
}

func dialFar(t *testing.T, addr net.Addr) far {
	t.Helper()
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	return far{t, nc.(*net.TCPConn)}
}

func (f far) send(s string) {
	f.t.Helper()
	if _, err := f.Write([]byte(s)); err != nil {
		f.t.Fatal(err)
	}
}

func (f far) expect(want string) {
	f.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(f, got); err != nil || string(got) != want {
		f.t.Fatalf("the far end got %q (%v), want %q", got[:n], err, want)
	}
}

// expectEnd expects a FIN and nothing before it.
func (f far) expectEnd() {
	f.t.Helper()
	if rest, err := io.ReadAll(f); err != nil || len(rest) > 0 {
		f.t.Fatalf("the far end got %q (%v), want a clean end", rest, err)
	}
}

func (f far) fin() { _ = f.CloseWrite() }

func (f far) reset() {
	_ = f.SetLinger(0)
	_ = f.Close()
}

// pair is a connection that l has accepted, and its other end.
func pair(t *testing.T, l *stream.Loop) (*stream.Conn, far) {
	t.Helper()
	ln := listen(t)
	door, err := l.Listen(ln)
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	f := dialFar(t, ln.Addr())
	c, err := door.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return patient(t, c), f
}

// netPair is a pair over net.Conn, whatever the loop.
func netPair(t *testing.T, l *stream.Loop) (*stream.Conn, far) {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	f := dialFar(t, ln.Addr())
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return patient(t, l.AdoptNet(nc)), f
}

func patient(t *testing.T, c *stream.Conn) *stream.Conn {
	c.SetReadLimit(patience)
	c.SetWriteLimit(patience)
	t.Cleanup(c.Close)
	return c
}

// fill fills c until it has n bytes.
func fill(t *testing.T, c *stream.Conn, n int) {
	t.Helper()
	for len(c.Bytes()) < n {
		if err := c.Fill(n, nil); err != nil {
			t.Fatalf("after %d of %d bytes: %v", len(c.Bytes()), n, err)
		}
	}
}

// begin runs f beside the test, and gives what it returned.
func begin(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

func expectError(t *testing.T, got <-chan error, want error) {
	t.Helper()
	select {
	case err := <-got:
		if err != want { //nolint:errorlint // they are never wrapped
			t.Errorf("got %v, want %v", err, want)
		}
	case <-time.After(patience):
		t.Fatalf("it still waits, want %v", want)
	}
}
