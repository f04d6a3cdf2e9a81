package stream_test

import (
	"io"
	"strings"
	"testing"

	"outrider/sidecar/stream"
)

// overPairs runs a test with a client and an upstream connection over each of
// the four pairs of transports.
func overPairs(t *testing.T, test func(t *testing.T, l *stream.Loop, client, upstream *stream.Conn, user, server far)) {
	t.Helper()
	type ends = func(*testing.T, *stream.Loop) (*stream.Conn, far)
	for name, of := range map[string][2]ends{
		"poller poller": {pair, pair},
		"poller net":    {pair, netPair},
		"net poller":    {netPair, pair},
		"net net":       {netPair, netPair},
	} {
		t.Run(name, func(t *testing.T) {
			l := running(t, stream.NewLoop())
			client, user := of[0](t, l)
			upstream, server := of[1](t, l)
			test(t, l, client, upstream, user, server)
		})
	}
}

func TestAWaitIsToldOfTheWatchedSidesFIN(t *testing.T) {
	overPairs(t, func(t *testing.T, _ *stream.Loop, client, upstream *stream.Conn, user, server far) {
		waiting := begin(func() error { return upstream.Fill(1, client) })
		user.fin()
		expectError(t, waiting, stream.ErrHalfClosed)
		if err := upstream.Fill(1, client); err != stream.ErrHalfClosed { //nolint:errorlint // never wrapped
			t.Errorf("the next wait got %v", err)
		}
		server.send("answer")
		fill(t, upstream, 6)
		if err := client.Fill(1, nil); err != io.EOF { //nolint:errorlint // never wrapped
			t.Errorf("the client's own read got %v", err)
		}
		if err := client.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		user.expect("answer")
	})
}

func TestAWaitIsToldOfTheWatchedSidesLoss(t *testing.T) {
	overPairs(t, func(t *testing.T, _ *stream.Loop, client, upstream *stream.Conn, user, server far) {
		waiting := begin(func() error { return upstream.Fill(1, client) })
		user.reset()
		expectError(t, waiting, stream.ErrLost)
		server.send("answer")
		fill(t, upstream, 6)
		if err := client.Fill(1, nil); err == nil || err == io.EOF { //nolint:errorlint // never wrapped
			t.Errorf("the client's own read got %v", err)
		}
	})
}

func TestBytesThatComeAheadDoNotHideTheEnd(t *testing.T) {
	overPairs(t, func(t *testing.T, _ *stream.Loop, client, upstream *stream.Conn, user, _ far) {
		ahead := strings.Repeat("next request ", 700)
		user.send("one")
		fill(t, client, 3)
		waiting := begin(func() error { return upstream.Fill(1, client) })
		user.send(ahead)
		user.fin()
		expectError(t, waiting, stream.ErrHalfClosed)
		fill(t, client, 3+len(ahead))
		if string(client.Bytes()) != "one"+ahead {
			t.Error("other bytes came ahead")
		}
		if err := client.Fill(1, nil); err != io.EOF { //nolint:errorlint // never wrapped
			t.Errorf("behind them is %v", err)
		}
	})
}

// A client that sends without end is not read without end.
func TestOnlySoMuchIsReadAhead(t *testing.T) {
	overPairs(t, func(t *testing.T, l *stream.Loop, client, upstream *stream.Conn, user, server far) {
		waiting := begin(func() error { return upstream.Fill(1, client) })
		sent := begin(func() error { _, err := user.Write(make([]byte, 16<<20)); return err })
		until(t, "the watch to read ahead, or to need nothing of the kind", func() bool { return l.Busy() == 0 })
		server.send("answer")
		expectError(t, waiting, nil)
		if n := len(client.Bytes()); n > 2*stream.LargeBuffer {
			t.Errorf("%d bytes were read ahead", n)
		}
		client.Close()
		<-sent
	})
}

func TestAWatchEndsWithTheWait(t *testing.T) {
	overPairs(t, func(t *testing.T, l *stream.Loop, client, upstream *stream.Conn, user, server far) {
		for i := range 6 {
			waiting := begin(func() error { return upstream.Fill(1, client) })
			if i%2 == 0 {
				user.send("ahead")
				untilWatched(t, l)
			}
			server.send("answer")
			expectError(t, waiting, nil)
			upstream.Advance(len(upstream.Bytes()))
			upstream.ReleaseBuffer()
			if i%2 == 0 {
				fill(t, client, 5)
				client.Advance(5)
			}
		}
		user.send("more")
		fill(t, client, 4)
		if err := upstream.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		server.expectEnd()
	})
}

// untilWatched gives a watch that takes a read in the background the time to
// begin.
func untilWatched(t *testing.T, l *stream.Loop) {
	t.Helper()
	since := l.Now()
	until(t, "some ticks", func() bool { return l.Busy() > 0 || l.Now() > since+5*stream.Tick })
}

// The watch is for one wait: the next one may be on behalf of another client,
// and whoever was watched before may have gone.
func TestAWatchDoesNotOutliveItsWait(t *testing.T) {
	overPairs(t, func(t *testing.T, l *stream.Loop, client, upstream *stream.Conn, user, server far) {
		waiting := begin(func() error { return upstream.Fill(1, client) })
		untilWatched(t, l)
		server.send("1")
		expectError(t, waiting, nil)
		waiting = begin(func() error { return upstream.Fill(2, nil) })
		user.reset()
		client.Close()
		untilWatched(t, l)
		server.send("2")
		expectError(t, waiting, nil)
		if got := string(upstream.Bytes()); got != "12" {
			t.Errorf("got %q", got)
		}
	})
}

func TestStopEndsAWaitThatWatches(t *testing.T) {
	overPairs(t, func(t *testing.T, l *stream.Loop, client, upstream *stream.Conn, user, _ far) {
		waiting := begin(func() error { return upstream.Fill(1, client) })
		untilWatched(t, l)
		upstream.Stop()
		expectError(t, waiting, stream.ErrStopped)
		upstream.Continue()
		waiting = begin(func() error { return upstream.Fill(1, client) })
		user.fin()
		expectError(t, waiting, stream.ErrHalfClosed)
	})
}
