package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
	"outrider/sidecar/credential"
	"outrider/sidecar/health"
	"outrider/sidecar/proxyproto"
	"outrider/sidecar/stream"
)

// clusters are the clusters of one configuration, by name. Across reloads a
// cluster that stays is the same one.
type clusters struct {
	byName  map[string]*upstream
	names   []string             // in the configuration's order
	leaving map[string]*upstream // those that the last reload has removed
}

// find is the cluster of this name, also one that is about to leave: decisions may
// be older than the reload that has removed it.
func (cs *clusters) find(name string) *upstream {
	if u := cs.byName[name]; u != nil {
		return u
	}
	return cs.leaving[name]
}

// upstream is a cluster with what keeps it up to date.
type upstream struct {
	*cluster.Cluster
	config   config.Cluster
	secure   *credential.Kept // nil: cleartext
	resolver *cluster.Resolver
	stop     context.CancelFunc // ends the resolver; nil before start
}

// newClusters makes the clusters of c, and takes over those that before has.
func (a *App) newClusters(c *config.Config, before *clusters) (*clusters, error) {
	next := &clusters{byName: make(map[string]*upstream), names: c.ClusterNames()}
	for _, cc := range c.Clusters {
		var u *upstream
		if before != nil && before.byName[cc.Name] != nil {
			u = new(*before.byName[cc.Name])
		} else {
			u = new(upstream)
		}
		if !sameTLS(u.config.TLS, cc.TLS) || protocol(u.config) != protocol(cc) {
			secure, err := keepClient(cc.TLS, protocol(cc))
			if err != nil {
				return nil, fmt.Errorf("cluster %s: %w", cc.Name, err)
			}
			u.secure = secure
		}
		u.config = cc
		if u.Cluster == nil {
			a.makeUpstream(u)
		}
		next.byName[cc.Name] = u
	}
	return next, nil
}

func (a *App) makeUpstream(u *upstream) {
	c := u.config
	u.Cluster = cluster.New(c.Name, u.policy(), newRand())
	u.resolver = cluster.NewResolver(cluster.ResolverOptions{
		Lookup:    net.DefaultResolver,
		OnMembers: func(members []cluster.Member) { a.setMembers(u.Cluster, members) },
		OnTrouble: func(host string, err error) { a.nameTrouble(c.Name, host, err) },
	})
}

// start makes the clusters that run do so by their present configuration, and
// starts the others.
func (cs *clusters) start(a *App) {
	for _, name := range cs.names {
		u := cs.byName[name]
		if err := u.resolver.Set(names(u.config)); err != nil {
			a.log.WithFields(logrus.Fields{"cluster": name, logrus.ErrorKey: err}).Error("a cluster's backends can not be resolved")
		}
		if u.stop != nil {
			continue
		}
		ctx, stop := context.WithCancel(a.ctx)
		u.stop = stop
		a.tasks.Go(func() { u.resolver.Run(ctx) })
	}
}

// namesWait bounds the wait for names that nobody resolves.
const namesWait = time.Second

// awaitMembers gives every cluster a moment to know its backends: requests that
// came earlier would find none.
func (cs *clusters) awaitMembers() {
	enough := time.NewTimer(namesWait)
	defer enough.Stop()
	for _, name := range cs.names {
		select {
		case <-cs.byName[name].resolver.FirstRound():
		case <-enough.C:
			return
		}
	}
}

// tick moves on what time alone changes in the clusters.
func (a *App) tick(ctx context.Context) {
	each := time.NewTicker(time.Second)
	defer each.Stop()
	for {
		select {
		case <-each.C:
			for _, u := range a.clusters.Load().byName {
				u.Tick()
			}
			a.peers.tick()
			if m := a.accounts.Load().metrics; m != nil {
				a.history.Tick(m)
			}
		case <-ctx.Done():
			return
		}
	}
}

