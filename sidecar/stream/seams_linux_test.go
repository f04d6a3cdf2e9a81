package stream

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// handDriven is a connection to whose events the test alone attends, and the
// descriptor at its other end.
func handDriven(t *testing.T) (*polled, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLoop()
	c, err := l.poller.adopt(fds[0], netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		_ = unix.Close(fds[1])
		l.workers.close()
		l.poller.close()
	})
	p := c.transport.(*polled)
	p.flags.Store(0) // as if it had been read and written until there was no more
	return p, fds[1]
}

func (t *polled) happen(events uint32) {
	t.loop.poller.deliver(&unix.EpollEvent{Events: events, Fd: int32(t.fd), Pad: int32(t.generation)})
}

// Where there is little CPU a tick can be a second late, and what has come meanwhile
// is attended to before it.
func TestAWaitThatBeginsBeforeALateTickLastsItsTime(t *testing.T) {
	p, far := handDriven(t)
	l := p.loop
	l.start = l.start.Add(-time.Second) // so long ago was the last tick
	if _, err := unix.Write(far, []byte("x")); err != nil {
		t.Fatal(err)
	}
	raw, err := l.poller.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { l.poller.poll(fd) }); err != nil {
		t.Fatal(err)
	}
	if p.flags.Load()&readable == 0 {
		t.Fatal("what has come was not attended to")
	}
	by := p.deadline(500)
	l.sweep(1000)
	if err := p.interrupted(by); err != nil {
		t.Errorf("a wait of 500 ms has ended at once: %v", err)
	}
}

// What comes between the attempt and the wait is not missed, whatever it is.
func TestNoReasonIsMissedBeforeAWait(t *testing.T) {
	for name, row := range map[string]struct {
		reason      func(*polled)
		read, write error
	}{
		"an edge":  {func(p *polled) { p.happen(unix.EPOLLIN | unix.EPOLLOUT) }, nil, nil},
		"an end":   {func(p *polled) { p.happen(unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLHUP) }, nil, nil},
		"Stop":     {func(p *polled) { p.Stop() }, ErrStopped, ErrStopped},
		"StopAll":  {func(p *polled) { p.loop.StopAll() }, ErrStopped, ErrStopped},
		"the time": {func(p *polled) { p.loop.sweep(100) }, ErrTimeout, ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := handDriven(t)
			row.reason(p)
			for range 2 {
				if err := p.awaitReadable(100, nil); err != row.read { //nolint:errorlint // never wrapped
					t.Errorf("a read got %v, want %v", err, row.read)
				}
				if err := p.awaitWritable(100); err != row.write { //nolint:errorlint // never wrapped
					t.Errorf("a write got %v, want %v", err, row.write)
				}
			}
			if len(p.readToken)+len(p.writeToken) > 0 {
				t.Error("a token is left for the next wait")
			}
		})
	}
}

// Everybody wakes at the same time: one token is sent, and it is taken.
func TestOneWaitTakesOneToken(t *testing.T) {
	const times = 5000
	p, _ := handDriven(t)
	duels := []*duel{
		newDuel(t, times, func() { p.happen(unix.EPOLLIN | unix.EPOLLOUT) }),
		newDuel(t, times, p.Stop),
	}
	for range times {
		for _, d := range duels {
			d.begun.Add(1)
		}
		hesitate()
		_ = p.awaitReadable(100, nil)
		_ = p.awaitWritable(100)
		for _, d := range duels {
			d.end()
		}
		if len(p.readToken)+len(p.writeToken) > 0 || p.flags.Load()&(readWaits|writeWaits) != 0 {
			t.Fatal("a wake-up is left for the next wait")
		}
		p.Continue()
		p.flags.Store(0)
	}
}

// duel lets f run at about the same time as what its caller does between begin
// and end, so many times.
type duel struct{ begun, ended atomic.Int64 }

func newDuel(t *testing.T, times int64, f func()) *duel {
	d := new(duel)
	var running sync.WaitGroup
	running.Go(func() {
		for n := int64(1); n <= times; n++ {
			for d.begun.Load() < n {
				runtime.Gosched()
			}
			hesitate()
			f()
			d.ended.Store(n)
		}
	})
	t.Cleanup(func() {
		d.begun.Store(times)
		running.Wait()
	})
	return d
}

