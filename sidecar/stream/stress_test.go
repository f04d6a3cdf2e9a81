package stream_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"outrider/sidecar/stream"
)

// A relay in small: clients that send, wait, half-close and reset as they like,
// upstream servers that answer, end and speak out of turn, and somebody who
// stops connections at any moment. Who gets an answer gets its own, everybody
// gets an end, and nothing is left in the loop.
func TestNothingIsLostUnderStress(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	overBoth(t, func(t *testing.T, l *stream.Loop) {
		r := newRelay(t, l, seed)
		var clients sync.WaitGroup
		for i := range uint64(32) {
			clients.Go(func() { r.client(rand.New(rand.NewPCG(seed, i))) })
		}
		clients.Go(func() { r.disturb(rand.New(rand.NewPCG(seed, 1<<32))) })
		clients.Wait()
		l.StopIdle()
		until(t, "the end of all clients", func() bool { return r.open.Load() == 0 })
		r.drain()
		until(t, "the end of all connections", func() bool { return l.Open() == 0 })
		t.Logf("%d answers, %d refused, %d taken from the pool, %d gone from it", r.answers.Load(), r.refused.Load(), r.taken.Load(), r.gone.Load())
		if r.answers.Load() == 0 || r.taken.Load() == 0 || r.gone.Load() == 0 {
			t.Error("the stress was none")
		}
	})
}

type relay struct {
	*testing.T
	loop                          *stream.Loop
	door                          stream.Listener
	addr                          string
	backend                       netip.AddrPort
	until                         time.Time
	open                          atomic.Int64 // clients that were not told of their end
	answers, refused, taken, gone atomic.Int64

	mu     sync.Mutex // guards what follows
	pool   []*stream.Conn
	served map[*relayed]bool
}

func newRelay(t *testing.T, l *stream.Loop, seed uint64) *relay {
	t.Helper()
	ln := listen(t)
	door, err := l.Listen(ln)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{T: t, loop: l, door: door, addr: ln.Addr().String(), until: time.Now().Add(time.Second), served: map[*relayed]bool{}}
	behind := listen(t)
	r.backend = idleAddr(behind)
	var running sync.WaitGroup
	running.Go(func() { serveBackend(behind, seed) })
	running.Go(r.accept)
	t.Cleanup(func() {
		_ = door.Close()
		_ = behind.Close()
		running.Wait()
	})
	return r
}

// serveBackend answers what it gets with the same, most of the time.
func serveBackend(ln net.Listener, seed uint64) {
	var running sync.WaitGroup
	defer running.Wait()
	for n := uint64(0); ; n++ {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		dice := rand.New(rand.NewPCG(seed, 1<<40+n))
		running.Go(func() { moody(nc.(*net.TCPConn), dice) })
	}
}

// moody echoes lines until it ends in one way or another.
func moody(nc *net.TCPConn, dice *rand.Rand) {
	defer nc.Close()
	buf := make([]byte, 64<<10)
	for got := 0; ; {
		n, err := nc.Read(buf[got:])
		if got += n; err != nil {
			return
		}
		if buf[got-1] != '\n' {
			continue
		}
		if dice.IntN(40) == 0 {
			pause(dice, 3*stream.Tick)
		}
		mood := dice.IntN(60)
		if mood == 0 {
			_ = nc.SetLinger(0)
			return
		}
		_, _ = nc.Write(buf[:got])
		got = 0
		switch mood {
		case 1:
			return
		case 2:
			pause(dice, time.Millisecond)
			return
		case 3:
			pause(dice, time.Millisecond)
			_, _ = nc.Write([]byte("unasked\n"))
		}
	}
}

func pause(dice *rand.Rand, most time.Duration) {
	timer := time.NewTimer(time.Duration(dice.Int64N(int64(most))))
	defer timer.Stop()
	<-timer.C
}

func (r *relay) accept() {
	for {
		c, err := r.door.Accept()
		if err != nil {
			return
		}
		c.SetWriteLimit(patience)
		h := &relayed{relay: r, conn: c}
		r.mu.Lock()
		r.served[h] = true
		r.mu.Unlock()
		r.open.Add(1)
		r.loop.Start(c, h)
	}
}

// relayed is a client's connection.
type relayed struct {
	*relay
	conn *stream.Conn
	busy atomic.Bool
}

func (h *relayed) Idle() time.Duration { return 3 * stream.Tick }

func (h *relayed) Gone() {
	h.mu.Lock()
	delete(h.served, h)
	h.mu.Unlock()
	h.relay.open.Add(-1)
}

func (h *relayed) Serve() stream.Next {
	if h.busy.Swap(true) {
		h.Error("two turns at a time")
	}
	defer h.busy.Store(false)
	if h.exchange() != nil {
		h.refused.Add(1)
		h.conn.Abort()
		h.Gone()
		return stream.Done
	}
	return stream.Keep
}

