package stream_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"outrider/sidecar/stream"
)

// handler serves by a function.
type handler struct {
	serve func() stream.Next
	idle  time.Duration
	turns atomic.Int32
	gone  atomic.Int32
}

func (h *handler) Serve() stream.Next {
	h.turns.Add(1)
	return h.serve()
}

func (h *handler) Idle() time.Duration { return h.idle }

func (h *handler) Gone() { h.gone.Add(1) }

// echoing uses up so many bytes a turn, and answers with them.
func echoing(c *stream.Conn, atMost int) *handler {
	h := &handler{idle: patience}
	h.serve = func() stream.Next {
		n := min(atMost, len(c.Bytes()))
		if c.Write(c.Bytes()[:n]) != nil {
			c.Close()
			h.gone.Add(1)
			return stream.Done
		}
		c.Advance(n)
		return stream.Keep
	}
	return h
}

func (h *handler) expectGone(t *testing.T) {
	t.Helper()
	until(t, "the end", func() bool { return h.gone.Load() > 0 })
	if n := h.gone.Load(); n != 1 {
		t.Errorf("gone was told %d times", n)
	}
}

func TestEachBurstIsOneTurn(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		h := echoing(c, 100)
		l.Start(c, h)
		for range 100 {
			f.send("hello")
			f.expect("hello")
		}
		if n := h.turns.Load(); n != 100 {
			t.Errorf("%d turns for 100 bursts", n)
		}
		f.fin()
		h.expectGone(t)
		f.expectEnd()
	})
}

func TestPipelinedBytesAreServedTurnByTurn(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		h := echoing(c, 1)
		f.send("ab")
		l.Start(c, h)
		f.send("cdef")
		f.expect("abcdef")
		f.send("gh")
		f.fin()
		f.expect("gh")
		h.expectGone(t)
		if n := h.turns.Load(); n != 8 {
			t.Errorf("%d turns for 8 bytes", n)
		}
	})
}

func TestAHandlerThatIsDoneIsNotToldOfTheEnd(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		h := &handler{idle: patience}
		h.serve = func() stream.Next {
			c.Close()
			return stream.Done
		}
		l.Start(c, h)
		f.send("x")
		f.fin()
		until(t, "the end of all tasks", func() bool { return h.turns.Load() == 1 && l.Busy() == 0 })
		if h.gone.Load() != 0 || l.Open() != 0 {
			t.Errorf("gone was told %d times, %d open", h.gone.Load(), l.Open())
		}
	})
}

func TestAnIdleClientsTimeRunsOut(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		h := echoing(c, 100)
		h.idle = brief
		start := time.Now()
		l.Start(c, h)
		f.expectEnd()
		h.expectGone(t)
		if took := time.Since(start); took < brief {
			t.Errorf("it took %v", took)
		}

		c, f = pair(t, l)
		h = echoing(c, 100)
		h.idle = 20 * brief
		l.Start(c, h)
		for range 30 {
			f.send("x")
			f.expect("x")
			since := l.Now()
			until(t, "a little", func() bool { return l.Now() > since+brief/2 })
		}
		f.expectEnd()
		h.expectGone(t)
	})
}

// Bytes that come as the time runs out are served or refused, never left.
func TestIdleTimeoutsRaceWithBytes(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		var clients sync.WaitGroup
		for i := range 40 {
			c, f := pair(t, l)
			h := echoing(c, 100)
			h.idle = brief
			l.Start(c, h)
			clients.Go(func() {
				pause := time.NewTimer(brief + time.Duration(i)*time.Millisecond)
				defer pause.Stop()
				<-pause.C
				_, _ = f.Write([]byte("x"))
				_, _ = f.Read(make([]byte, 1))
			})
			defer h.expectGone(t)
		}
		clients.Wait()
	})
}

