package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cause"
	"outrider/sidecar/cluster"
	"outrider/sidecar/stream"
	"outrider/sidecar/warning"
)

// Options are what a Server is made of.
type Options struct {
	Log logrus.FieldLogger

	// Loop carries the connections; nil stands for a new one. It must not be
	// used before.
	Loop *stream.Loop

	// OnFailure is told of each try that a backend failed, also where another try
	// hid that from the client. Called on the exchange's task: it must not block.
	// Optional.
	OnFailure func(b *cluster.Backend, f Failure)
	// OnSuccess is told of each response that a backend on trial gave. Called as
	// OnFailure is. Optional.
	OnSuccess func(b *cluster.Backend)
}

// Server is the proxy: any number of listeners, one set of upstream pools.
type Server struct {
	options   Options
	settings  atomic.Pointer[Settings]
	loop      *stream.Loop
	pools     pools
	guard     *guard
	exchanges sync.Pool
	warnings  *warning.Log
	strangers *warning.Log // about clients: they can not drive out what is known about backends
	born      time.Time
	date      atomic.Pointer[string]

	accepting sync.Mutex // guards what follows
	doors     []door
	shut      bool              // no further door opens
	streams   map[*streams]bool // that have begun
	ended     bool              // no further ones begin

	serving    atomic.Int64 // doors whose connections are accepted, or have still to be
	clients    atomic.Int64
	handshakes atomic.Int64 // under way, of clients
	loiterers  atomic.Int64 // answered clients that may still be sending
	active     atomic.Int64 // exchanges and tunnels under way
	draining   atomic.Bool
	panics     atomic.Uint64
	counts     counts
}

// New wires a Server.
func New(o Options, settings *Settings) *Server {
	if o.Loop == nil {
		o.Loop = stream.NewLoop()
	}
	s := &Server{
		options: o, loop: o.Loop, guard: newGuard(),
		warnings: warning.New(o.Log), strangers: warning.New(o.Log), born: time.Now(), streams: make(map[*streams]bool),
	}
	s.Set(settings)
	s.refreshDate()
	return s
}

// Run does what has to be done from time to time, until ctx is done.
func (s *Server) Run(ctx context.Context) {
	var tasks sync.WaitGroup
	tasks.Go(func() { s.loop.Run(ctx) })
	tasks.Go(func() { s.guard.run(ctx, s.loop.Now) })
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.refreshDate()
			s.pools.expire(s.loop.Now())
		case <-ctx.Done():
			tasks.Wait()
			return
		}
	}
}

// clock is the time since the server was made: exact, and cheaper to read than
// the time of day.
func (s *Server) clock() time.Duration { return time.Since(s.born) }

func (s *Server) refreshDate() {
	date := time.Now().UTC().Format(http.TimeFormat)
	s.date.Store(&date)
}

// Forget closes the idle connections to a backend that is no longer one, and
// those that come back later.
func (s *Server) Forget(b *cluster.Backend) { s.pools.forget(b) }

// Clients is the number of client connections.
func (s *Server) Clients() int { return int(s.clients.Load()) }

// Active is the number of exchanges and tunnels under way.
func (s *Server) Active() int { return int(s.active.Load()) }

// Serve accepts connections from ln, which belongs to the server from then on,
// and routes their requests by l, until StopAccepting or Close.
func (s *Server) Serve(ln net.Listener, l *Listener) error {
	door, err := s.open(ln, l)
	switch {
	case errors.Is(err, net.ErrClosed):
		return nil
	case err != nil:
		return err
	}
	defer s.serving.Add(-1)
	for pause := time.Duration(0); ; {
		conn, err := door.Accept()
		switch {
		case err == nil:
			pause = 0
			s.accept(conn, l)
		case noDescriptors(err) && s.makeRoom("descriptors"):
		case errors.Is(err, net.ErrClosed):
			return nil
		case isLocal(err), cause.Timeout(err), errors.Is(err, syscall.ECONNABORTED):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			name := l.Terms().Name
			s.warnings.Warn("accept "+name, logrus.Fields{"listener": name, logrus.ErrorKey: err}, "can not accept connections")
			time.Sleep(pause) // nobody tells when what is short here is there again
		default:
			return err
		}
	}
}