// exchange passes a line to the backend, and back.
func (h *relayed) exchange() error {
	h.conn.SetReadLimit(patience)
	end := bytes.IndexByte(h.conn.Bytes(), '\n')
	for ; end < 0; end = bytes.IndexByte(h.conn.Bytes(), '\n') {
		if err := h.conn.Fill(stream.SmallBuffer, nil); err != nil {
			return err
		}
	}
	line, owner := h.conn.Detach(end + 1)
	defer owner.Release()
	up, err := h.upstream()
	if err != nil {
		return err
	}
	if err := h.ask(up, line); err != nil {
		up.Abort()
		return err
	}
	if err := h.conn.Write(up.Bytes()); err != nil {
		up.Close()
		return err
	}
	up.Advance(len(up.Bytes()))
	h.put(up)
	return nil
}

// ask waits for all of line to come back.
func (h *relayed) ask(up *stream.Conn, line []byte) error {
	if err := up.Write(line); err != nil {
		return err
	}
	watched := h.conn
	for len(up.Bytes()) < len(line) {
		switch err := up.Fill(len(line), watched); {
		case err == stream.ErrHalfClosed: //nolint:errorlint // never wrapped
			watched = nil
		case err != nil:
			return err
		}
	}
	if got := up.Bytes(); string(got) != string(line) {
		if !bytes.HasPrefix(got, line) && !bytes.HasPrefix(got, []byte("unasked\n")) {
			h.Errorf("the answer to %d bytes is %d others", len(line), len(got))
		}
		return errors.New("it spoke out of turn")
	}
	return nil
}

func (r *relay) upstream() (*stream.Conn, error) {
	for c := r.pop(); c != nil; c = r.pop() {
		if c.Unpark() {
			r.taken.Add(1)
			return c, nil
		}
	}
	up, err := r.dial()
	if err == nil {
		up.SetReadLimit(patience)
		up.SetWriteLimit(patience)
	}
	return up, err
}

// dial takes the other transport once in a while.
func (r *relay) dial() (*stream.Conn, error) {
	if r.answers.Load()%4 != 0 {
		return r.loop.Dial(stream.Target{Addr: r.backend}, patience, nil)
	}
	nc, err := net.Dial("tcp", r.backend.String())
	if err != nil {
		return nil, err
	}
	return r.loop.AdoptNet(nc), nil
}

func (r *relay) pop() *stream.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pool) == 0 {
		return nil
	}
	last := len(r.pool) - 1
	c := r.pool[last]
	r.pool = r.pool[:last]
	return c
}

func (r *relay) put(c *stream.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !c.Park(r.evict) {
		c.Close()
		return
	}
	r.pool = append(r.pool, c)
}

func (r *relay) evict(c *stream.Conn) {
	r.gone.Add(1)
	r.mu.Lock()
	for i := range r.pool {
		if r.pool[i] == c {
			r.pool = append(r.pool[:i], r.pool[i+1:]...)
			break
		}
	}
	r.mu.Unlock()
	c.Close()
}

func (r *relay) drain() {
	for c := r.pop(); c != nil; c = r.pop() {
		if c.Unpark() {
			c.Close()
		}
	}
}

// disturb stops connections for a moment.
func (r *relay) disturb(dice *rand.Rand) {
	for time.Now().Before(r.until) {
		pause(dice, 2*time.Millisecond)
		var chosen *relayed
		r.mu.Lock()
		for h := range r.served {
			chosen = h
			break
		}
		r.mu.Unlock()
		if chosen != nil {
			chosen.conn.Stop()
			chosen.conn.Continue()
		}
	}
}

// client opens connections, one after the other, and misuses them.
func (r *relay) client(dice *rand.Rand) {
	for time.Now().Before(r.until) {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			r.Error(err)
			return
		}
		r.talk(nc.(*net.TCPConn), dice)
		_ = nc.Close()
	}
}

func (r *relay) talk(nc *net.TCPConn, dice *rand.Rand) {
	_ = nc.SetDeadline(time.Now().Add(patience))
	for time.Now().Before(r.until) {
		line := bytes.Repeat([]byte{byte('a' + dice.IntN(26))}, 1+dice.IntN(6000))
		line[len(line)-1] = '\n'
		cut := dice.IntN(len(line))
		if dice.IntN(3) > 0 {
			cut = 0
		}
		for _, piece := range [][]byte{line[:cut], line[cut:]} {
			if _, err := nc.Write(piece); err != nil {
				return
			}
		}
		mood := dice.IntN(50)
		switch mood {
		case 0:
			_ = nc.SetLinger(0)
			return
		case 1:
			_ = nc.CloseWrite()
		}
		got := make([]byte, len(line))
		switch n, err := io.ReadFull(nc, got); {
		case err != nil:
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				r.Errorf("neither an answer nor an end to %d bytes, after %d", len(line), n)
			}
			return
		case !bytes.Equal(got, line):
			r.Error("another one's answer")
			return
		}
		r.answers.Add(1)
		switch mood {
		case 1:
			if rest, err := io.ReadAll(nc); err != nil && len(rest) > 0 {
				r.Errorf("behind the answer is %q (%v)", rest, err)
			}
			return
		case 2:
			pause(dice, 6*stream.Tick) // which may be too long
		}
	}
}
