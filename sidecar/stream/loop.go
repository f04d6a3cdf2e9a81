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
	pipes   pipes
	room    room
	now     atomic.Int64 // milliseconds since the start, as of the last tick or batch of events
	start   time.Time
	poller  *poller
	workers workers

	stopping atomic.Bool // idle connections end
	ended    atomic.Bool // all do

	life context.Context // of what begins without a connection; StopAll ends it
	end  context.CancelFunc

	mu     sync.Mutex // guards conns and the conns' slots, swept and evicts
	conns  []*Conn
	swept  int           // the ones from here on have been looked at in this round
	evicts int           // the one that Evict looked at last
	wake   chan struct{} // tells Run that there are connections again
}

// A sweep looks at one of sweepPart parts of the connections, and at sweepLeast
// at least: a wait may last two rounds longer when there are very many.
const (
	sweepPart  = 4
	sweepLeast = 1024
)

// NewLoop makes a loop. Nothing happens on its connections until Run runs.
func NewLoop() *Loop {
	l := NewNetLoop()
	l.poller = newPoller(l)
	return l
}

// NewNetLoop makes a loop that carries all bytes over net.Conn, as every loop
// does on systems without a poller of ours.
func NewNetLoop() *Loop {
	l := &Loop{start: time.Now(), wake: make(chan struct{}, 1)}
	l.room.loop = l
	l.life, l.end = context.WithCancel(context.Background())
	return l
}

// Buffers lends memory for what passes through the loop's connections.
func (l *Loop) Buffers() *Buffers { return &l.buffers }

// Now is the time since the loop was made, as of the last tick or batch of events.
func (l *Loop) Now() time.Duration { return time.Duration(l.now.Load()) * time.Millisecond }

// Run does the loop's work until ctx is done, and then stops what still waits,
// as StopAll does: nobody would end those waits any more. It does not wait for
// the tasks, one of which may be stuck; Busy tells. It sleeps while there are no
// connections.
func (l *Loop) Run(ctx context.Context) {
	var polling sync.WaitGroup
	if l.poller != nil {
		polling.Go(l.poller.run)
		defer polling.Wait()
		defer l.poller.close()
	}
	defer l.workers.close()
	defer l.pipes.close()
	defer l.StopAll()
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
//
// It goes from the end to the beginning: the connection that forget moves comes
// from the end, and is looked at twice rather than not at all.
func (l *Loop) sweep(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Store(now)
	if l.swept = min(l.swept, len(l.conns)); l.swept == 0 {
		l.swept = len(l.conns)
	}
	from := max(0, l.swept-max(sweepLeast, len(l.conns)/sweepPart))
	for _, c := range l.conns[from:l.swept] {
		c.tick(now)
	}
	l.swept = from
	l.room.sweep(now)
	return len(l.conns) > 0
}

// tick is the loop's look at a connection.
func (c *Conn) tick(now int64) {
	if by := c.readBy.Load(); by != 0 && now >= by {
		c.transport.wakeRead()
	}
	if by := c.writeBy.Load(); by != 0 && now >= by {
		c.transport.wakeWrite()
	}
	c.watch.tick(c)
}

// look has the clock show what time it is. A tick can be late, where there is little
// CPU: waits that began by its old time would be over too soon.
func (l *Loop) look() {
	if now := time.Since(l.start).Milliseconds(); now > l.now.Load() {
		l.now.Store(now)
	}
}

func (l *Loop) remember(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.slot = int32(len(l.conns))
	if l.conns = append(l.conns, c); len(l.conns) == 1 {
		l.now.Store(time.Since(l.start).Milliseconds())
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// forget reports false when the connection has been forgotten before.
func (l *Loop) forget(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.slot < 0 {
		return false
	}
	last := len(l.conns) - 1
	moved := l.conns[last]
	l.conns[c.slot], moved.slot = moved, c.slot
	l.conns[last] = nil
	l.conns = l.conns[:last]
	c.slot = -1
	return true
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

// Idle is the number of connections that have waited for a handler's next turn for
// less than so long.
func (l *Loop) Idle(less time.Duration) int {
	n, since := 0, l.now.Load()-millis(less)
	l.each(func(c *Conn) {
		if c.turn.Load() == turnClient && c.idleSince.Load() > since {
			n++
		}
	})
	return n
}

// StopAll stops every connection for good: whoever waits for one gets
// ErrStopped. What is being dialled fails.
func (l *Loop) StopAll() {
	l.ended.Store(true)
	l.end()
	l.room.open()
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

// Busy is the number of tasks under way, and of turns that wait for room.
func (l *Loop) Busy() int { return int(l.workers.busy.Load() + l.room.waits.Load()) }
