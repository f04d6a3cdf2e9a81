package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/proxyproto"
	"outrider/sidecar/stream"
)

// client is one client connection.
type client struct {
	server   *Server
	listener *Listener
	conn     *stream.Conn
	addr     netip.Addr
	remote   netip.AddrPort     // where the connection comes from, and local
	local    netip.AddrPort     // where to; of those over HTTP/2 alone
	ip       string             // addr as text
	awaited  bool               // its PROXY protocol header has not come yet
	said     *proxyproto.Header // what that tells of the connection; nil: nothing
	tls      *TLS               // nil: cleartext
	settings *Settings          // that trusted is of
	trusted  bool
	stream   bool                        // this is a stream of an HTTP/2 connection, for one exchange
	occupied int64                       // bytes of limits.buffers, while the connection lasts
	idleAt   atomic.Int64                // when its last stream ended, of the loop's clock in nanoseconds; of HTTP/2 alone; 0: some are under way
	over     atomic.Pointer[http.Server] // that has the connection; of HTTP/2 alone
	headBy   time.Duration               // when the head that has begun must be whole, of the loop's clock; 0: none has
}

func (s *Server) newClient(conn *stream.Conn, l *Listener) *client {
	c := &client{server: s, listener: l, conn: conn}
	c.call(conn.Remote().Addr())
	return c
}

// call says what the client's address is.
func (c *client) call(addr netip.Addr) { c.addr, c.ip, c.settings = addr, addr.String(), nil }

// trustedBy tells whether the client is trusted by these settings.
func (c *client) trustedBy(s *Settings) bool {
	if c.settings != s {
		c.settings, c.trusted = s, s.trusts(c.addr)
	}
	return c.trusted
}

// scheme is that of the connection.
func (c *client) scheme() string {
	if c.tls != nil {
		return "https"
	}
	return "http"
}

// Idle implements stream.Handler.
func (c *client) Idle() time.Duration {
	if c.headBy != 0 {
		return max(0, c.headBy-c.server.loop.Now())
	}
	if c.listener.closed.Load() {
		return closedIdle
	}
	return c.server.settings.Load().Limits.ClientIdle
}

// closedIdle is how long a connection may be idle that was busy when its listener
// was closed. Its client may be about to send.
const closedIdle = 100 * time.Millisecond

// headDeadline is when the head that begins, or has begun, must be whole.
func (c *client) headDeadline() time.Duration {
	if c.headBy == 0 {
		c.headBy = c.server.loop.Now() + c.server.settings.Load().Limits.HeadTimeout
	}
	return c.headBy
}

// Gone implements stream.Handler. A stream was not counted: its connection is.
func (c *client) Gone() {
	if !c.stream {
		c.server.clients.Add(-1)
		c.server.loop.Vacate(c.occupied)
	}
}

// occupy takes memory for as long as the connection lasts. Where there is none left,
// connections of clients that send no request are closed for it. False: that did not help.
func (c *client) occupy(bytes int64) bool {
	s := c.server
	occupied := func() bool { return s.loop.Occupy(bytes) }
	has := occupied()
	for tries := 0; !has && tries < occupyTries && s.makeRoom("limits.buffers"); tries++ {
		ctx, cancel := context.WithTimeout(context.Background(), vacateWithin)
		has = until(ctx, occupied)
		cancel()
	}
	if !has {
		s.short()
		return false
	}
	c.occupied += bytes
	return true
}

const (
	occupyTries  = 4
	vacateWithin = 100 * time.Millisecond // from the end of a connection to that of what it has taken
)

// Serve implements stream.Handler: it carries out one exchange.
func (c *client) Serve() stream.Next {
	if c.conn.Late() {
		c.server.overloaded(c.conn)
		c.Gone()
		return stream.Done
	}
	if c.awaited {
		return c.meet()
	}
	return c.carryOut(c.server.begin(c), (*exchange).run)
}

// carryOut goes through an exchange by steps, which report false when another
// task goes on with it.
func (c *client) carryOut(x *exchange, steps func(*exchange) bool) (next stream.Next) {
	defer c.contain(x)
	if !steps(x) {
		return stream.Done
	}
	return c.server.finish(x)
}

// contain keeps a panic inside its connection.
func (c *client) contain(x *exchange) {
	if p := recover(); p != nil {
		c.server.panicked(p)
		x.dropUpstream()
		c.server.active.Add(-1)
		c.conn.Abort()
		c.Gone()
	}
}

// contained runs what goes beside an exchange. A panic in it ends the exchange,
// and nothing else.
func (s *Server) contained(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			err = &Fault{
				Status: http.StatusInternalServerError, Type: "proxy_internal_error", Severed: true,
				Detail: "the proxy failed", Err: fmt.Errorf("panic: %v", p),
			}
		}
	}()
	return run()
}

func (s *Server) panicked(p any) {
	s.panics.Add(1)
	s.options.Log.WithFields(logrus.Fields{"panic": p, "stack": string(debug.Stack())}).
		Error("a request made the proxy panic; its connection is closed")
}
