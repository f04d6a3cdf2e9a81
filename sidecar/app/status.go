package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/admin"
	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
	"outrider/sidecar/health"
)

// door is a listener for those who operate the sidecar.
type door struct {
	key     string // in the configuration
	address string
	handler http.Handler
	net     net.Listener
}

func (a *App) newDoors(c *config.Config) []*door {
	var doors []*door
	if c.Status.Listen != "" {
		doors = append(doors, &door{key: "status", address: c.Status.Listen, handler: admin.StatusHandler(a, a.accounts.metrics.Handler())})
	}
	if c.Admin.Listen != "" {
		doors = append(doors, &door{key: "admin", address: c.Admin.Listen, handler: admin.Handler(admin.Options{
			Sidecar: a, Token: a.options.Token, Hosts: c.Admin.Hosts, Loopback: isLoopback(c.Admin.Listen), Log: a.log,
			Edit: c.Admin.Edit, Pprof: c.Admin.Pprof,
		})})
	}
	return doors
}

func (a *App) serveDoor(ctx context.Context, d *door) {
	if err := admin.Serve(ctx, d.net, d.handler, a.log); err != nil {
		a.log.WithFields(logrus.Fields{"listener": d.key, logrus.ErrorKey: err}).Error("a listener has ended")
	}
}

// isLoopback tells whether an address to listen on can be reached from this
// machine alone.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

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
	for _, l := range a.listeners {
		s.Listeners = append(s.Listeners, admin.ListenerStatus{Name: l.proxy.Name, Address: l.net.Addr().String(), Cluster: l.cluster})
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
