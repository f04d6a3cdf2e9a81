// Package app puts the sidecar together: it is the only package that knows all
// parts. New wires, Run starts, serves, drains and stops in reverse.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
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
	"outrider/sidecar/warning"
)

// Options are what the sidecar needs from outside.
type Options struct {
	Log     logrus.FieldLogger
	Version string
	// Load reads the configuration again, for a reload.
	Load func() (*config.Config, error)
	// Token opens the admin listener; see config's admin.token_file.
	Token string
	// Stdout is where the access log goes that has no file; nil discards it.
	Stdout           io.Writer
	StdoutIsTerminal bool
	// Memory is how many bytes of memory there are; 0: not known, and requests
	// may take what they need unless limits.buffers says otherwise.
	Memory int64
	// OnDone is told of each exchange; optional. See proxy.Options.
	OnDone func(*proxy.Summary)
	// OnChange is told of each change of a backend's health; optional.
	OnChange func(health.Change)
	// Listen opens a listener; nil stands for TCP.
	Listen func(address string) (net.Listener, error)
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
	started  time.Time
	ready    atomic.Bool
	leaving  atomic.Bool

	clusters  atomic.Pointer[clusters]
	members   sync.Mutex // one change of any cluster's members at a time
	listeners []*listener
	doors     []*door // for those who operate it
	incidents incidents
	accounts  accounts
	decisions decisions

	active atomic.Pointer[active]
	tasks  sync.WaitGroup // everything that Run started

	reloading sync.Mutex      // one reload at a time; guards ctx
	ctx       context.Context // of the tasks; nil before and after Run
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
		o.Listen = func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	a := &App{options: o, log: o.Log, warnings: warning.New(o.Log)}
	peers, err := a.newPeers(c)
	if err != nil {
		return nil, err
	}
	a.peers = peers
	a.monitor = a.newMonitor()
	a.accounts = a.newAccounts(c)
	a.proxy = proxy.New(proxy.Options{
		Name:                 processName(c.Name),
		Log:                  o.Log,
		Limits:               proxyLimits(c.Limits, o.Memory),
		Trusted:              c.TrustedProxies,
		TrustedToo:           a.peerTrust(c),
		RefuseAmbiguousPaths: c.AmbiguousPaths == config.AmbiguousPathsRefuse,
		OnFailure:            a.backendFailed,
		OnSuccess:            a.backendBack,
		OnDone:               a.accounts.done(),
		Steps:                a.accounts.steps(),
	})
	a.clusters.Store(a.newClusters(c, nil))
	r, err := a.newRoute(c)
	if err != nil {
		return nil, err
	}
	a.active.Store(newActive(c, r))
	for _, l := range c.Listen {
		a.listeners = append(a.listeners, a.newListener(l))
	}
	a.doors = a.newDoors(c)
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
	<-ctx.Done()
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
	if access := a.accounts.access; access != nil {
		a.tasks.Go(func() { access.Run(ctx) })
	}
	for _, d := range a.doors {
		a.tasks.Go(func() { a.serveDoor(ctx, d) })
	}
	cs := a.clusters.Load()
	cs.start(a)
	cs.awaitMembers()
	for _, l := range a.listeners {
		a.tasks.Go(func() { a.serve(l) })
	}
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
	err := a.openAccessLog()
	if err == nil {
		err = a.listen()
	}
	if err == nil {
		err = a.peers.open()
	}
	if err == nil && a.options.OnOpen != nil {
		err = a.options.OnOpen()
	}
	if err != nil {
		a.peers.close()
		a.closeListeners()
		a.closeDoors()
		a.closeAccessLog()
	}
	return err
}

func (a *App) openAccessLog() error {
	if a.accounts.access == nil {
		return nil
	}
	return a.accounts.access.Open()
}

func (a *App) closeAccessLog() {
	if a.accounts.access != nil {
		a.accounts.access.Close()
	}
}

func (a *App) listen() error {
	for _, l := range a.listeners {
		ln, err := a.options.Listen(l.address)
		if err != nil {
			return fmt.Errorf("listener %s can not use %s: %w; choose another address in `listen`, or end what uses it", l.proxy.Name, l.address, err)
		}
		if err := setBacklog(ln, a.active.Load().config.Limits.Backlog); err != nil {
			return errors.Join(fmt.Errorf("listener %s: limits.backlog: %w", l.proxy.Name, err), ln.Close())
		}
		l.net = ln
	}
	for _, d := range a.doors {
		ln, err := a.options.Listen(d.address)
		if err != nil {
			return fmt.Errorf("%s.listen can not use %s: %w; choose another address, or \"\" for none", d.key, d.address, err)
		}
		d.net = ln
	}
	return nil
}

func (a *App) closeListeners() {
	for _, l := range a.listeners {
		if l.net != nil {
			_ = l.net.Close()
		}
	}
}

func (a *App) closeDoors() {
	for _, d := range a.doors {
		if d.net != nil {
			_ = d.net.Close()
		}
	}
}

func (a *App) serve(l *listener) {
	if err := a.proxy.Serve(l.net, l.proxy); err != nil {
		a.log.WithFields(logrus.Fields{"listener": l.proxy.Name, logrus.ErrorKey: err}).Error("a listener has ended")
	}
}

func (a *App) announce() {
	for _, l := range a.listeners {
		a.log.WithFields(logrus.Fields{"listener": l.proxy.Name, "address": l.net.Addr().String()}).Info("serving requests")
	}
	for _, d := range a.doors {
		a.log.WithField("address", d.net.Addr().String()).Infof("serving %s", d.key)
	}
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
	if a.proxy.Clients() > 0 {
		a.awaitIdle(shutdown.Drain)
	}
	a.proxy.StopAccepting()
	ctx, cancel := context.WithTimeout(context.Background(), shutdown.Grace)
	defer cancel()
	a.proxy.Shutdown(ctx)
	a.log.WithField("after", time.Since(a.started).Round(time.Millisecond).String()).Info("stopped")
}

// awaitIdle goes on serving for so long, or until the last client has left.
func (a *App) awaitIdle(drain time.Duration) {
	end := time.NewTimer(drain)
	defer end.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for a.proxy.Clients() > 0 {
		select {
		case <-look.C:
		case <-end.C:
			return
		}
	}
}

// Addresses are what the listeners listen on, in the order of the configuration.
// It may be called once OnOpen was.
func (a *App) Addresses() []string {
	var all []string
	for _, l := range a.listeners {
		if l.net != nil {
			all = append(all, l.net.Addr().String())
		}
	}
	return all
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

const tokenLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

// processName names this process in Via: the sidecar's name, which peers may
// share, and a part that they do not. It is a token (RFC 9110, 5.6.2).
func processName(name string) string {
	token := []byte(name)
	for i, c := range token {
		if !strings.ContainsRune(tokenLetters, rune(c)) {
			token[i] = '-'
		}
	}
	return fmt.Sprintf("outrider-%s-%04x", token, rand.Uint32()&0xffff)
}

// proxyLimits are the limits where so much memory is available.
func proxyLimits(l config.Limits, memory int64) proxy.Limits {
	buffers := l.Buffers
	if buffers == 0 {
		buffers = memory / 4
	}
	return proxy.Limits{
		Memory:      buffers,
		Connections: l.Connections, Head: int(l.Head), Fields: l.Fields,
		HeadTimeout: l.HeadTimeout, ClientIdle: l.ClientIdle, HalfClose: l.HalfClose,
	}
}
