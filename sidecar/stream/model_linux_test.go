package stream

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// The events are the kernel's own, but they are collected and handed over one by
// one, as late as can be, to a connection of which little need be known to tell
// what may become of it: the bytes on their way, how it has ended, who has it.
func TestThePollerKeepsItsContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const times = 5 // as many as by default
		for range times {
			rapid.Check(bubbled{t}, explore)
		}
	})
}

func explore(rt *rapid.T) {
	m := newModel(rt)
	defer m.close()
	rt.Repeat(map[string]func(*rapid.T){
		"far writes": m.farWrites,
		"ends":       m.ends,
		"collect":    func(*rapid.T) { m.collect() },
		"deliver":    func(*rapid.T) { m.deliver() },
		"spurious":   m.spurious,
		"time":       m.time,
		"settle":     func(*rapid.T) { m.settle() },
		"stops":      m.stops,
		"write":      func(*rapid.T) { m.write() },
		"read":       m.read,
		"idle":       m.idle,
		"park":       func(*rapid.T) { m.park() },
		"unpark":     func(*rapid.T) { m.unpark() },
		"evict":      func(*rapid.T) { m.evict() },
		"replace":    func(*rapid.T) { m.replace() },
		"":           func(*rapid.T) { m.check() },
	})
	m.settle()
}

// An edge for nothing wakes an idle connection, but its time goes on.
func TestAnEventForNothingDoesNotProlongTheIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbled{t}, func(rt *rapid.T) {
			m := newModel(rt)
			defer m.close()
			h := &recorder{idle: 10 * Tick}
			m.loop.Start(m.conn, h)
			for now := range int64(11) {
				if rapid.Bool().Draw(rt, "event") {
					m.loop.poller.deliver(&unix.EpollEvent{
						Events: unix.EPOLLIN, Fd: int32(m.conn.transport.(*polled).fd), Pad: int32(m.conn.transport.(*polled).generation),
					})
				}
				synctest.Wait()
				if h.gone != 0 {
					rt.Fatalf("it was gone after %d ticks", now)
				}
				m.loop.sweep(now * tickMillis)
			}
			synctest.Wait()
			m.loop.sweep(11 * tickMillis)
			synctest.Wait()
			if h.gone != 1 || h.turns != 0 {
				rt.Fatalf("gone was told %d times, after %d turns", h.gone, h.turns)
			}
		})
	})
}

// bubbled is a test that has no deadline on the real clock.
type bubbled struct{ *testing.T }

// holder is who has a connection.
type holder int

const (
	held    holder = iota // the test
	reading               // a task of the test, in Fill
	idling                // nobody: the handler's next turn
	parked                // nobody: a pool
)

// end is one connection and the descriptor at its other end.
type end struct {
	conn             *Conn
	far              int
	finished, broken bool
}

func (e *end) shut() {
	if !e.finished {
		_ = unix.Shutdown(e.far, unix.SHUT_WR)
		e.finished = true
	}
}

// end closes the other end, which is a hang-up over these sockets, and a reset
// when something stands unread there.
func (e *end) end() {
	if !e.broken {
		_ = unix.Close(e.far)
		e.finished, e.broken = true, true
	}
}

func (e *end) close() {
	e.conn.Close()
	e.end()
}

type model struct {
	*rapid.T
	loop    *Loop
	pending []unix.EpollEvent
	dead    []int32 // generations that are closed
	client  end     // is watched

	end             // is what all is about
	unread   []byte // sent, and not yet seen by a task
	last     byte   // byte that was sent
	holder   holder // who has it
	limit    int64  // when the wait is over, of the loop's clock
	started  time.Time
	atLeast  time.Duration // how long the wait has to last
	stopped  bool
	stopping bool
	watches  bool
	result   chan error
	turns    int
	gone     int
	evicted  bool
}

func newModel(rt *rapid.T) *model {
	m := &model{T: rt, loop: NewLoop()}
	m.client = m.open()
	m.end = m.open()
	return m
}

func (m *model) open() end {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		m.Fatal(err)
	}
	c, err := m.loop.poller.adopt(fds[0], netip.AddrPort{})
	if err != nil {
		m.Fatal(err)
	}
	return end{conn: c, far: fds[1]}
}

func (m *model) close() {
	m.loop.StopAll()
	synctest.Wait()
	m.end.close()
	m.client.close()
	m.loop.workers.close()
	m.loop.poller.close()
	if n := m.loop.Open(); n != 0 {
		m.Errorf("%d connections are left", n)
	}
}

