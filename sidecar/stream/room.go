package stream

import (
	"sync"
	"sync/atomic"
	"time"
)

// turnCost is about what a turn takes besides lent buffers: its stack, its
// handler's memory, the other connection.
const turnCost = 24 << 10

// leastTurns go on at a time however little memory there is.
const leastTurns = 16

// leastOccupied may be occupied however little memory there is, in bytes.
const leastOccupied = 1 << 20

// latePerTick bounds how many turns are turned away at once: that takes memory
// too.
const latePerTick = 64

// room bounds the memory that the turns of clients take together. A turn that
// finds none waits in order, without a task or a buffer, and goes on when another
// one ends. What runs is never stopped. The zero value has no bounds.
type room struct {
	loop     *Loop
	bytes    atomic.Int64 // 0: no bounds
	patience atomic.Int64 // milliseconds

	turns, waits atomic.Int64
	occupied     atomic.Int64 // bytes

	mu    sync.Mutex // guards queue
	queue []waiting  // oldest first
}

// waiting is a connection whose turn waits for room, since a time on the loop's clock.
type waiting struct {
	conn  *Conn
	since int64
	begun chan struct{} // closed when the turn begins, where its task waits; nil: it has none yet
}

// Bound lets clients' turns take about so many bytes of memory together. One that
// has waited for longer than patience begins as Late. It may be called at any time.
func (l *Loop) Bound(bytes int64, patience time.Duration) {
	l.room.bytes.Store(bytes)
	l.room.patience.Store(millis(patience))
}

// Waiting is the number of turns that wait for room.
func (l *Loop) Waiting() int { return int(l.room.waits.Load()) }

// Claim takes so many bytes of the memory that Bound bounds, for what takes some outside
// of turns and lent buffers, until Disclaim. False: there is no room for that.
func (l *Loop) Claim(bytes int64) bool {
	if !l.room.fits(bytes) {
		return false
	}
	l.buffers.lent.Add(bytes)
	return true
}

// Occupy is Claim for what stays though nothing happens, such as a connection, until
// Vacate. All of that together has half of the memory, or leastOccupied, so that the rest
// is for what does happen.
func (l *Loop) Occupy(bytes int64) bool {
	bound := l.room.bytes.Load()
	if bound != 0 && l.room.occupied.Load()+bytes > max(bound/2, leastOccupied) {
		return false
	}
	l.room.occupied.Add(bytes)
	l.buffers.lent.Add(bytes)
	return true
}

// Vacate gives back what was occupied.
func (l *Loop) Vacate(bytes int64) {
	l.room.occupied.Add(-bytes)
	l.Disclaim(bytes)
}

// Disclaim gives back what was claimed.
func (l *Loop) Disclaim(bytes int64) {
	l.buffers.lent.Add(-bytes)
	if l.room.waits.Load() > 0 {
		l.room.admit()
	}
}

// enter begins a turn on a task of its own, or lets it wait.
func (r *room) enter(c *Conn) {
	if w := (waiting{conn: c}); r.free() {
		r.begin(w)
	} else {
		r.line(w)
	}
}

// await returns when the turn of a connection whose task this is has begun.
func (r *room) await(c *Conn) {
	if r.free() {
		r.turns.Add(1)
		return
	}
	begun := make(chan struct{})
	r.line(waiting{conn: c, begun: begun})
	<-begun
}

// free tells whether a turn may begin at once.
func (r *room) free() bool { return r.bytes.Load() == 0 || r.waits.Load() == 0 && r.has() }

// line puts a turn behind the others.
func (r *room) line(w waiting) {
	w.since = r.loop.now.Load()
	r.mu.Lock()
	r.queue = append(r.queue, w)
	r.waits.Add(1)
	r.mu.Unlock()
	r.admit() // the last turn may have ended meanwhile
}

func (r *room) begin(w waiting) {
	r.turns.Add(1)
	if w.begun != nil {
		close(w.begun)
		return
	}
	r.loop.workers.serve(w.conn)
}

func (r *room) has() bool {
	bytes := r.bytes.Load()
	return bytes == 0 || r.turns.Load() < leastTurns || r.taken() < bytes || r.loop.ended.Load()
}

// taken is the memory that the turns under way take, in bytes.
func (r *room) taken() int64 { return r.turns.Load()*turnCost + r.loop.buffers.Lent() }

// fits tells whether a turn may borrow so many bytes that it can do without.
func (r *room) fits(bytes int64) bool {
	bound := r.bytes.Load()
	return bound == 0 || r.taken()+bytes <= bound
}

// leave ends a turn.
func (r *room) leave() {
	r.turns.Add(-1)
	if r.waits.Load() > 0 {
		r.admit()
	}
}

// admit begins the turns that there is room for.
func (r *room) admit() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 && r.has() {
		r.begin(r.next())
	}
}

// next takes the oldest out of the queue. Called with mu held.
func (r *room) next() waiting {
	w := r.queue[0]
	r.queue[0] = waiting{}
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil
	}
	r.waits.Add(-1)
	return w
}

// sweep begins what has waited for too long, so that it can be turned away.
func (r *room) sweep(now int64) {
	if r.waits.Load() == 0 {
		return
	}
	r.admit()
	r.mu.Lock()
	defer r.mu.Unlock()
	for range latePerTick {
		if len(r.queue) == 0 || now-r.queue[0].since < r.patience.Load() {
			return
		}
		w := r.next()
		w.conn.late = true
		r.begin(w)
	}
}

// open lets everybody in, for the end.
func (r *room) open() { r.admit() }
