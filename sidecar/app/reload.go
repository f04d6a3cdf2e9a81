package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/config"
)

// Reload reads the configuration and the script again and makes them active, or
// says why not; then everything stays as it was. Connections, health, and the
// turns of the backends that stay are not touched.
func (a *App) Reload(context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.ctx == nil {
		a.log.Warn(errNotRunning.Error())
		return errNotRunning
	}
	c, err := a.options.Load()
	if err == nil {
		err = a.activate(c)
	}
	if err != nil {
		a.refused(err)
		a.log.WithError(err).Error("reload refused: the running configuration stays")
		return err
	}
	a.log.WithFields(logrus.Fields{"clusters": len(c.Clusters), "file": c.File}).Info("reloaded")
	a.tellNotes(c)
	return nil
}

var errNotRunning = errors.New("the sidecar is starting or stopping: nothing was reloaded")

func (a *App) activate(c *config.Config) error {
	if err := needsRestart(a.active.Load().config, c); err != nil {
		return err
	}
	before := a.clusters.Load()
	next := a.newClusters(c, before)
	a.clusters.Store(next)
	newRoute, err := a.prepareRoute(c)
	if err != nil {
		a.clusters.Store(before)
		return err
	}
	if err := a.peers.adopt(c.Gossip); err != nil {
		a.clusters.Store(before)
		return err
	}
	for _, name := range next.names {
		a.adopt(next.byName[name], before.byName[name])
	}
	if a.accounts.metrics != nil {
		a.accounts.metrics.SetClusters(next.names)
	}
	next.start(a)
	next.awaitMembers()
	a.setActive(c, newRoute())
	for _, u := range gone(before, next) {
		u.stop()
		a.setMembers(u.Cluster, nil)
	}
	a.refreshChecks()
	return nil
}

func (a *App) refreshChecks() {
	a.members.Lock()
	defer a.members.Unlock()
	a.monitor.Set(a.targets())
}

// adopt gives a cluster that stays its new policy.
func (a *App) adopt(u, before *upstream) {
	if before == nil {
		return
	}
	next := policy(u.config)
	if sameTLS(before.config.TLS, u.config.TLS) {
		next.TLS = u.Policy().TLS // connections made with it stay good
	}
	u.SetPolicy(next)
}

// sameTLS tells whether connections made by one of two settings are as good as
// those made by the other. Pools of certificates that were read twice are equal
// by content alone.
func sameTLS(a, b *config.TLS) bool {
	if a == nil || b == nil {
		return a == b
	}
	first, second := *a, *b
	first.Roots, second.Roots = nil, nil
	sameRoots := a.Roots == b.Roots || a.Roots != nil && b.Roots != nil && a.Roots.Equal(b.Roots)
	return first == second && sameRoots
}

func (a *App) setActive(c *config.Config, r *route) {
	old := a.active.Swap(newActive(c, r))
	for _, l := range a.listeners {
		l.proxy.SetRouter(a.routerOf(l))
	}
	if old.route.script != r.script {
		a.tasks.Go(old.route.close)
	}
}

// refused notes why what runs goes on as it is; nil: there is no reason any more.
func (a *App) refused(err error) {
	next := *a.active.Load()
	next.fault = err
	a.active.Store(&next)
}

// needsRestart names what of the new configuration can not be changed while
// requests are served.
func needsRestart(old, c *config.Config) error {
	for _, part := range []struct {
		key     string
		changed bool
	}{
		{"name", old.Name != c.Name},
		{"state_dir", old.StateDir != c.StateDir},
		{"script.record", old.Script.Record != c.Script.Record},
		{"listen", !reflect.DeepEqual(old.Listen, c.Listen)},
		{"limits", old.Limits != c.Limits},
		{"trusted_proxies", !reflect.DeepEqual(old.TrustedProxies, c.TrustedProxies)},
		{"ambiguous_paths", old.AmbiguousPaths != c.AmbiguousPaths},
		{"status", old.Status != c.Status},
		{"admin", !reflect.DeepEqual(old.Admin, c.Admin)},
		{"log", old.Log != c.Log},
		{"gossip", !sameNetwork(old.Gossip, c.Gossip)},
	} {
		if part.changed {
			return fmt.Errorf("`%s` has changed: in this version that needs a restart", part.key)
		}
	}
	return nil
}

// Rollback makes the version of the script before the active one active again.
func (a *App) Rollback() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	script := a.active.Load().route.script
	if script == nil {
		return errors.New("there is no script: the built-in rule routes")
	}
	return script.versions.Rollback()
}
