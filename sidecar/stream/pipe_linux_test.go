package stream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"outrider/sidecar/stream"
)

// bothEnds are two accepted connections of a loop, and their other ends.
func bothEnds(t *testing.T, l *stream.Loop) (from, to *stream.Conn, source, sink far) {
	t.Helper()
	from, source = pair(t, l)
	to, sink = pair(t, l)
	return from, to, source, sink
}

// passAll moves exactly n bytes through a pipe.
func passAll(l *stream.Loop, from, to *stream.Conn, n int64) error {
	p := l.LendPipe(from, to)
	defer p.Release()
	for n > 0 {
		moved, err := from.FillPipe(p, n, nil)
		if err != nil {
			return err
		}
		if err := to.WritePipe(p); err != nil {
			return err
		}
		n -= int64(moved)
	}
	return nil
}

func TestAPipeMovesWhatItIsToldToAndNothingBehind(t *testing.T) {
	l := running(t, stream.NewLoop())
	rapid.Check(t, func(rt *rapid.T) {
		from, to, source, sink := bothEnds(t, l)
		defer from.Close()
		defer to.Close()
		size := rapid.IntRange(1, 3<<20).Draw(rt, "size")
		body := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(body)
		const behind = "the next message"

		sent := begin(func() error {
			_, err := source.Write(append(bytes.Clone(body), behind...))
			return err
		})
		passed := begin(func() error { return passAll(l, from, to, int64(size)) })
		got := make([]byte, size)
		if _, err := io.ReadFull(sink, got); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(got, body) {
			rt.Fatal("the bytes have changed on their way")
		}
		if err := errors.Join(<-sent, <-passed); err != nil {
			rt.Fatal(err)
		}
		fill(t, from, len(behind))
		if rest := string(from.Bytes()); rest != behind {
			rt.Fatalf("behind the body there is %q, want %q", rest, behind)
		}
	})
}

func TestAPipeToOneThatDoesNotReadWaitsAndTimesOut(t *testing.T) {
	l := running(t, stream.NewLoop())
	from, to, source, _ := bothEnds(t, l)
	to.SetWriteLimit(brief)
	done := begin(func() error { return passAll(l, from, to, 64<<20) })
	_ = begin(func() error {
		_, err := source.Write(make([]byte, 64<<20))
		return err
	})
	expectError(t, done, stream.ErrTimeout)
}

func TestAPipeEndsWithTheConnectionThatFillsIt(t *testing.T) {
	l := running(t, stream.NewLoop())
	from, to, source, sink := bothEnds(t, l)
	done := begin(func() error { return passAll(l, from, to, 1<<20) })
	source.send("the beginning")
	source.fin()
	sink.expect("the beginning")
	expectError(t, done, io.EOF)
	if err := from.Fill(1, nil); !errors.Is(err, io.EOF) {
		t.Errorf("after its end, Fill says %v", err)
	}
}

func TestStopEndsAWaitForAPipe(t *testing.T) {
	l := running(t, stream.NewLoop())
	from, to, _, _ := bothEnds(t, l)
	done := begin(func() error { return passAll(l, from, to, 1) })
	from.Stop()
	expectError(t, done, stream.ErrStopped)
}

func TestAPipeThatStillHoldsBytesIsNotLentAgain(t *testing.T) {
	l := running(t, stream.NewLoop())
	from, to, source, sink := bothEnds(t, l)
	source.send("somebody's secret")
	p := l.LendPipe(from, to)
	if _, err := from.FillPipe(p, 1<<20, nil); err != nil {
		t.Fatal(err)
	}
	p.Release() // its bytes were never written

	source.send("x")
	if err := passAll(l, from, to, 1); err != nil {
		t.Fatal(err)
	}
	sink.expect("x")
}

func TestThereIsNoPipeToOrFromANetConn(t *testing.T) {
	l := running(t, stream.NewLoop())
	polled, _ := pair(t, l)
	other, _ := netPair(t, l)
	if l.LendPipe(polled, other) != nil || l.LendPipe(other, polled) != nil {
		t.Error("a pipe was lent")
	}
}

func TestWhatAPipeCanHoldIsLentUntilItsRelease(t *testing.T) {
	l := running(t, stream.NewLoop())
	from, to, _, _ := bothEnds(t, l)
	before := l.Buffers().Lent()
	for range 2 { // a new pipe, and a used one
		p := l.LendPipe(from, to)
		if lent := l.Buffers().Lent() - before; lent != 64<<10 {
			t.Errorf("a pipe counts for %d bytes", lent)
		}
		p.Release()
		if lent := l.Buffers().Lent(); lent != before {
			t.Errorf("%d bytes are still lent", lent-before)
		}
	}
}

func TestNoMorePipesAreLentThanFitIntoTheBound(t *testing.T) {
	const pipes = 5
	l := stream.NewLoop()
	l.Bound(pipes*64<<10, patience)
	running(t, l)
	from, to, _, _ := bothEnds(t, l)
	var lent []*stream.Pipe
	for range 2 * pipes {
		if p := l.LendPipe(from, to); p != nil {
			lent = append(lent, p)
		}
	}
	if len(lent) != pipes {
		t.Errorf("%d pipes were lent, want %d", len(lent), pipes)
	}
	for _, p := range lent {
		p.Release()
	}
	again := l.LendPipe(from, to)
	if again == nil {
		t.Fatal("no pipe was lent though there is room again")
	}
	again.Release()
}

func TestPipesAreClosedWithTheLoop(t *testing.T) {
	l := stream.NewLoop()
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { l.Run(ctx) })
	from, to, source, sink := bothEnds(t, l)
	p := l.LendPipe(from, to)
	stop()
	run.Wait()
	p.Release()
	if again := l.LendPipe(from, to); again != nil {
		again.Release()
	}
	_, _ = source.Close(), sink.Close()
}
