package app

import (
	"slices"

	"outrider/sidecar/config"
	"outrider/sidecar/telemetry"
)

// reload is the way from the configuration in force to another one.
type reload struct {
	app          *App
	config       *config.Config
	before, next *clusters

	prepared  changes
	access    *telemetry.AccessLog // nil: off
	accounts  *accounts
	entrances *entrances
	newRoute  func() *route
}

// prepare does all that may go wrong. What runs is not touched; where it fails, what
// is prepared has to be undone.
func (r *reload) prepare() error {
	for _, step := range []func() error{r.prepareAccessLog, r.prepareEntrances, r.prepareRoute, r.adoptPeers} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// prepareAccessLog opens the file, where that is another one.
func (r *reload) prepareAccessLog() error {
	a := r.app
	if a.accessLog != nil {
		if r.config.Log.Access.Mode == config.AccessOff {
			return nil
		}
		apply, undo, err := a.accessLog.Prepare(a.accessOptions(r.config))
		if err != nil {
			return err
		}
		r.access = a.accessLog
		r.prepared.add(apply, undo)
		return nil
	}
	first := a.newAccessLog(r.config)
	if first == nil {
		return nil
	}
	if err := first.Open(); err != nil {
		return err
	}
	r.access = first
	r.prepared.add(func() {
		a.accessLog = first
		a.runAccessLog(first)
	}, first.Close)
	return nil
}

// prepareEntrances opens the listeners that there were not yet.
func (r *reload) prepareEntrances() error {
	a := r.app
	now := a.entrances.Load()
	r.accounts = a.newAccounts(r.config, r.access, a.accounts.Load())
	next, err := a.newEntrances(r.config, now, r.accounts)
	if err != nil {
		return err
	}
	opened, err := a.openAll(next, now, r.config.Limits.Backlog)
	if err != nil {
		return err
	}
	r.entrances = next
	r.prepared.add(func() {}, opened.close)
	return opened.publish()
}

func (r *reload) prepareRoute() error {
	activate, drop, err := r.app.prepareRoute(r.config, r.next)
	if err != nil {
		return err
	}
	r.newRoute = activate
	r.prepared.add(func() {}, drop)
	return nil
}

// adoptPeers comes last: it can not be undone.
func (r *reload) adoptPeers() error { return r.app.peers.adopt(r.config.Gossip) }

// apply puts in force what was prepared. Clusters come before those who route there,
// and go after them.
func (r *reload) apply() {
	a := r.app
	r.prepared.apply()
	r.next.leave(r.before)
	a.clusters.Store(r.next)
	for _, name := range r.next.names {
		a.adopt(r.next.byName[name], r.before.byName[name])
	}
	r.accounts.follow(slices.Concat(r.next.names, r.before.names))
	r.next.start(a)
	r.next.awaitMembers()

	if a.options.SetLog != nil && a.active.Load().config.Log != r.config.Log {
		a.options.SetLog(r.config.Log)
	}
	r.accounts.requests = logRequests(a.options.Requests)
	a.accounts.Store(r.accounts)
	a.proxy.Set(a.proxySettings(r.config, r.accounts))
	route := r.newRoute()
	old := a.active.Swap(newActive(r.config, route))
	r.changeEntrances(route)
	if old.route.script != route.script {
		a.tasks.Go(old.route.close)
	}
	a.refreshChecks()
	r.end()
}

func (r *reload) changeEntrances(to *route) {
	a := r.app
	now := a.entrances.Swap(r.entrances)
	a.startEntrances(r.entrances, to, r.next)
	r.entrances.tellNew(now, a.log)
	a.leaveEntrances(now, r.entrances)
	for _, l := range r.entrances.listeners {
		a.setBacklog(l, r.config.Limits.Backlog)
	}
}

// end lets the clusters go that were removed, when the requests have ended that were
// routed there before.
func (r *reload) end() {
	a, left := r.app, r.next.leaving
	if len(left) == 0 {
		return
	}
	ctx := a.ctx
	a.tasks.Go(func() {
		a.end(ctx, left)
		a.accounts.Load().follow(a.clusters.Load().names)
	})
}
