package stream_test

import (
	"sync/atomic"
	"testing"
	"time"

	"outrider/sidecar/stream"
)

// leastTurns go on however little memory there is.
const leastTurns = 16

// crowd are connections whose turns do not end before they are let go.
type crowd struct {
	letGo           chan struct{}
	running, served atomic.Int32
	late            atomic.Int32
	most            atomic.Int32
}

func (m *crowd) handler(c *stream.Conn) *handler {
	h := &handler{idle: patience}
	h.serve = func() stream.Next {
		if c.Late() {
			m.late.Add(1)
			c.Close()
			return stream.Done
		}
		for n := m.running.Add(1); ; {
			most := m.most.Load()
			if n <= most || m.most.CompareAndSwap(most, n) {
				break
			}
		}
		<-m.letGo
		m.running.Add(-1)
		m.served.Add(1)
		c.Advance(len(c.Bytes()))
		return stream.Keep
	}
	return h
}

// gather makes n connections with something to serve, in a loop with next to no
// memory.
func gather(t *testing.T, n int, waitFor time.Duration) (*stream.Loop, *crowd, []*stream.Conn) {
	t.Helper()
	l := stream.NewLoop()
	l.Bound(1, waitFor)
	running(t, l)
	m := &crowd{letGo: make(chan struct{})}
	var all []*stream.Conn
	for range n {
		c, f := pair(t, l)
		l.Start(c, m.handler(c))
		f.send("x")
		all = append(all, c)
	}
	return l, m, all
}

func TestTurnsBeyondTheBoundWaitAndAreServedLater(t *testing.T) {
	const n = 5 * leastTurns
	l, m, _ := gather(t, n, time.Hour)
	until(t, "all to have begun or to wait", func() bool { return int(m.running.Load())+l.Waiting() == n })
	if most := m.most.Load(); most != leastTurns {
		t.Errorf("%d turns went on at once, want %d", most, leastTurns)
	}
	close(m.letGo)
	until(t, "all to be served", func() bool { return m.served.Load() == n && l.Busy() == 0 })
	if most := m.most.Load(); most > leastTurns || l.Waiting() != 0 || m.late.Load() != 0 {
		t.Errorf("%d at once, %d still wait, %d late", most, l.Waiting(), m.late.Load())
	}
}

func TestATurnThatWaitsForTooLongBeginsLate(t *testing.T) {
	const n = 3 * leastTurns
	l, m, _ := gather(t, n, brief)
	until(t, "those that wait to be turned away", func() bool { return m.late.Load() == n-leastTurns })
	if l.Waiting() != 0 || m.running.Load() != leastTurns {
		t.Errorf("%d wait and %d go on", l.Waiting(), m.running.Load())
	}
	close(m.letGo)
	until(t, "the others to be served", func() bool { return m.served.Load() == leastTurns && l.Busy() == 0 })
}

func TestWithoutABoundNobodyWaits(t *testing.T) {
	const n = 5 * leastTurns
	l := running(t, stream.NewLoop())
	m := &crowd{letGo: make(chan struct{})}
	for range n {
		c, f := pair(t, l)
		l.Start(c, m.handler(c))
		f.send("x")
	}
	until(t, "all to go on", func() bool { return m.running.Load() == n })
	close(m.letGo)
	until(t, "all to be served", func() bool { return m.served.Load() == n && l.Busy() == 0 })
}

func TestTheEndLetsEverybodyIn(t *testing.T) {
	const n = 3 * leastTurns
	l, m, _ := gather(t, n, time.Hour)
	until(t, "all to have begun or to wait", func() bool { return int(m.running.Load())+l.Waiting() == n })
	l.StopAll()
	until(t, "all to have begun", func() bool { return l.Waiting() == 0 && m.running.Load() == n })
	close(m.letGo)
	until(t, "the end of all tasks", func() bool { return l.Busy() == 0 })
}
