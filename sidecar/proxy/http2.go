package proxy

import (
	"context"
	"io"
	"log" //nolint:depguard // http.Server's ErrorLog
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/http2"
	"outrider/sidecar/stream"
)

// streams carries the HTTP/2 connections of a listener. net/http speaks with the
// client, and each of its streams is a connection of one exchange.
type streams struct {
	mu     sync.Mutex // guards what follows
	server *http.Server
	queue  *queue
	limits Limits         // that server was made by
	ended  sync.WaitGroup // servers, and the connections that they have
	closed bool

	life context.Context // of the servers that are retired
	end  context.CancelFunc

	served sync.Map // net.Conn -> *client: what the servers have
}

// Limits on what HTTP/2 adds to a connection. A crowd of streams is what a crowd of
// connections would be; net/http ends a connection that resets streams faster than
// they can be served, or that floods it with other frames.
const (
	maxStreams       = 100
	connectionWindow = 128 << 10 // bytes that a client may send ahead
	streamWindow     = 128 << 10
	frameSize        = 16 << 10
	pingAfter        = 30 * time.Second // of silence

	// What they take of limits.buffers: net/http's own memory, and the pair with the
	// task at its other end.
	connectionCost = connectionWindow + 48<<10
	streamCost     = 64 << 10
)

// serveHTTP2 gives a connection whose client speaks HTTP/2 to net/http, together
// with what it has said.
func (s *Server) serveHTTP2(c *client) {
	if !c.occupy(connectionCost) {
		c.conn.Close()
		c.Gone()
		return
	}
	c.remote, c.local = c.conn.Remote(), c.conn.Local()
	nc, err := c.conn.Leave()
	if err == nil && c.listener.streams.take(s, nc, c) {
		return
	}
	if err == nil {
		_ = nc.Close()
	}
	c.Gone()
}

// short tells that there is no memory for another connection or stream.
func (s *Server) short() {
	s.warnings.Warn("limits.buffers", logrus.Fields{"limit": s.settings.Load().Limits.Memory, "waiting": s.loop.Waiting()}, tooMany)
}

// take reports false when the listener is closed.
func (st *streams) take(s *Server, nc net.Conn, c *client) bool {
	limits := s.settings.Load().Limits
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return false
	}
	if st.server != nil && st.limits != limits {
		st.retire()
	}
	if st.server == nil {
		if !s.note(st) {
			return false
		}
		if st.life == nil {
			st.life, st.end = context.WithCancel(context.Background())
		}
		st.begin(s, limits)
	}
	c.over.Store(st.server)
	st.served.Store(nc, c)
	st.ended.Add(1)
	st.queue.conns <- nc // the server accepts: it is not retired while mu is held
	return true
}

// note remembers what has to be told when the Server ends. False: it has been.
func (s *Server) note(st *streams) bool {
	s.accepting.Lock()
	defer s.accepting.Unlock()
	if !s.ended {
		s.streams[st] = true
	}
	return !s.ended
}

func (s *Server) eachStreams(do func(*streams)) {
	s.accepting.Lock()
	all := slices.Collect(maps.Keys(s.streams))
	s.accepting.Unlock()
	for _, st := range all {
		do(st)
	}
}

// closeStreams tells all clients that speak HTTP/2 to open no further streams, and
// returns what waits until their connections are closed, which the end of ctx forces.
func (s *Server) closeStreams(ctx context.Context) (wait func()) {
	s.accepting.Lock()
	s.ended = true
	s.accepting.Unlock()
	s.eachStreams(func(st *streams) {
		st.close()
		context.AfterFunc(ctx, st.force)
	})
	return func() { s.eachStreams(func(st *streams) { st.ended.Wait() }) }
}