func (m *model) need(h holder) {
	if m.holder != h {
		m.Skip("somebody else has it")
	}
}

func (m *model) farWrites(rt *rapid.T) {
	if m.finished {
		rt.Skip("it has ended")
	}
	bytes := make([]byte, rapid.SampledFrom([]int{1, 100, SmallBuffer, SmallBuffer + 1}).Draw(rt, "size"))
	for i := range bytes {
		m.last++
		bytes[i] = m.last
	}
	if n, err := unix.Write(m.far, bytes); err != nil || n < len(bytes) {
		m.last -= byte(len(bytes) - max(n, 0))
		bytes = bytes[:max(n, 0)]
	}
	m.unread = append(m.unread, bytes...)
}

// ends end one of the connections: not too often, for nothing comes after that.
func (m *model) ends(rt *rapid.T) {
	switch rapid.IntRange(0, 7).Draw(rt, "which") {
	case 0:
		m.end.end()
	case 1, 2:
		m.shut()
	case 3:
		m.client.end()
	case 4:
		m.client.shut()
	}
}

func (m *model) collect() {
	m.pending = append(m.pending, m.loop.poller.collect(m.loop.poller.fd)...)
}

func (m *model) deliver() {
	if len(m.pending) == 0 {
		m.Skip("nothing has happened")
	}
	m.loop.poller.deliver(&m.pending[0])
	m.pending = m.pending[1:]
}

// spurious is an event for nothing, or for a connection that is no more.
func (m *model) spurious(rt *rapid.T) {
	e := unix.EpollEvent{
		Events: rapid.SampledFrom([]uint32{unix.EPOLLIN, unix.EPOLLOUT, unix.EPOLLIN | unix.EPOLLOUT}).Draw(rt, "events"),
		Fd:     int32(m.conn.transport.(*polled).fd), Pad: int32(m.conn.transport.(*polled).generation),
	}
	if len(m.dead) > 0 && rapid.Bool().Draw(rt, "late") {
		e.Pad = rapid.SampledFrom(m.dead).Draw(rt, "generation")
		e.Events |= unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	}
	m.loop.poller.deliver(&e)
}

func (m *model) time(rt *rapid.T) {
	ticks := rapid.IntRange(1, 4).Draw(rt, "ticks")
	time.Sleep(time.Duration(ticks) * Tick)
	m.loop.sweep(time.Since(m.loop.start).Milliseconds())
}

func (m *model) stops(rt *rapid.T) {
	switch which := rapid.IntRange(0, 20).Draw(rt, "which"); {
	case which == 0:
		m.stopping = true
		m.loop.StopIdle()
	case which < 5:
		m.stopped = true
		m.conn.Stop()
	default:
		m.stopped = false
		m.conn.Continue()
	}
}

func (m *model) write() {
	m.need(held)
	switch err := m.conn.Write([]byte("x")); {
	case err == nil && m.broken, errors.Is(err, ErrStopped) && !m.stopped, err != nil && !m.broken && !m.stopped:
		m.Fatalf("writing: %v", err)
	}
}

func (m *model) read(rt *rapid.T) {
	m.need(held)
	m.begin(rt)
	m.holder = reading
	m.watches = rapid.Bool().Draw(rt, "watches")
	var other *Conn
	if m.watches {
		other = m.client.conn
	}
	done := make(chan error, 1)
	m.result = done
	go func() { done <- m.conn.Fill(SmallBuffer, other) }()
}

// begin begins a wait.
func (m *model) begin(rt *rapid.T) {
	m.atLeast = rapid.SampledFrom([]time.Duration{0, 3 * Tick, time.Hour}).Draw(rt, "limit")
	m.started = time.Now()
	m.conn.SetReadLimit(m.atLeast)
	m.limit = m.conn.deadline(m.conn.readLimit)
}

func (m *model) Idle() time.Duration { return m.atLeast }

func (m *model) Gone() { m.gone++ }

func (m *model) Serve() Next {
	m.turns++
	return Done // the test goes on with it
}

func (m *model) idle(rt *rapid.T) {
	m.need(held)
	m.begin(rt)
	m.holder = idling
	m.loop.Start(m.conn, m)
}