func (d *duel) begin() {
	d.begun.Add(1)
	hesitate()
}

func (d *duel) end() {
	for d.ended.Load() < d.begun.Load() {
		runtime.Gosched()
	}
}

func hesitate() {
	var step atomic.Int32
	for range rand.IntN(1000) {
		step.Load()
	}
}

// A byte comes while the connection is parked or taken back: somebody sees it.
func TestAnEdgeMeetsParkAndUnpark(t *testing.T) {
	const times = 20000
	p, far := handDriven(t)
	event := newDuel(t, times, func() {
		_, _ = unix.Write(far, []byte("x"))
		p.happen(unix.EPOLLIN)
	})
	var gone atomic.Int32
	buf := make([]byte, 1)
	refused, told, taken := 0, 0, 0
	for i := range times {
		gone.Store(0)
		event.begin()
		back := false
		parked := p.Park(func(*Conn) { gone.Add(1) })
		if parked && i%2 == 0 {
			hesitate()
			back = p.Unpark()
		}
		event.end()
		switch n := gone.Load(); {
		case !parked && n == 0:
			refused++
		case parked && back && n == 0:
			taken++
		case parked && !back && n == 1:
			told++
		default:
			t.Fatalf("parked %t, taken back %t, gone %d times", parked, back, n)
		}
		if n, err := p.tryRead(vessel{memory: buf}); n != 1 || p.turn.Load() != turnTask {
			t.Fatalf("whoever has it can not read it: %d, %v", n, err)
		}
		p.flags.And(^readable)
	}
	t.Logf("%d times refused, %d gone, %d taken", refused, told, taken)
}

// A byte comes while the connection is given up: one task serves it.
func TestAnEdgeMeetsIdle(t *testing.T) {
	const times = 10000
	p, far := handDriven(t)
	served := make(chan struct{}, 10)
	p.handler = turnedTo(func() Next {
		p.Advance(len(p.Bytes()))
		served <- struct{}{}
		return Done
	})
	event := newDuel(t, times, func() {
		_, _ = unix.Write(far, []byte("x"))
		p.wakeRead()
		p.happen(unix.EPOLLIN)
	})
	for range times {
		event.begin()
		p.loop.Start(&p.Conn, p.handler)
		select {
		case <-served:
		case <-time.After(10 * time.Second):
			t.Fatalf("nobody serves it; its turn is %d", p.turn.Load())
		}
		event.end()
		for p.loop.Busy() > 0 {
			runtime.Gosched()
		}
		if len(served) > 0 || p.turn.Load() != turnTask {
			t.Fatalf("served again %d times; its turn is %d", len(served), p.turn.Load())
		}
		p.flags.And(^readable)
	}
}

type turnedTo func() Next

func (f turnedTo) Serve() Next { return f() }

func (turnedTo) Idle() time.Duration { return time.Hour }

func (turnedTo) Gone() {}

func TestFillNowTakesWhatHasComeAndDoesNotWait(t *testing.T) {
	p, far := handDriven(t)
	come := func(message string) {
		if _, err := unix.Write(far, []byte(message)); err != nil {
			t.Fatal(err)
		}
		p.happen(unix.EPOLLIN)
	}
	look := func(more bool, want string) {
		t.Helper()
		if got := p.FillNow(SmallBuffer); got != more || string(p.Bytes()) != want {
			t.Errorf("it reports %v, and there is %q; want %v and %q", got, p.Bytes(), more, want)
		}
	}
	look(false, "")
	come("ab")
	look(true, "ab")
	look(false, "ab")
	come("c")
	look(true, "abc")
	_ = unix.Shutdown(far, unix.SHUT_WR)
	p.happen(unix.EPOLLIN | unix.EPOLLRDHUP)
	look(false, "abc")
	if err := p.Fill(SmallBuffer, nil); !errors.Is(err, io.EOF) {
		t.Errorf("the next Fill tells of %v, not of the end", err)
	}
}
