package stream

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Tick is how often deadlines are looked at: a wait may last this much longer
// than its limit.
const Tick = 20 * time.Millisecond

const tickMillis = int64(Tick / time.Millisecond)

// Loop owns connections: it accepts and dials them, and ends their waits.
type Loop struct {
	buffers Buffers
	now     atomic.Int64 // milliseconds since the start, as of the last tick
	start   time.Time
	poller  *poller
	workers workers

	stopping atomic.Bool // idle connections end
	ended    atomic.Bool // all do

	mu    sync.Mutex // guards conns and the conns' slots
	conns []*Conn
	wake  chan struct{} // tells Run that there are connections again
}

// NewLoop makes a loop. Nothing happens on its connections until Run runs.
func NewLoop() *Loop {
	l := &Loop{start: time.Now(), wake: make(chan struct{}, 1)}
	l.poller = newPoller(l)
	return l
}

// NewNetLoop makes a loop that carries all bytes over net.Conn, as every loop
// does on systems without a poller of ours.
func NewNetLoop() *Loop {
	return &Loop{start: time.Now(), wake: make(chan struct{}, 1)}
}

// Buffers lends memory for what passes through the loop's connections.
func (l *Loop) Buffers() *Buffers { return &l.buffers }

// Now is the time since the loop was made, as of the last tick.
func (l *Loop) Now() time.Duration { return time.Duration(l.now.Load()) * time.Millisecond }

// Run does the loop's work until ctx is done. It sleeps while there are no
// connections.
func (l *Loop) Run(ctx context.Context) {
	var polling sync.WaitGroup
	if l.poller != nil {
		polling.Go(l.poller.run)
		defer polling.Wait()
		defer l.poller.close()
	}
	defer l.workers.close()
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	for {
		next := ticker.C
		if !l.sweep(time.Since(l.start).Milliseconds()) {
			ticker.Stop()
			next = nil
		}
		select {
		case <-next:
		case <-l.wake:
			ticker.Reset(Tick)
		case <-ctx.Done():
			return
		}
	}
}

// sweep ends the waits whose time is over at now, in milliseconds since the
// start. It reports whether there are connections.
func (l *Loop) sweep(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Store(now)
	for _, c := range l.conns {
		if by := c.readBy.Load(); by != 0 && now >= by {
			c.transport.wakeRead()
		}
		if by := c.writeBy.Load(); by != 0 && now >= by {
			c.transport.wakeWrite()
		}
		c.watch.tick(c)
	}
	return len(l.conns) > 0
}

func (l *Loop) remember(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.slot >= 0 {
		return
	}
	c.slot = len(l.conns)
	if l.conns = append(l.conns, c); len(l.conns) == 1 {
		l.now.Store(time.Since(l.start).Milliseconds())
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (l *Loop) forget(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.slot < 0 {
		return
	}
	last := len(l.conns) - 1
	moved := l.conns[last]
	l.conns[c.slot], moved.slot = moved, c.slot
	l.conns[last] = nil
	l.conns = l.conns[:last]
	c.slot = -1
}

// StopIdle ends the connections that wait for a handler's next turn, now and
// from now on.
func (l *Loop) StopIdle() {
	l.stopping.Store(true)
	l.each(func(c *Conn) {
		if c.turn.CompareAndSwap(turnClient, turnEnding) {
			c.transport.wakeRead()
		}
	})
}

// StopAll stops every connection for good: whoever waits for one gets
// ErrStopped.
func (l *Loop) StopAll() {
	l.ended.Store(true)
	l.each((*Conn).Stop)
}

// Open is the number of connections, client and upstream.
func (l *Loop) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

func (l *Loop) each(f func(*Conn)) {
	l.mu.Lock()
	all := slices.Clone(l.conns)
	l.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}

// Go runs f on a task that Busy counts.
func (l *Loop) Go(f func()) { l.workers.run(f) }

// Busy is the number of tasks under way.
func (l *Loop) Busy() int { return int(l.workers.busy.Load()) }
