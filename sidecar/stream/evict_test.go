package stream_test

import (
	"testing"
	"time"

	"outrider/sidecar/stream"
)

// pass lets the loop's clock go on.
func pass(t *testing.T, l *stream.Loop) {
	t.Helper()
	since := l.Now()
	until(t, "a tick", func() bool { return l.Now() > since })
}

// leave ends the clients, and waits until nobody holds their connections.
func leave(t *testing.T, l *stream.Loop, all ...far) {
	t.Helper()
	for _, f := range all {
		f.fin()
	}
	until(t, "nobody to be left", func() bool { return l.Open() == 0 })
}

func TestTheOneThatIsIdleForLongestIsEvicted(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		var all []far
		var handlers []*handler
		for range 3 {
			c, f := pair(t, l)
			h := echoing(c, 100)
			l.Start(c, h)
			all, handlers = append(all, f), append(handlers, h)
			pass(t, l)
		}
		all[0].send("x") // now it is the youngest
		all[0].expect("x")
		for _, i := range []int{1, 2, 0} {
			pass(t, l)
			until(t, "an eviction", func() bool { return l.Evict(0) })
			all[i].expectEnd()
			handlers[i].expectGone(t)
		}
		if l.Evict(0) {
			t.Error("one was evicted though nobody is there")
		}
	})
}

func TestARequestThatGoesOnComingMakesNobodyYounger(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, half := pair(t, l)
		h := &handler{idle: patience}
		come := 0
		h.serve = func() stream.Next {
			if len(c.Bytes()) == come { // no more will
				c.Close()
				return stream.Done
			}
			come = len(c.Bytes())
			return stream.More
		}
		l.Start(c, h)
		half.send("GET /")
		until(t, "the beginning", func() bool { return h.turns.Load() == 1 })
		pass(t, l)
		other, idle := pair(t, l)
		l.Start(other, echoing(other, 100))
		pass(t, l)
		half.send("abc")
		until(t, "more of it", func() bool { return h.turns.Load() == 2 && l.Busy() < 3 })
		until(t, "an eviction", func() bool { return l.Evict(0) })
		half.expectEnd()
		idle.send("x")
		idle.expect("x")
		leave(t, l, idle)
	})
}

func TestWhoIsServedOrHasJustComeIsNotEvicted(t *testing.T) {
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		c, young := pair(t, l)
		l.Start(c, echoing(c, 100))
		if l.Evict(time.Hour) {
			t.Error("one was evicted that has just come")
		}
		young.send("x")
		young.expect("x")
		leave(t, l, young)

		c, f := pair(t, l)
		letGo := make(chan struct{})
		h := echoing(c, 100)
		echo := h.serve
		h.serve = func() stream.Next { <-letGo; return echo() }
		l.Start(c, h)
		f.send("y")
		until(t, "its turn", func() bool { return h.turns.Load() == 1 })
		if l.Evict(0) {
			t.Error("one was evicted that is served")
		}
		close(letGo)
		f.expect("y")
		leave(t, l, f)
	})
}