// evict ends the connection only when it is idle, and nothing has come.
func (m *model) evict() {
	m.evicted = m.loop.Evict(0)
	if m.evicted && (m.holder != idling || len(m.unread) > 0 || m.finished) {
		m.Fatalf("it was closed though it was no idle one; %s", m)
	}
	if !m.evicted && m.holder == idling && len(m.unread) == 0 && !m.finished {
		m.Fatalf("nothing was closed; %s", m)
	}
}

func (m *model) park() {
	m.need(held)
	if m.holder = parked; m.conn.Park(func(*Conn) { m.gone++ }) {
		return
	}
	m.holder = held
	if len(m.unread) == 0 && !m.finished {
		m.Fatal("an idle connection was not parked")
	}
}

func (m *model) unpark() {
	m.need(parked)
	if !m.conn.Unpark() {
		m.Fatal("it is gone, and nobody was told")
	}
	m.holder = held
}

// replace closes the connection. The next one has its number.
func (m *model) replace() {
	m.need(held)
	m.end.close()
	m.dead = append(m.dead, int32(m.conn.transport.(*polled).generation))
	m.end = m.open()
	if m.client.finished {
		m.client.close()
		m.client = m.open()
	}
	m.unread, m.holder, m.stopped = nil, held, false
	m.turns, m.gone, m.evicted = 0, 0, false
}

// check looks at what has become of the connection, and whether that may be.
func (m *model) check() {
	synctest.Wait()
	switch m.holder {
	case reading:
		select {
		case err := <-m.result:
			m.holder = held
			m.took(err)
		default:
		}
	case idling:
		m.checkIdle()
	case parked:
		if m.gone > 0 {
			m.holder = held
			if m.gone > 1 || len(m.unread) == 0 && !m.finished {
				m.Fatalf("gone was told %d times; %s", m.gone, m)
			}
			m.replace()
		}
	}
	if m.holder == held && m.turns+m.gone > 0 {
		m.Fatalf("%d turns of a connection that is not idle, and %d ends", m.turns, m.gone)
	}
}

func (m *model) checkIdle() {
	switch {
	case m.turns+m.gone > 1:
		m.Fatalf("%d turns and %d ends at a time", m.turns, m.gone)
	case m.turns == 1:
		m.holder, m.turns = held, 0
		m.took(nil)
	case m.gone == 1:
		m.holder = held
		if len(m.unread) > 0 || !m.evicted && !m.finished && !m.stopped && !m.stopping && time.Since(m.started) < m.atLeast {
			m.Fatalf("its idle time ended; %s", m)
		}
		m.replace()
	}
}

// took checks what a read has got.
func (m *model) took(err error) {
	none := len(m.unread) == 0
	may := false
	switch {
	case err == nil:
		got := m.conn.Bytes()
		may = len(got) > 0 && len(got) <= len(m.unread) && string(got) == string(m.unread[:len(got)])
		m.unread = m.unread[min(len(got), len(m.unread)):]
		m.conn.Advance(len(got))
	case errors.Is(err, io.EOF):
		may = m.finished && none
	case errors.Is(err, syscall.ECONNRESET):
		may = m.broken && none
	case errors.Is(err, ErrTimeout):
		may = none && !m.finished && time.Since(m.started) >= m.atLeast
	case errors.Is(err, ErrStopped):
		may = m.stopped
	case errors.Is(err, ErrHalfClosed):
		may = m.watches && m.client.finished
	case errors.Is(err, ErrLost):
		may = m.watches && m.client.broken
	}
	if !may {
		m.Fatalf("a read got %v; %s", err, m)
	}
}

// settle lets everything arrive. What has a reason to end must have ended then.
func (m *model) settle() {
	for m.collect(); len(m.pending) > 0; m.collect() {
		m.deliver()
		synctest.Wait()
	}
	m.loop.sweep(time.Since(m.loop.start).Milliseconds())
	m.check()
	over := m.loop.now.Load() >= m.limit
	ready := len(m.unread) > 0 || m.finished
	switch {
	case m.holder == reading && (ready || over || m.stopped || m.watches && m.client.finished),
		m.holder == idling && (ready || over || m.stopped || m.stopping),
		m.holder == parked && ready:
		m.Fatalf("it still waits; %s", m)
	}
}

func (m *model) String() string {
	return fmt.Sprintf("%d bytes unread, finished %t, broken %t, stopped %t, stopping %t, after %v of %v",
		len(m.unread), m.finished, m.broken, m.stopped, m.stopping, time.Since(m.started), m.atLeast)
}