// setMembers takes a new list of a cluster's members in.
func (a *App) setMembers(c *cluster.Cluster, members []cluster.Member) {
	a.members.Lock()
	defer a.members.Unlock()
	for _, left := range c.SetMembers(members) {
		a.proxy.Forget(left)
		a.incidents.forget(left)
	}
	var targets []health.Target
	if u := a.clusters.Load().byName[c.Name()]; u != nil {
		targets = a.targetsOf(u)
	}
	a.monitor.SetCluster(c.Name(), targets)
}

func (a *App) nameTrouble(name, host string, err error) {
	entry := a.log.WithFields(logrus.Fields{"cluster": name, "host": host})
	if err != nil {
		entry.WithError(err).Warn("a backend's name can not be resolved; its last addresses stay in use")
		return
	}
	entry.Info("a backend's name can be resolved again")
}

// targets are all backends, with their checks.
func (a *App) targets() []health.Target {
	var all []health.Target
	cs := a.clusters.Load()
	for _, name := range cs.names {
		all = append(all, a.targetsOf(cs.byName[name])...)
	}
	return all
}

// targetsOf are the backends of a cluster, with their checks.
func (a *App) targetsOf(u *upstream) []health.Target {
	var all []health.Target
	for _, b := range u.Backends() {
		all = append(all, health.Target{
			Key:      keyOf(b),
			Name:     b.String(),
			Checker:  u.checker(b),
			Interval: u.config.Check.Interval,
			Timeout:  u.config.Check.Timeout,
			Jitter:   u.config.Check.Jitter,
			Rise:     u.config.Check.Rise,
			Fall:     u.config.Check.Fall,
			Passive:  passive(u.config.Passive),
			Subject:  a.peers.subject(u.config, b.Addr()),
		})
	}
	return all
}

func keyOf(b *cluster.Backend) health.Key {
	return health.Key{Cluster: b.ClusterName(), Addr: b.Addr()}
}

func (cs *clusters) policyOf(b *cluster.Backend) *cluster.Policy {
	if u := cs.byName[b.ClusterName()]; u != nil {
		return u.Policy()
	}
	return &cluster.Policy{}
}

// kick asks for the backend's name again.
func (cs *clusters) kick(b *cluster.Backend) {
	if u := cs.byName[b.ClusterName()]; u != nil {
		u.resolver.Kick(b.Name())
	}
}

// view is what a script sees of the clusters.
type view struct{ app *App }

// Names implements scripting.Clusters.
func (v view) Names() []string { return v.app.clusters.Load().names }

// Health implements scripting.Clusters.
func (v view) Health(name string) (healthy, total int, ok bool) {
	u := v.app.clusters.Load().find(name)
	if coming := v.app.coming.Load(); u == nil && coming != nil {
		u = coming.byName[name] // a script that comes along may route there
	}
	if u == nil {
		return 0, 0, false
	}
	return u.Usable(), u.Total(), true
}

// allowed is the time that a try had which ended with err.
func allowed(p *cluster.Policy, err error) time.Duration {
	if errors.Is(err, stream.ErrTimeout) {
		return p.Response
	}
	return p.Connect
}

// policy is what its configuration says.
func (u *upstream) policy() *cluster.Policy {
	c := u.config
	p := &cluster.Policy{
		Connect:        c.Timeouts.Connect,
		Response:       c.Timeouts.Response,
		StreamIdle:     c.Timeouts.StreamIdle,
		UpstreamIdle:   c.Timeouts.UpstreamIdle,
		Retries:        c.Retries,
		Balance:        balance(c.Balance),
		Key:            cluster.KeySource(c.HashKey),
		MaxInFlight:    c.InFlight,
		SlowStart:      c.SlowStart,
		Outliers:       outliers(c.Passive),
		Host:           c.Host,
		TryWhenAllDown: c.OnAllDown == config.OnAllDownTry,
		SendProxy:      c.SendProxy.Version(),
		Protocol:       protocol(c),
	}
	if c.TLS != nil {
		p.TLS = u.secure.Now()
		if p.Host == "" {
			p.Host = c.TLS.ServerName
		}
	}
	return p
}

