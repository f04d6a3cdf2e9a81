// Package app puts the sidecar together: it is the only package that knows all
// parts. New wires, Run starts, serves, drains and stops in reverse.
package app

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/gossip"
	"outrider/sidecar/cause"
	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
	"outrider/sidecar/health"
	"outrider/sidecar/proxy"
	"outrider/sidecar/telemetry"
	"outrider/sidecar/trace"
	"outrider/sidecar/warning"
)

// Options are what the sidecar needs from outside.
type Options struct {
	Log     logrus.FieldLogger
	Version string
	// Load reads the configuration again, for a reload.
	Load func() (*config.Config, error)
	// Token is asked for what opens an admin listener, also when a reload changes it;
	// see config's admin.token_file. Nil: nothing does.
	Token func(config.Admin) (Token, error)
	// Stdout is where the access log goes that has no file; nil discards it.
	Stdout           io.Writer
	StdoutIsTerminal bool
	// Memory is how many bytes of memory there are; 0: not known, and requests
	// may take what they need unless limits.buffers says otherwise.
	Memory int64
	// OnDone is told of each exchange; optional. See proxy.Settings.
	OnDone func(*proxy.Summary)
	// Requests logs each of them as long as it writes the level debug; optional.
	Requests *logrus.Logger
	// SetLog makes Log and Requests do what a new configuration says; optional.
	SetLog func(config.Log)
	// Tracer follows requests; optional.
	Tracer *trace.Tracer
	// OnChange is told of each change of a backend's health; optional.
	OnChange func(health.Change)
	// Listen opens a listener, by the name of the listener in the configuration, or
	// "status" or "admin"; nil stands for TCP.
	Listen func(name, address string) (net.Listener, error)
	// Sockets are used instead of Listen for the listeners that they are named by.
	Sockets Sockets
	// OnStage is told what the sidecar is at, one call at a time. Optional.
	OnStage func(Stage)
	// Transport carries the gossip; nil stands for UDP and TCP.
	Transport gossip.Transport
	// OnOpen is called by Run when every listener is open, before it serves; an
	// error ends Run. From then on Addresses may be asked. Optional.
	OnOpen func() error
}

// App is one sidecar.
type App struct {
	options  Options
	log      logrus.FieldLogger
	warnings *warning.Log
	proxy    *proxy.Server
	monitor  *health.Monitor
	peers    *peers // nil: there are none
	process  uint32 // tells it from others of its name
	started  time.Time
	ready    atomic.Bool
	leaving  atomic.Bool

	stages   sync.Mutex // one at a time is told; guards stopping
	stopping bool

	clusters  atomic.Pointer[clusters]
	coming    atomic.Pointer[clusters] // of a reload under way; nil: there is none
	members   sync.Mutex               // one change of any cluster's members at a time
	entrances atomic.Pointer[entrances]
	incidents incidents
	accounts  atomic.Pointer[accounts]
	decisions decisions
	chronicle chronicle
	history   *telemetry.History

	active atomic.Pointer[active]
	tasks  sync.WaitGroup // everything that Run started

	reloading sync.Mutex           // one reload at a time; guards what follows
	ctx       context.Context      // of the tasks; nil before and after Run
	accessLog *telemetry.AccessLog // nil: it was never on
}

// active is what a reload replaces, whole.
type active struct {
	config      *config.Config
	fingerprint string // of the configuration
	route       *route
	loaded      time.Time
	fault       error // why the last reload was refused
}

