package app

import (
	"context"
	"errors"
	"fmt"

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
	a.enter(Reloading)
	defer a.enter(Serving)
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

// activate prepares everything that may go wrong, and changes nothing before all of
// that has gone well.
func (a *App) activate(c *config.Config) error {
	if err := needsRestart(a.active.Load().config, c); err != nil {
		return err
	}
	before := a.clusters.Load()
	next, err := a.newClusters(c, before)
	if err != nil {
		return err
	}
	r := &reload{app: a, config: c, before: before, next: next}
	a.coming.Store(r.next)
	defer a.coming.Store(nil)
	if err := r.prepare(); err != nil {
		r.prepared.undo()
		return err
	}
	r.apply()
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
	u.SetPolicy(u.policy())
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
		{"name", old.Name != c.Name && c.Gossip != nil}, // by which the peers know it
		{"state_dir", old.StateDir != c.StateDir},
		{"gossip", !sameNetwork(old.Gossip, c.Gossip)},
	} {
		if part.changed {
			return fmt.Errorf("`%s` has changed: that needs a restart", part.key)
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
