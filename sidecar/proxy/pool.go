package proxy

import (
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/http2"
	"outrider/sidecar/stream"
)

// maxIdle bounds the idle connections to one backend.
const maxIdle = 1024

// pools keep the idle upstream connections of every backend. They are found by
// the backend itself, which is the same for as long as its cluster and address
// are.
type pools struct {
	byBackend sync.Map // *cluster.Backend -> *pool
}

// pool is a stack: the connection that was used last is the least likely to be
// closed by the other end, and the others get old enough to be closed.
type pool struct {
	gone func(*stream.Conn) // p.evict, made once

	mu       sync.Mutex // guards what follows
	idle     []idleConn
	sessions []session
	maxAge   time.Duration // as of the last put
	closed   bool
}

type idleConn struct {
	conn  *stream.Conn
	tls   *tls.Config   // that it was made with; nil: cleartext
	intro string        // the PROXY protocol header that it began with: it is for that client alone
	since time.Duration // of the loop's clock
}

// session is a connection over HTTP/2, which is never idle in the pool's sense: it
// takes further requests while others are under way.
type session struct {
	*http2.Session
	tls *tls.Config
}

func newPool() *pool {
	p := new(pool)
	p.gone = p.evict
	return p
}

func (ps *pools) of(b *cluster.Backend) *pool {
	if p, ok := ps.byBackend.Load(b); ok {
		return p.(*pool)
	}
	p, _ := ps.byBackend.LoadOrStore(b, newPool())
	return p.(*pool)
}

// take hands out a connection that is as good as one made by the policy, with this
// introduction, and is still alive, or nil. It is for an exchange with client.
func (p *pool) take(client *stream.Conn, policy *cluster.Policy, intro string) *stream.Conn {
	now := client.Loop().Now()
	for {
		c, ok := p.pop(intro)
		switch {
		case !ok:
			return nil
		case !c.conn.Unpark():
		case now-c.since < policy.UpstreamIdle && c.tls == policy.TLS && c.conn.Silent(client):
			return c.conn
		default:
			c.conn.Close()
		}
	}
}

// open opens a stream over a session that is as good as one made by the policy.
func (p *pool) open(policy *cluster.Policy) (far *stream.End, reused, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions = slices.DeleteFunc(p.sessions, func(s session) bool {
		if s.tls != policy.TLS {
			s.Retire()
		}
		return s.tls != policy.TLS || s.Ended()
	})
	for _, s := range p.sessions {
		if far, reused, ok = s.Open(); ok {
			return far, reused, true
		}
	}
	return nil, false, false
}

// add keeps a session for further requests.
func (p *pool) add(s session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.Retire() // once the stream is over that it was made for
		return
	}
	p.sessions = append(p.sessions, s)
}

func (p *pool) pop(intro string) (c idleConn, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	for last >= 0 && p.idle[last].intro != intro {
		last-- // where nobody is introduced, the last one will do
	}
	if last < 0 {
		return c, false
	}
	c = p.idle[last]
	p.idle = append(p.idle[:last], p.idle[last+1:]...)
	return c, true
}

// put takes back a connection that was made by the policy with this introduction, or
// closes it when nobody will want it.
func (p *pool) put(c *stream.Conn, now time.Duration, policy *cluster.Policy, intro string) {
	if !p.push(idleConn{c, policy.TLS, intro, now}, policy.UpstreamIdle) {
		c.Close()
	}
}

// push parks under the lock, so that evict finds what is parked.
func (p *pool) push(c idleConn, maxAge time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.maxAge = maxAge
	if p.closed || len(p.idle) >= maxIdle || !c.conn.Park(p.gone) {
		return false
	}
	p.idle = append(p.idle, c)
	return true
}

// evict closes a connection that has ended or said something while it was idle.
func (p *pool) evict(c *stream.Conn) {
	p.mu.Lock()
	p.idle = slices.DeleteFunc(p.idle, func(i idleConn) bool { return i.conn == c })
	p.mu.Unlock()
	c.Close()
}

// expire closes what has been idle for too long.
func (p *pool) expire(now time.Duration) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now-p.idle[n].since >= p.maxAge {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.sessions = slices.DeleteFunc(p.sessions, func(s session) bool { return s.Ended() })
	p.mu.Unlock()
	closeAll(old)
}

// close closes what is idle, and everything that comes back later.
func (p *pool) close() {
	p.mu.Lock()
	idle, sessions := p.idle, p.sessions
	p.idle, p.sessions, p.closed = nil, nil, true
	p.mu.Unlock()
	closeAll(idle)
	for _, s := range sessions {
		s.Retire()
	}
}

func closeAll(idle []idleConn) {
	for _, c := range idle {
		if c.conn.Unpark() {
			c.conn.Close()
		}
	}
}

func (ps *pools) expire(now time.Duration) {
	for _, p := range ps.byBackend.Range {
		p.(*pool).expire(now)
	}
}

func (ps *pools) forget(b *cluster.Backend) {
	if p, ok := ps.byBackend.LoadAndDelete(b); ok {
		p.(*pool).close()
	}
}

func (ps *pools) close() {
	for b := range ps.byBackend.Range {
		ps.forget(b.(*cluster.Backend))
	}
}
