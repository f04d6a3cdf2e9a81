package stream

import "time"

// Which connection has been idle for longest is not known without a list that
// every request would have to move its connection in. So a few are looked at, and
// the oldest of these goes, as in the approximated LRU of Redis: it costs nothing
// until somebody has to go, and the same however many there are.
const (
	evictLooks = 128  // connections that are compared
	evictMost  = 2048 // connections that are looked at to find any: newcomers can stand side by side
	evictTries = 4    // connections that may turn out to be busy by now
)

// Evict makes room for another connection: it closes the client connection that
// has waited for longest for its client's next request, or for the rest of one
// (More), out of a sample. One that has waited for less than atLeast is let
// alone. False: none was found.
func (l *Loop) Evict(atLeast time.Duration) bool {
	for range evictTries {
		c := l.longestIdle(atLeast)
		if c == nil {
			return false
		}
		if c.transport.evict() {
			return true
		}
	}
	return false
}

// longestIdle goes on where the last one has stopped, so that all get their turn.
func (l *Loop) longestIdle(atLeast time.Duration) *Conn {
	var longest *Conn
	since := l.now.Load() - millis(atLeast)
	l.mu.Lock()
	defer l.mu.Unlock()
	for looks := 0; looks < len(l.conns) && looks < evictMost && (looks < evictLooks || longest == nil); looks++ {
		l.evicts = (l.evicts + 1) % len(l.conns)
		c := l.conns[l.evicts]
		if idle := c.idleSince.Load(); c.turn.Load() == turnClient && idle <= since {
			longest, since = c, idle
		}
	}
	return longest
}

// EndIdle closes the client connections that wait for their client's next request,
// or for the rest of one, and whose handler is one of those. Their Gone is called.
func (l *Loop) EndIdle(which func(Handler) bool) {
	l.each(func(c *Conn) {
		if c.turn.Load() == turnClient && which(c.handler) {
			c.transport.evict()
		}
	})
}

// beginIdle notes since when the client is waited for. A request of which only a
// part has come is no reason to begin anew.
func (c *Conn) beginIdle() {
	if !c.hungry {
		c.idleSince.Store(c.loop.now.Load())
	}
}