func (s *Server) accept(conn *stream.Conn, l *Listener) {
	if limit := s.settings.Load().Limits.Connections; limit > 0 && s.clients.Load() >= int64(limit) && !s.makeRoom("limits.connections") {
		s.counts.refused.Add(1)
		s.loop.Go(func() { s.turnAway(conn, l) })
		return
	}
	s.clients.Add(1)
	s.counts.accepted.Add(1)
	switch {
	case l.terms.Load().Introduced:
		s.await(s.newClient(conn, l))
	case l.encrypts():
		s.loop.Go(func() { s.secure(s.newClient(conn, l)) })
	default:
		s.loop.Start(conn, s.newClient(conn, l))
	}
}

// evictAfter is for how long a client may at least be without a whole request,
// for its first bytes may be on their way.
const evictAfter = time.Second

// makeRoom closes the connection of a client that has been without a whole
// request for long, in favour of one that may have some. Otherwise those who open
// connections and send nothing, or half a head, would keep all the others out. False:
// there is no such client.
func (s *Server) makeRoom(short string) bool {
	overHTTP2 := s.longestIdle()
	idle := overHTTP2.idle(s.loop.Now())
	if !s.loop.Evict(max(idle, evictAfter)) && (idle < evictAfter || !overHTTP2.evict()) {
		return false
	}
	s.counts.evicted.Add(1)
	s.warnings.Warn("evict "+short, logrus.Fields{"short_of": short, "clients": s.Clients()},
		"connections of clients that send no request are closed to make room")
	return true
}

// turnAway answers a connection that is one too many.
func (s *Server) turnAway(conn *stream.Conn, l *Listener) {
	fault := &Fault{
		Status: http.StatusServiceUnavailable, Type: "connection_limit_reached", RetryAfter: true,
		Detail: "too many connections (limits.connections)",
	}
	s.warnings.Warn("limits.connections", logrus.Fields{"limit": s.settings.Load().Limits.Connections}, fault.Detail)
	if l.encrypts() {
		s.dismissUnheard(conn)
		return
	}
	s.dismiss(conn, fault)
}

const tooMany = "too many requests at once (limits.buffers)"

// overloaded answers a request that there was no memory for.
func (s *Server) overloaded(conn *stream.Conn) {
	fault := &Fault{
		Status: http.StatusServiceUnavailable, Type: "proxy_internal_response", RetryAfter: true,
		Detail: tooMany,
	}
	s.short()
	s.dismiss(conn, fault)
}

// dismiss answers a client without a look at what it wants, and closes.
func (s *Server) dismiss(conn *stream.Conn, fault *Fault) {
	conn.SetWriteLimit(time.Second)
	_ = conn.Write(s.appendFault(nil, fault, true))
	s.linger(conn)
}

// Drain has the Server ask its clients to leave: each response is the last one on its
// connection from now on. New connections are still accepted.
func (s *Server) Drain() {
	if !s.draining.Swap(true) {
		s.eachStreams((*streams).sayGoodbye)
	}
}

// Shutdown ends the Server gracefully: idle connections now, the others when
// their exchange is over, and what is left when ctx is done by force.
func (s *Server) Shutdown(ctx context.Context) {
	s.Drain()
	s.StopAccepting()
	s.hearOut(ctx)
	awaitStreams := s.closeStreams(ctx)
	s.loop.StopIdle()
	if !s.idleBy(ctx) {
		s.loop.StopAll()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		s.idleBy(last) // a Route that never returns is not waited for
	}
	awaitStreams()
	s.pools.close()
}

// lastWord is how long a connection must have been idle before it is closed without
// a word: a client that was answered a moment ago may be sending its next request, which
// is answered with the word that it is the last.
const lastWord = 250 * time.Millisecond

// lastHandshake is how long a handshake may take that began before nobody new is let
// in.
const lastHandshake = time.Second

// hearOut waits until all that have come are in, and none of them may be sending.
func (s *Server) hearOut(ctx context.Context) {
	silent := func() bool { return s.serving.Load() == 0 && s.loop.Idle(lastWord) == 0 }
	until(ctx, silent)
	ctx, cancel := context.WithTimeout(ctx, lastHandshake)
	defer cancel()
	until(ctx, func() bool { return s.handshakes.Load() == 0 && silent() })
}

// idleBy waits until nothing is under way, and reports whether that came before
// the end of ctx.
func (s *Server) idleBy(ctx context.Context) bool {
	return until(ctx, func() bool { return s.loop.Busy() == 0 })
}

// until waits until what holds, and reports whether that came before the end of ctx.
func until(ctx context.Context, holds func() bool) bool {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return holds()
		}
	}
	return true
}
