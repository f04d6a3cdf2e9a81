package stream

import (
	"sync"
	"sync/atomic"
)

// maxParked bounds the workers that are kept for later.
const maxParked = 256

// workers are goroutines that run one task after the other. They are kept
// because their stacks have grown to what a task needs, and parked as a stack
// because the last one is still warm.
type workers struct {
	busy   atomic.Int64 // tasks under way
	mu     sync.Mutex   // guards what follows
	parked []*worker
	closed bool
}

// worker is one goroutine; next holds the one task that it was woken for.
type worker struct{ next chan task }

// task is a connection that has become readable, or a function.
type task struct {
	conn *Conn
	f    func()
}

func (ws *workers) run(f func()) { ws.start(task{f: f}) }

// serve goes on with a connection whose turn a task has.
func (ws *workers) serve(c *Conn) { ws.start(task{conn: c}) }

func (ws *workers) start(t task) {
	ws.busy.Add(1)
	w := ws.unpark()
	if w == nil {
		w = &worker{next: make(chan task, 1)}
		go w.work(ws)
	}
	w.next <- t
}

func (w *worker) work(ws *workers) {
	for t := range w.next {
		if t.conn != nil {
			t.conn.turns()
			t.conn.loop.room.leave()
		} else {
			t.f()
		}
		ws.busy.Add(-1)
		if !ws.park(w) {
			return
		}
	}
}

func (ws *workers) unpark() *worker {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	last := len(ws.parked) - 1
	if last < 0 {
		return nil
	}
	w := ws.parked[last]
	ws.parked = ws.parked[:last]
	return w
}

func (ws *workers) park(w *worker) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed || len(ws.parked) >= maxParked {
		return false
	}
	ws.parked = append(ws.parked, w)
	return true
}

// close ends the workers that are parked, and the others when their task ends.
func (ws *workers) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for _, w := range ws.parked {
		close(w.next)
	}
	ws.parked = nil
}