func TestStopIdleEndsTheIdleAndLetsTheBusyFinish(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		fresh, freshFar := pair(t, l)
		freshHandler := echoing(fresh, 100)
		l.Start(fresh, freshHandler)

		used, usedFar := pair(t, l)
		usedHandler := echoing(used, 100)
		l.Start(used, usedHandler)
		usedFar.send("x")
		usedFar.expect("x")

		busy, busyFar := pair(t, l)
		finish := make(chan struct{})
		busyHandler := echoing(busy, 100)
		answer := busyHandler.serve
		busyHandler.serve = func() stream.Next {
			<-finish
			return answer()
		}
		l.Start(busy, busyHandler)
		busyFar.send("slow")
		until(t, "the turn", func() bool { return busyHandler.turns.Load() == 1 })

		l.StopIdle()
		freshFar.expectEnd()
		usedFar.expectEnd()
		freshHandler.expectGone(t)
		usedHandler.expectGone(t)
		if n := l.Busy(); n != 1 {
			t.Errorf("%d tasks, want the busy one", n)
		}
		close(finish)
		busyFar.expect("slow")
		busyFar.expectEnd()
		busyHandler.expectGone(t)

		late, lateFar := pair(t, l)
		lateHandler := echoing(late, 100)
		l.Start(late, lateHandler)
		lateFar.expectEnd()
		lateHandler.expectGone(t)
	})
}

// Wherever StopIdle meets a connection on its way to its next read, it ends.
func TestStopIdleMeetsEveryConnection(t *testing.T) {
	for range 5 {
		overBoth(t, func(t *testing.T, l *stream.Loop) {
			var all sync.WaitGroup
			handlers := make([]*handler, 20)
			for i := range handlers {
				c, f := pair(t, l)
				h := echoing(c, 100)
				handlers[i] = h
				if i%2 == 0 {
					f.send("x")
				}
				all.Go(func() { l.Start(c, h) })
			}
			all.Go(l.StopIdle)
			all.Wait()
			for _, h := range handlers {
				h.expectGone(t)
			}
		})
	}
}

func TestTheEndOfRunEndsEveryConnection(t *testing.T) {
	for name, l := range map[string]*stream.Loop{"poller": stream.NewLoop(), "net": stream.NewNetLoop()} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := begin(func() error { l.Run(ctx); return nil })
			idle, _ := pair(t, l)
			h := echoing(idle, 100)
			l.Start(idle, h)
			c, _ := pair(t, l)
			reading := begin(func() error { return c.Fill(1, nil) })
			stop()
			expectError(t, reading, stream.ErrStopped)
			expectError(t, ended, nil)
			h.expectGone(t)
			c.Close()

			ln := listen(t)
			defer ln.Close()
			if late, err := l.Dial(stream.Target{Addr: idleAddr(ln)}, brief, nil); err == nil {
				if err := late.Fill(1, nil); err != stream.ErrStopped { //nolint:errorlint // never wrapped
					t.Errorf("a connection that was dialled later got %v", err)
				}
				late.Close()
			}
			until(t, "the end of all tasks", func() bool { return l.Busy() == 0 && l.Open() == 0 })
		})
	}
}

// Nothing looks at deadlines yet, but what can be read is, and Stop ends a wait.
func TestALoopThatDoesNotRunCanBeStopped(t *testing.T) {
	for name, l := range map[string]*stream.Loop{"poller": stream.NewLoop(), "net": stream.NewNetLoop()} {
		t.Run(name, func(t *testing.T) {
			c, _ := pair(t, l)
			reading := begin(func() error { return c.Fill(1, nil) })
			l.StopAll()
			expectError(t, reading, stream.ErrStopped)
			c.Close()
			if n := l.Open(); n != 0 {
				t.Errorf("%d open", n)
			}
		})
	}
}

func TestAnotherTaskGoesOnForAStuckOne(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		reached, stuck := make(chan struct{}), make(chan struct{})
		h := echoing(c, 100)
		answer := h.serve
		h.serve = func() stream.Next {
			if c.Bytes()[0] != '!' {
				return answer()
			}
			close(reached)
			<-stuck
			return stream.Done
		}
		l.Start(c, h)
		f.send("a")
		f.expect("a")
		f.send("!")
		<-reached
		c.Resume(func() stream.Next {
			_ = c.Write([]byte("overdue"))
			c.Advance(len(c.Bytes()))
			return stream.Keep
		})
		f.expect("overdue")
		f.send("b")
		f.expect("b")
		close(stuck)
		f.send("c")
		f.expect("c")
		f.fin()
		h.expectGone(t)
	})
}
