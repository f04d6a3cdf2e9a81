package stream_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"outrider/sidecar/stream"
)

func TestFillReadsBehindWhatWasNotUsed(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		f.send("hello")
		fill(t, c, 5)
		c.Advance(2)
		f.send(" world")
		fill(t, c, 9)
		if got := string(c.Bytes()); got != "llo world" {
			t.Errorf("got %q", got)
		}
		c.Advance(9)
		c.ReleaseBuffer()
		if got := c.Bytes(); got != nil {
			t.Errorf("got %q after all was used", got)
		}
	})
}

func TestDetachedBytesStayAsTheyWere(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		f.send("headbody")
		fill(t, c, 8)
		head, buf := c.Detach(4)
		defer buf.Release()
		if got := string(c.Bytes()); got != "body" {
			t.Errorf("behind the head is %q", got)
		}
		f.send(strings.Repeat("x", 10))
		fill(t, c, 14)
		if string(head) != "head" || cap(head) != 4 {
			t.Errorf("the head is %q, with room for %d", head, cap(head))
		}
	})
}

// Whatever is done with the buffer, the bytes come complete and in order.
func TestTheBytesComeInOrder(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		rapid.Check(t, func(rt *rapid.T) {
			c, f := pair(t, l)
			defer f.Close()
			defer c.Close()
			all := make([]byte, rapid.IntRange(1, 300<<10).Draw(rt, "size"))
			for i := range all {
				all[i] = byte(i ^ i>>8)
			}
			sent := begin(func() error { _, err := f.Write(all); return errors.Join(err, f.CloseWrite()) })
			var got []byte
			for {
				unread := len(c.Bytes())
				err := c.Fill(rapid.SampledFrom([]int{1, 100, stream.SmallBuffer, stream.BodyBuffer, stream.LargeBuffer, 100 << 10}).Draw(rt, "size"), nil)
				if err == nil && len(c.Bytes()) <= unread {
					rt.Fatal("Fill has read nothing")
				}
				n := len(c.Bytes())
				if err == nil {
					n = rapid.IntRange(0, n).Draw(rt, "used")
				}
				if n > 0 && rapid.Bool().Draw(rt, "detach") {
					taken, buf := c.Detach(n)
					got = append(got, taken...)
					buf.Release()
				} else {
					got = append(got, c.Bytes()[:n]...)
					c.Advance(n)
				}
				if err == io.EOF { //nolint:errorlint // never wrapped
					break
				}
				if err != nil {
					rt.Fatal(err)
				}
			}
			if !bytes.Equal(got, all) {
				rt.Fatalf("%d bytes came of %d, or others", len(got), len(all))
			}
			if err := <-sent; err != nil {
				rt.Fatal(err)
			}
		})
	})
}

func TestFillMakesTheRoomThatWasAskedFor(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		f.send(strings.Repeat("a", stream.SmallBuffer-1))
		fill(t, c, stream.SmallBuffer-1)
		c.Advance(stream.SmallBuffer - 3)
		f.send(strings.Repeat("b", 1000))
		if err := c.Fill(stream.SmallBuffer, nil); err != nil {
			t.Fatal(err)
		}
		if want := "aa" + strings.Repeat("b", 1000); string(c.Bytes()) != want {
			t.Errorf("one read has %d bytes, want %d", len(c.Bytes()), len(want))
		}
	})
}

func TestTheEndComesAfterTheBytes(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		f.send("last words")
		f.fin()
		fill(t, c, 10)
		for range 2 {
			if err := c.Fill(1, nil); err != io.EOF { //nolint:errorlint // never wrapped
				t.Errorf("got %v, want EOF", err)
			}
		}
		if err := c.Write([]byte("answer")); err != nil {
			t.Error(err)
		}
		f.expect("answer")
	})
}

func TestAResetIsNoEnd(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		f.send("last words")
		fill(t, c, 10)
		f.reset()
		for range 2 {
			if err := c.Fill(100, nil); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
		}
		if err := c.Write([]byte("answer")); err == nil {
			t.Error("a write went on")
		}
	})
}

func TestCloseIsAnEndAndAbortIsNone(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		_ = c.Write([]byte("all"))
		c.Close()
		c.Close()
		c.Abort()
		f.expect("all")
		f.expectEnd()

		c, f = pair(t, l)
		c.Abort()
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the far end got %v, want a reset", err)
		}
	})
}

// A descriptor's number belongs to another connection as soon as it is closed.
func TestClosingTwiceClosesNobodyElse(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		first, _ := pair(t, l)
		first.Close()
		second, f := pair(t, l)
		first.Close()
		f.send("still here")
		fill(t, second, 10)
	})
}

func TestCloseWriteLeavesReadingOpen(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		_ = c.Write([]byte("question"))
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		f.expect("question")
		f.expectEnd()
		f.send("answer")
		fill(t, c, 6)
	})
}

func TestAReadThatWaitsTooLongTimesOut(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		c.SetReadLimit(brief)
		start := time.Now()
		for range 2 {
			if err := c.Fill(1, nil); err != stream.ErrTimeout { //nolint:errorlint // never wrapped
				t.Errorf("got %v, want a timeout", err)
			}
		}
		if took := time.Since(start); took < 2*brief {
			t.Errorf("two waits of %v took %v", brief, took)
		}
		c.SetReadLimit(patience)
		f.send("late")
		fill(t, c, 4)
	})
}

