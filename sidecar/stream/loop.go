package stream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Tick is how often deadlines are looked at: a wait may last this much longer
// than its limit.
const Tick = 20 * time.Millisecond

const tickMillis = int64(Tick / time.Millisecond)

var past = time.Unix(1, 0) //nolint:gochecknoglobals // an immutable value: a deadline that is over

// Loop owns connections: it accepts and dials them, and ends their waits.
type Loop struct {
	buffers Buffers
	now     atomic.Int64 // milliseconds since the start, as of the last tick
	start   time.Time
	tasks   sync.WaitGroup // everything that runs for a connection

	stopping atomic.Bool // idle connections end

	mu    sync.Mutex // guards conns and the conns' slots
	conns []*Conn
	wake  chan struct{} // tells Run that there are connections again
}

// NewLoop makes a loop. Its connections have no deadlines until Run runs.
func NewLoop() *Loop {
	return &Loop{start: time.Now(), wake: make(chan struct{}, 1)}
}

// Buffers lends memory for what passes through the loop's connections.
func (l *Loop) Buffers() *Buffers { return &l.buffers }

// Run looks after deadlines until ctx is done. It sleeps while there are no
// connections.
func (l *Loop) Run(ctx context.Context) {
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
			_ = c.nc.SetReadDeadline(past)
		}
		if by := c.writeBy.Load(); by != 0 && now >= by {
			_ = c.nc.SetWriteDeadline(past)
		}
		c.watch.tick(c)
	}
	return len(l.conns) > 0
}

func (l *Loop) remember(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
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
			_ = c.nc.SetReadDeadline(past)
		}
	})
}

// AbortAll cuts every connection off.
func (l *Loop) AbortAll() {
	var all []*Conn
	l.each(func(c *Conn) { all = append(all, c) })
	for _, c := range all {
		c.Abort()
	}
}

// Open is the number of connections, client and upstream.
func (l *Loop) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

func (l *Loop) each(f func(*Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		f(c)
	}
}

// Wait waits until every task of the loop has ended.
func (l *Loop) Wait() { l.tasks.Wait() }

// Now is the time since the loop was made, as of the last tick.
func (l *Loop) Now() time.Duration { return time.Duration(l.now.Load()) * time.Millisecond }
