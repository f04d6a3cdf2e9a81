package stream_test

import (
	"testing"
	"time"

	"outrider/sidecar/stream"
)

// Over net.Conn a dial goes on for whoever has left, at most for its limit.
func TestADialEndsWithTheConnectionThatItIsFor(t *testing.T) {
	l := running(t, stream.NewLoop())
	served, client := pair(t, l)
	addr := fullBacklog(t)
	dialling := begin(func() error { _, err := l.Dial(stream.Target{Addr: addr}, time.Hour, served); return err })
	client.reset()
	expectError(t, dialling, stream.ErrLost)
}

func TestADialThatNobodyHasLeftTakesItsWholeLimit(t *testing.T) {
	l := running(t, stream.NewLoop())
	served, _ := pair(t, l)
	addr, began := fullBacklog(t), time.Now()
	if _, err := l.Dial(stream.Target{Addr: addr}, brief, served); err == nil || time.Since(began) < brief {
		t.Errorf("it ends with %v after %v", err, time.Since(began))
	}
}