func TestALimitOfNothingStillReadsWhatIsThere(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		f.send("12")
		fill(t, c, 1)
		f.send("3")
		for _, limit := range []time.Duration{0, -time.Second, -stream.Tick} {
			c.SetReadLimit(limit)
			for len(c.Bytes()) < 3 {
				if err := c.Fill(3, nil); err != nil && err != stream.ErrTimeout { //nolint:errorlint // never wrapped
					t.Fatal(err)
				}
			}
			if err := c.Fill(4, nil); err != stream.ErrTimeout { //nolint:errorlint // never wrapped
				t.Errorf("got %v, want a timeout", err)
			}
		}
	})
}

func TestAWriteWaitsForASlowReader(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		all := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // more than the sockets hold
		written := begin(func() error { return c.Write(all) })
		got := make([]byte, 0, len(all))
		for piece := make([]byte, 64<<10); len(got) < len(all); {
			n, err := f.Read(piece)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 {
				select {
				case <-written:
					t.Fatal("the write did not wait")
				default:
				}
			}
			got = append(got, piece[:n]...)
		}
		expectError(t, written, nil)
		if !bytes.Equal(got, all) {
			t.Error("other bytes came")
		}
	})
}

func TestAWriteThatNobodyTakesTimesOut(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, _ := pair(t, l)
		c.SetWriteLimit(brief)
		if err := c.Write(make([]byte, 64<<20)); err != stream.ErrTimeout { //nolint:errorlint // never wrapped
			t.Errorf("got %v, want a timeout", err)
		}
		if err := c.Write(nil); err != nil {
			t.Errorf("writing nothing: %v", err)
		}
	})
}

func TestTheWriteLimitIsForWhatMovesNothing(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		const limit = 500 * time.Millisecond
		c, f := pair(t, l)
		c.SetWriteLimit(limit)
		start := time.Now()
		written := begin(func() error { return c.Write(make([]byte, 32<<20)) })
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		var got atomic.Int64
		piece := make([]byte, 256<<10)
		for got.Load() < 32<<20 {
			n, err := f.Read(piece)
			if err != nil {
				t.Fatal(err)
			}
			got.Add(int64(n))
			<-pace.C
		}
		expectError(t, written, nil)
		if took := time.Since(start); took < limit {
			t.Errorf("the write took %v: the limit was not met", took)
		}
	})
}

func TestStopEndsTheWaitsUntilContinue(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		reading := begin(func() error { return c.Fill(1, nil) })
		writing := begin(func() error { return c.Write(make([]byte, 64<<20)) })
		if _, err := io.ReadFull(f, make([]byte, 64<<10)); err != nil {
			t.Fatal(err)
		}
		c.Stop()
		expectError(t, reading, stream.ErrStopped)
		expectError(t, writing, stream.ErrStopped)
		if err := c.Fill(1, nil); err != stream.ErrStopped || !c.Halted() { //nolint:errorlint // never wrapped
			t.Errorf("a later read got %v", err)
		}
		if err := c.Write([]byte("x")); err != stream.ErrStopped { //nolint:errorlint // never wrapped
			t.Errorf("a later write got %v", err)
		}
		c.Continue()
		f.send("go on")
		fill(t, c, 5)
	})
}

// A wake-up that comes late must not end the next wait, nor spoil it.
func TestStopAndContinueLeaveNothingBehind(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		for i := range 500 {
			reading := begin(func() error { return c.Fill(1, nil) })
			if i%2 == 0 {
				f.send("x")
			}
			c.Stop()
			if err := <-reading; err != nil && err != stream.ErrStopped { //nolint:errorlint // never wrapped
				t.Fatal(err)
			}
			c.Continue()
			if i%2 == 0 {
				fill(t, c, 1)
				c.Advance(1)
			}
			if err := c.Write([]byte("y")); err != nil {
				t.Fatal(err)
			}
			f.expect("y")
		}
	})
}

func TestStopAllStopsForGood(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, _ := pair(t, l)
		reading := begin(func() error { return c.Fill(1, nil) })
		l.StopAll()
		expectError(t, reading, stream.ErrStopped)
		c.Continue()
		if err := c.Fill(1, nil); err != stream.ErrStopped { //nolint:errorlint // never wrapped
			t.Errorf("got %v", err)
		}
		later, _ := pair(t, l)
		if err := later.Fill(1, nil); err != stream.ErrStopped { //nolint:errorlint // never wrapped
			t.Errorf("a connection that came later got %v", err)
		}
	})
}

func TestAddressesAreThoseOfTheSocket(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, f := pair(t, l)
		if got, want := c.Remote().String(), f.LocalAddr().String(); got != want {
			t.Errorf("the remote address is %s, want %s", got, want)
		}
		if got, want := c.Local().String(), f.RemoteAddr().String(); got != want {
			t.Errorf("the local address is %s, want %s", got, want)
		}
	})
}
