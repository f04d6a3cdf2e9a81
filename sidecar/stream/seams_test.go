package stream

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// The moments below are too short to be met by chance: the steps of both sides
// are taken by hand.

// recorder is a handler that only counts.
type recorder struct {
	idle        time.Duration
	turns, gone int
}

func (r *recorder) Serve() Next {
	r.turns++
	return Done
}

func (r *recorder) Idle() time.Duration { return r.idle }

func (r *recorder) Gone() { r.gone++ }

// piped is a connection over net.Pipe, whose reads a bubble knows to be waits.
func piped(t *testing.T, l *Loop) (*Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	c := l.AdoptNet(near)
	c.SetReadLimit(time.Hour)
	c.SetWriteLimit(time.Hour)
	t.Cleanup(func() {
		c.Close()
		_ = far.Close()
		l.workers.close()
		synctest.Wait()
	})
	return c, far
}

func TestStopIdleBeforeTheReadHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewNetLoop()
		c, _ := piped(t, l)
		h := &recorder{idle: time.Hour}
		c.handler = h
		c.transport.idle()
		l.StopIdle()
		go c.turns()
		synctest.Wait()
		if h.gone != 1 {
			t.Errorf("gone was told %d times", h.gone)
		}
	})
}

func TestAWakeUpThatComesTooLateLeavesNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := piped(t, NewNetLoop())
		c.readBy.Store(1)
		c.writeBy.Store(1)
		c.transport.wakeRead()
		c.transport.wakeWrite()
		go func() { _, _ = far.Write([]byte("x")) }()
		n, err := c.transport.(*netConn).net.Read(make([]byte, 1))
		if n != 1 || err != nil {
			t.Errorf("a read got %v", err)
		}
		go func() { _, _ = far.Read(make([]byte, 1)) }()
		if _, err := c.transport.(*netConn).net.Write([]byte("x")); err != nil {
			t.Errorf("a write got %v", err)
		}
	})
}

// A deadline breaks a TLS connection: the write of now is not to be woken for
// the one before it.
func TestAWriteIsNotWokenForAnEarlierOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := piped(t, NewNetLoop())
		written := make(chan error, 1)
		go func() { written <- c.Write([]byte("x")) }()
		synctest.Wait()
		c.transport.wakeWrite()
		synctest.Wait()
		select {
		case err := <-written:
			t.Fatalf("the write has ended: %v", err)
		default:
		}
		_, _ = far.Read(make([]byte, 1))
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// A read that is woken for nothing goes on, and its limit does not begin anew.
func TestAReadOutlivesWakeUpsButNotItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewNetLoop()
		c, _ := piped(t, l)
		c.SetReadLimit(3 * Tick)
		read := make(chan error, 1)
		go func() { read <- c.Fill(1, nil) }()
		for now := range int64(4) {
			synctest.Wait()
			select {
			case err := <-read:
				t.Fatalf("after %d ticks: %v", now, err)
			default:
			}
			l.sweep(now * tickMillis)
			c.transport.wakeRead()
		}
		synctest.Wait()
		l.sweep(4 * tickMillis)
		if err := <-read; err != ErrTimeout { //nolint:errorlint // never wrapped
			t.Errorf("got %v, want a timeout", err)
		}
	})
}

// The loop opens a watch for a wait that it has seen before, not for the next
// one, which may watch another connection.
func TestTheLoopOpensTheWatchOfTheWaitThatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewNetLoop()
		waiting, _ := piped(t, l)
		first, _ := piped(t, l)
		second, farSecond := piped(t, l)
		w := &waiting.watch
		w.arm(waiting, first)
		w.tick(waiting)
		if err := w.disarm(first); err != nil {
			t.Error(err)
		}
		w.arm(waiting, second)
		if w.tick(waiting); l.Busy() != 0 {
			t.Error("a watch was opened for a wait that has just begun")
		}
		if w.tick(waiting); l.Busy() != 1 {
			t.Errorf("%d tasks, want one that watches", l.Busy())
		}
		_ = farSecond.Close()
		synctest.Wait()
		if err := w.disarm(second); err != ErrHalfClosed { //nolint:errorlint // never wrapped
			t.Errorf("the watch has seen %v", err)
		}
		if w.other != nil {
			t.Error("a watch that is over keeps a connection from being collected")
		}
	})
}

// However long the list is, and whatever leaves it meanwhile, each connection is
// looked at within two rounds.
func TestTheSweepMissesNobody(t *testing.T) {
	l := NewNetLoop()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	const n = 3 * sweepPart * sweepLeast
	all := make([]*Conn, n)
	for i := range all {
		all[i] = l.AdoptNet(near)
	}
	for round := range 3 {
		for _, c := range all {
			c.watch.seen = 0
			c.watch.state.Store(watchStep) // a sweep takes note of it
		}
		for range 2 * (sweepPart + 1) {
			l.sweep(0)
			for range 100 {
				l.forget(all[0])
				all = all[1:]
			}
		}
		for _, c := range all {
			if c.watch.seen == 0 {
				t.Fatalf("in round %d, somebody was missed", round)
			}
		}
	}
	for _, c := range all {
		l.forget(c)
		l.sweep(0)
	}
}