func balance(b config.Balance) cluster.Balance {
	switch b {
	case config.BalanceLeastRequests:
		return cluster.LeastRequests
	case config.BalanceRandomTwo:
		return cluster.RandomTwo
	case config.BalanceHash:
		return cluster.Hash
	}
	return cluster.RoundRobin
}

// outliers are the responses that count as failures; nil: none.
func outliers(p config.Passive) *cluster.Statuses {
	ranges := p.Statuses()
	if len(ranges) == 0 {
		return nil
	}
	s := new(cluster.Statuses)
	for _, r := range ranges {
		s.Add(r.Low, r.High)
	}
	return s
}

func passive(p config.Passive) health.Passive {
	h := health.Passive{Failures: p.Failures, Window: p.Window, For: p.For, MaxOut: p.MaxOut}
	for word, kind := range map[string]health.Kind{
		config.PassiveConnect: health.NoConnection, config.PassiveTimeout: health.NoAnswer, config.PassiveReset: health.CutOff,
	} {
		if p.Counts(word) {
			h.On |= health.KindsOf(kind)
		}
	}
	if len(p.Statuses()) > 0 {
		h.On |= health.KindsOf(health.BadStatus)
	}
	return h
}

func names(c config.Cluster) cluster.Names {
	n := cluster.Names{Interval: c.Resolve.Interval}
	switch c.Resolve.Family {
	case config.FamilyIPv4:
		n.Family = cluster.IPv4
	case config.FamilyIPv6:
		n.Family = cluster.IPv6
	}
	for _, b := range c.Backends {
		n.Backends = append(n.Backends, cluster.Name{Address: b.Address(), Weight: b.Weight})
	}
	return n
}

func (u *upstream) checker(b *cluster.Backend) health.Checker {
	c := u.config
	var secure *tls.Config
	if u.secure != nil {
		secure = u.secure.Now()
	}
	preface := string(c.SendProxy.Version().Append(nil, proxyproto.Header{}))
	switch c.Check.Type {
	case config.CheckTCP:
		return health.TCP{Send: c.Check.Send, Expect: c.Check.Expect, Preface: preface}
	case config.CheckTLS:
		return health.TLS{Config: secure, Preface: preface}
	case config.CheckHTTP:
		h := httpChecker(c, b, secure)
		h.Preface = preface
		return h
	case config.CheckGRPC:
		return health.GRPC{Service: c.Check.Service, Host: c.Host, TLS: secure}
	}
	return nil
}

func httpChecker(c config.Cluster, b *cluster.Backend, secure *tls.Config) health.HTTP {
	h := health.HTTP{
		Path: c.Check.Path, Host: c.Check.Host, Header: make(http.Header), BodyMatch: c.Check.Body, TLS: secure,
		HTTP2: protocol(c) == cluster.HTTP2,
	}
	if h.Host == "" {
		h.Host = c.Host
	}
	if h.Host == "" && secure == nil {
		h.Host = b.Name()
	}
	for _, f := range c.Check.Headers {
		h.Header.Add(f.Name, f.Value)
	}
	for _, s := range c.Check.Status {
		h.StatusRanges = append(h.StatusRanges, health.StatusRange{From: s.Low, To: s.High})
	}
	return h
}

// leave keeps the clusters of before that next does not have, for a while.
func (cs *clusters) leave(before *clusters) {
	cs.leaving = make(map[string]*upstream)
	for _, name := range before.names {
		if cs.byName[name] == nil {
			cs.leaving[name] = before.byName[name]
		}
	}
}

// lingering is how long a cluster that was removed goes on, for requests that were
// routed before.
const lingering = time.Second

// end ends clusters that were removed, after a while, or when ctx is done.
func (a *App) end(ctx context.Context, left map[string]*upstream) {
	select {
	case <-time.After(lingering):
	case <-ctx.Done():
	}
	for _, u := range left {
		u.stop()
		a.setMembers(u.Cluster, nil)
	}
}