// New wires a sidecar for a configuration that was loaded. It opens nothing but
// the routing script, which must load.
func New(c *config.Config, o Options) (*App, error) {
	if o.Listen == nil {
		o.Listen = func(_, address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Token == nil {
		o.Token = func(config.Admin) (Token, error) { return Token{}, nil }
	}
	if err := o.Sockets.check(c); err != nil {
		return nil, err
	}
	a := &App{options: o, log: o.Log, warnings: warning.New(o.Log), process: newProcess(), history: telemetry.NewHistory()}
	peers, err := a.newPeers(c)
	if err != nil {
		return nil, err
	}
	a.peers = peers
	a.monitor = a.newMonitor()
	a.accessLog = a.newAccessLog(c)
	to := a.newAccounts(c, a.accessLog, new(accounts))
	to.follow(c.ClusterNames())
	a.accounts.Store(to)
	a.proxy = proxy.New(proxy.Options{Log: o.Log, OnFailure: a.backendFailed, OnSuccess: a.backendBack}, a.proxySettings(c, to))
	cs, err := a.newClusters(c, nil)
	if err != nil {
		return nil, err
	}
	a.clusters.Store(cs)
	e, err := a.newEntrances(c, new(entrances), to)
	if err != nil {
		return nil, err
	}
	a.entrances.Store(e)
	r, err := a.newRoute(c, cs)
	if err != nil {
		return nil, err
	}
	a.active.Store(newActive(c, r))
	return a, nil
}

func newActive(c *config.Config, r *route) *active {
	return &active{config: c, fingerprint: fingerprintOf(c), route: r, loaded: time.Now()}
}

func (a *App) newMonitor() *health.Monitor {
	o := health.Options{OnChange: a.healthChanged, OnLocal: a.checkImpossible, Rand: newRand()}
	if a.peers != nil {
		o.Publish, o.Hearing, o.Local = a.peers.publish, a.peers.hearing, a.peers.config.ShareLoopback
	}
	return health.New(o)
}

// Run serves until ctx is done, and then stops gracefully. An error means that
// it could not start.
func (a *App) Run(ctx context.Context) error {
	a.started = time.Now()
	if err := a.open(); err != nil {
		a.active.Load().route.close()
		return err
	}
	// What serves the requests lives longer than ctx: until they are over.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.start(running)
	a.announce()
	a.enter(Serving)
	<-ctx.Done()
	a.enter(Stopping)
	a.drain()
	a.peers.close()
	stop()
	a.stopped()
	return nil
}

func (a *App) start(ctx context.Context) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	a.ctx = ctx
	a.tasks.Go(func() { a.proxy.Run(ctx) })
	a.tasks.Go(func() { a.monitor.Run(ctx) })
	a.active.Load().route.run(a)
	a.tasks.Go(func() { a.tick(ctx) })
	a.tasks.Go(func() { a.watchCredentials(ctx) })
	if a.accessLog != nil {
		a.runAccessLog(a.accessLog)
	}
	cs := a.clusters.Load()
	cs.start(a)
	cs.awaitMembers()
	a.startEntrances(a.entrances.Load(), a.active.Load().route, cs)
}

// stopped returns when every task has ended. From now on a reload, which would
// start more of them, is refused.
func (a *App) stopped() {
	a.reloading.Lock()
	a.ctx = nil
	a.reloading.Unlock()
	a.tasks.Wait()
	a.closeAccessLog()
	a.active.Load().route.close()
}

// open opens every listener, or none.
func (a *App) open() error {
	e := a.entrances.Load()
	err := a.openAccessLog()
	if err == nil {
		_, err = a.openAll(e, e, a.active.Load().config.Limits.Backlog)
	}
	if err == nil {
		err = a.peers.open()
	}
	if err == nil {
		err = e.publish()
	}
	if err == nil && a.options.OnOpen != nil {
		err = a.options.OnOpen()
	}
	if err != nil {
		a.peers.close()
		e.close()
		a.closeAccessLog()
	}
	return err
}

func (a *App) announce() {
	a.entrances.Load().tell(a.log)
	a.tellNotes(a.active.Load().config)
}

func (a *App) tellNotes(c *config.Config) {
	for _, note := range c.Notes {
		a.log.Info(note)
	}
}

// drain lets what runs come to its end.
func (a *App) drain() {
	shutdown := a.active.Load().config.Shutdown
	a.leaving.Store(true)
	if a.peers != nil {
		_ = a.peers.drain() // where nothing is in front, nobody needs to know
	}
	a.log.WithFields(logrus.Fields{"drain": shutdown.Drain.String(), "grace": shutdown.Grace.String()}).Info("stopping")
	a.proxy.Drain()
	a.awaitIdle(shutdown.Drain)
	a.proxy.StopAccepting()
	ctx, cancel := context.WithTimeout(context.Background(), shutdown.Grace)
	defer cancel()
	a.proxy.Shutdown(ctx)
	a.log.WithField("after", time.Since(a.started).Round(time.Millisecond).String()).Info("stopped")
}

// leftFor is how long there must be no client before all are taken to have left.
// Those that stay come with a new connection for each request.
const leftFor = 500 * time.Millisecond

// awaitIdle goes on serving for so long, or until the last client has left.
func (a *App) awaitIdle(drain time.Duration) {
	end := time.NewTimer(drain)
	defer end.Stop()
	look := time.NewTicker(leftFor / 10)
	defer look.Stop()
	var left time.Time // zero: somebody is there
	for came := uint64(0); ; {
		accepted := a.proxy.Counts().Accepted
		switch {
		case a.proxy.Clients() > 0:
			left = time.Time{}
		case accepted == 0, !left.IsZero() && accepted == came && time.Since(left) >= leftFor:
			return
		case left.IsZero() || accepted != came:
			left = time.Now()
		}
		came = accepted
		select {
		case <-look.C:
		case <-end.C:
			return
		}
	}
}

// backendFailed takes what a request ran into as evidence about the backend. Only
// what a check could show as well asks for the backend's name again.
func (a *App) backendFailed(b *cluster.Backend, f proxy.Failure) {
	a.incidents.begin(b)
	a.monitor.Observe(keyOf(b), health.Evidence{
		Source: health.FromTraffic,
		Kind:   kindOf(f.Kind),
		Reason: cause.Of(f.Err, allowed(a.clusters.Load().policyOf(b), f.Err)),
	})
	if f.Kind == proxy.FailedConnect || f.Kind == proxy.FailedTimeout {
		a.clusters.Load().kick(b)
	}
}

// backendBack takes the response of a backend on trial.
func (a *App) backendBack(b *cluster.Backend) {
	a.monitor.Observe(keyOf(b), health.Evidence{OK: true, Source: health.FromTraffic})
}

func kindOf(k proxy.FailureKind) health.Kind {
	switch k {
	case proxy.FailedTimeout:
		return health.NoAnswer
	case proxy.FailedReset:
		return health.CutOff
	case proxy.FailedStatus:
		return health.BadStatus
	}
	return health.NoConnection
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
