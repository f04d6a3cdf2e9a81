package stream_test

import (
	"testing"

	"outrider/sidecar/stream"
)

func TestTheFewThatAreIdleAreFoundAmongManyThatAreNot(t *testing.T) {
	l := running(t, stream.NewLoop())
	m := &crowd{letGo: make(chan struct{})}
	const busy, idle = 300, 3
	var all []far
	for range busy {
		c, f := pair(t, l)
		l.Start(c, m.handler(c))
		f.send("x")
		all = append(all, f)
	}
	for range idle {
		c, _ := pair(t, l)
		l.Start(c, echoing(c, 100))
	}
	until(t, "all to go on", func() bool { return m.running.Load() == busy })
	found := 0
	for range idle * (busy/100 + 1) { // each looks at 128 at least
		if l.Evict(0) {
			found++
		}
	}
	if found != idle || l.Open() != busy {
		t.Errorf("%d of %d were found; %d are open", found, idle, l.Open())
	}
	close(m.letGo)
	leave(t, l, all...)
}
