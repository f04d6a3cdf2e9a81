package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

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
	r, err := a.newRoute(c)
	if err != nil {
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
	a.setActive(c, r)
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
	old := a.active.Swap(&active{config: c, route: r, loaded: time.Now()})
	for _, l := range a.listeners {
		l.proxy.SetRouter(a.routerOf(l))
	}
	a.tasks.Go(old.route.close)
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
		{"listen", !reflect.DeepEqual(old.Listen, c.Listen)},
		{"limits", old.Limits != c.Limits},
		{"trusted_proxies", !reflect.DeepEqual(old.TrustedProxies, c.TrustedProxies)},
		{"ambiguous_paths", old.AmbiguousPaths != c.AmbiguousPaths},
		{"status", old.Status != c.Status},
		{"admin", !reflect.DeepEqual(old.Admin, c.Admin)},
		{"log", old.Log != c.Log},
	} {
		if part.changed {
			return fmt.Errorf("`%s` has changed: in this version that needs a restart", part.key)
		}
	}
	return nil
}

// watchScript makes a changed script file active. It looks at the file's content,
// since not every file system tells of changes.
func (a *App) watchScript(ctx context.Context) {
	look := time.NewTicker(scriptLook)
	defer look.Stop()
	w := scriptWatch{}
	for {
		select {
		case <-look.C:
			w.look(a)
		case <-ctx.Done():
			return
		}
	}
}

// scriptLook is how often the script's file is looked at. A change is taken up
// when two looks in a row find the same.
const scriptLook = 250 * time.Millisecond

type scriptWatch struct {
	pending []byte // what the last look found, when that was new
	refused []byte // what was tried and does not load
}

func (w *scriptWatch) look(a *App) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	active := a.active.Load().route.script
	if active == nil {
		return
	}
	code, err := os.ReadFile(active.file)
	switch {
	case err != nil: // editors and mounts replace files: it will be back
		return
	case bytes.Equal(code, active.code):
		w.pending = nil
		w.takenBack(a)
		return
	case w.refused != nil && bytes.Equal(code, w.refused):
		w.pending = nil
		return
	case w.pending == nil || !bytes.Equal(code, w.pending):
		w.pending = code
		return
	}
	w.pending, w.refused = nil, nil
	if !a.swapScript(code) {
		w.refused = code
	}
}

// takenBack notes that the file holds again what is active.
func (w *scriptWatch) takenBack(a *App) {
	if w.refused != nil {
		w.refused = nil
		a.refused(nil)
	}
}

// swapScript makes code active, or tells why not.
func (a *App) swapScript(code []byte) bool {
	began := time.Now()
	now := a.active.Load()
	name := filepath.Base(now.config.Script.File)
	s, err := a.loadScript(now.config, code)
	if err != nil {
		a.refused(err)
		a.log.WithField("script", name).Errorf("script refused, %s stays: %v", now.route.version(), err)
		return false
	}
	a.setActive(now.config, &route{router: s, script: s})
	a.log.WithFields(logrus.Fields{"script": name, "version": s.script.Version()}).
		Infof("script %s active in %d ms", s.script.Version(), time.Since(began).Milliseconds())
	return true
}

func (r *route) version() string {
	if r.script == nil {
		return "the built-in rule"
	}
	return r.script.script.Version()
}