// begin makes the server; mu is held.
func (st *streams) begin(s *Server, limits Limits) {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	st.limits, st.queue = limits, newQueue()
	st.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.serveStream(w, r, r.Context().Value(clientKey{}).(*client))
		}),
		Protocols: protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: frameSize, MaxReceiveBufferPerConnection: connectionWindow, MaxReceiveBufferPerStream: streamWindow,
			SendPingTimeout: pingAfter, WriteByteTimeout: clientWriteLimit,
		},
		MaxHeaderBytes:    limits.Head,
		ReadHeaderTimeout: limits.HeadTimeout,
		IdleTimeout:       limits.ClientIdle,
		ErrorLog:          log.New(io.Discard, "", 0), // it tells of nothing but clients that break the rules
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			c, _ := st.served.Load(nc)
			return context.WithValue(ctx, clientKey{}, c)
		},
		ConnState: func(nc net.Conn, state http.ConnState) {
			switch state {
			case http.StateActive:
				if c, ours := st.served.Load(nc); ours {
					c.(*client).idleAt.Store(0)
				}
			case http.StateIdle:
				if c, ours := st.served.Load(nc); ours {
					c.(*client).idleAt.Store(int64(s.loop.Now()) + 1)
				}
			case http.StateClosed:
				if c, ours := st.served.LoadAndDelete(nc); ours {
					c.(*client).Gone()
					st.ended.Done()
				}
			}
		},
	}
	server, queue := st.server, st.queue
	st.ended.Go(func() { _ = server.Serve(queue) })
}

// clientKey is where the context of a stream has its connection's client.
type clientKey struct{}

// retire tells all clients to open no further streams (GOAWAY), and closes their
// connections when those under way are over, or by force; mu is held.
func (st *streams) retire() {
	if st.server == nil {
		return
	}
	server := st.server
	st.server, st.queue = nil, nil
	time.AfterFunc(lastWord, func() { st.closeIdle(server) })
	st.ended.Go(func() {
		if server.Shutdown(st.life) != nil {
			_ = server.Close()
		}
	})
}

// closeIdle closes the connections of a server that is retired on which nothing is under
// way. Who was just sending learns from the GOAWAY that nothing was done about it.
func (st *streams) closeIdle(of *http.Server) {
	st.served.Range(func(nc, c any) bool {
		if c := c.(*client); c.over.Load() == of && c.idleAt.Load() != 0 {
			_ = nc.(net.Conn).Close()
		}
		return true
	})
}

// idleStreams is a connection of HTTP/2 on which nothing is under way.
type idleStreams struct {
	conn   net.Conn
	client *client
	at     int64 // its client's idleAt; 0: there is none
}

// longestIdle is the one that has been so for longest.
func (s *Server) longestIdle() (longest idleStreams) {
	s.eachStreams(func(st *streams) {
		st.served.Range(func(nc, over any) bool {
			c := over.(*client)
			if at := c.idleAt.Load(); at != 0 && (longest.at == 0 || at < longest.at) {
				longest = idleStreams{nc.(net.Conn), c, at}
			}
			return true
		})
	})
	return longest
}

// idle is for how long it has been so.
func (i idleStreams) idle(now time.Duration) time.Duration {
	if i.at == 0 {
		return 0
	}
	return now - time.Duration(i.at)
}

// evict closes it, unless it is not idle any longer, or somebody was faster.
func (i idleStreams) evict() bool {
	if !i.client.idleAt.CompareAndSwap(i.at, 0) {
		return false
	}
	_ = i.conn.Close()
	return true
}

// sayGoodbye retires what there is. Connections that come later are served.
func (st *streams) sayGoodbye() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.retire()
}

// close retires what there is, and lets nothing more begin.
func (st *streams) close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closed = true
	st.retire()
}

// force closes what is retired.
func (st *streams) force() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.end()
}

// serveStream carries out one request of an HTTP/2 connection.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, over *client) {
	if !s.loop.Claim(streamCost) {
		s.short()
		http2.TurnAway(w, r, "outrider: "+tooMany)
		return
	}
	defer s.loop.Disclaim(streamCost)
	near, far := stream.Pair(net.TCPAddrFromAddrPort(over.local), net.TCPAddrFromAddrPort(over.remote))
	http2.Accept(w, r, near, func() {
		conn := s.loop.AdoptNet(far)
		c := s.newClient(conn, over.listener)
		c.tls, c.said, c.stream = over.tls, over.said, true
		c.call(over.addr)
		s.loop.Go(func() {
			if c.Serve() != stream.Done {
				conn.Close()
			}
		})
	})
}

// queue is a net.Listener of connections that others have accepted.
type queue struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newQueue() *queue {
	q := &queue{conns: make(chan net.Conn), closed: make(chan struct{})}
	q.close = sync.OnceFunc(func() { close(q.closed) })
	return q
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case nc := <-q.conns:
		return nc, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.close()
	return nil
}

func (*queue) Addr() net.Addr { return &net.TCPAddr{} }
