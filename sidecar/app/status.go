package app

import (
	"errors"
	"fmt"
	"time"

	"outrider/sidecar/admin"
	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
	"outrider/sidecar/health"
)

// errNotReady is why a probe is answered with "not ready".
var errNotReady = errors.New("the first round of health checks is not finished")

var errLeaving = errors.New("stopping")

// Ready implements admin.Sidecar. Once ready, the sidecar stays so until it
// stops: a backend that a reload brings, or one that fails, makes no app unready.
func (a *App) Ready() error {
	switch {
	case a.leaving.Load():
		return errLeaving
	case a.ready.Load():
		return nil
	}
	if !a.firstRoundOver() {
		return errNotReady
	}
	a.ready.Store(true)
	return nil
}

// firstRoundOver tells whether every name was asked for once, and every backend
// was checked once, whatever that found.
func (a *App) firstRoundOver() bool {
	cs := a.clusters.Load()
	for _, name := range cs.names {
		select {
		case <-cs.byName[name].resolver.FirstRound():
		default:
			return false
		}
	}
	for _, h := range a.monitor.Snapshot() {
		u := cs.byName[h.Cluster]
		if u != nil && u.config.Check.Type != config.CheckOff && h.LastCheck.IsZero() {
			return false
		}
	}
	return true
}

// Status implements admin.Sidecar.
func (a *App) Status() admin.Status {
	now := a.active.Load()
	s := admin.Status{
		Name:    now.config.Name,
		Version: a.options.Version,
		Uptime:  admin.Seconds(time.Since(a.started)),
		Ready:   a.Ready() == nil,
		Config:  admin.ConfigStatus{File: now.config.File, LoadedAt: now.loaded},
		Clients: a.proxy.Clients(),
		Active:  a.proxy.Active(),
	}
	if fault := now.whyNot(); fault != nil {
		s.Config.LastReloadError = fault.Error()
	}
	for _, l := range a.entrances.Load().listeners {
		s.Listeners = append(s.Listeners, admin.ListenerStatus{Name: l.Name, Address: l.net.Addr().String(), Cluster: l.Cluster})
	}
	if now.route.script != nil {
		s.Script = now.route.script.status()
	}
	s.Clusters = a.clusterStatus()
	return s
}

// whyNot is why the files are not what is active; nil when they are.
func (now *active) whyNot() error {
	if now.fault == nil && now.route.script != nil {
		return now.route.script.versions.Status().Fault
	}
	return now.fault
}

func (a *App) clusterStatus() []admin.ClusterStatus {
	known := a.health()
	var all []admin.ClusterStatus
	cs := a.clusters.Load()
	for _, name := range cs.names {
		u := cs.byName[name]
		c := admin.ClusterStatus{Name: name, Usable: u.Usable(), Total: u.Total()}
		for _, b := range u.Backends() {
			c.Backends = append(c.Backends, backendStatus(b, known[keyOf(b)]))
		}
		all = append(all, c)
	}
	return all
}

// health is what is known of each backend.
func (a *App) health() map[health.Key]health.Status {
	known := make(map[health.Key]health.Status)
	for _, h := range a.monitor.Snapshot() {
		known[h.Key] = h
	}
	return known
}

func backendStatus(b *cluster.Backend, h health.Status) admin.BackendStatus {
	n := b.Counters()
	if !h.Until.IsZero() {
		h.Reason += fmt.Sprintf(", back for a trial in %v", time.Until(h.Until).Round(time.Second))
	}
	return admin.BackendStatus{
		Name: b.Name(), Address: b.Addr().String(), State: b.State().String(), Since: h.Since, Reason: h.Reason,
		Requests: n.Requests.Load(), Failures: n.Failures.Load(), Retried: n.Retried.Load(), InFlight: n.InFlight.Load(),
	}
}
