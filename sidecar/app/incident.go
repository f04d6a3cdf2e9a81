package app

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cluster"
	"outrider/sidecar/health"
)

// forgetAfter is how long ago the last failure of an incident that came to
// nothing may be, for a new failure to still belong to it.
const forgetAfter = 10 * time.Second

// incidents remember what a backend's trouble cost the clients, so that one line
// can tell it.
type incidents struct {
	mu   sync.Mutex // guards open
	open map[*cluster.Backend]*incident
}

type incident struct {
	failures, retried uint64 // the backend's counters when it began
	last              time.Time
	out               bool
}

// begin notes a failure: the first one begins the incident.
func (is *incidents) begin(b *cluster.Backend) {
	is.mu.Lock()
	defer is.mu.Unlock()
	i := is.open[b]
	if i == nil || !i.out && time.Since(i.last) > forgetAfter {
		i = newIncident(b)
		if is.open == nil {
			is.open = make(map[*cluster.Backend]*incident)
		}
		is.open[b] = i
	}
	i.last = time.Now()
}

func newIncident(b *cluster.Backend) *incident {
	return &incident{failures: b.Counters().Failures.Load(), retried: b.Counters().Retried.Load()}
}

// cost is what the incident has cost so far. A backend that is back ends it.
func (is *incidents) cost(b *cluster.Backend, out bool) (failures, retried uint64) {
	is.mu.Lock()
	defer is.mu.Unlock()
	i := is.open[b]
	if i == nil {
		i = newIncident(b)
	}
	i.out = out
	if is.open == nil {
		is.open = make(map[*cluster.Backend]*incident)
	}
	is.open[b] = i
	if !out {
		delete(is.open, b)
	}
	return b.Counters().Failures.Load() - i.failures, b.Counters().Retried.Load() - i.retried
}

func (is *incidents) forget(b *cluster.Backend) {
	is.mu.Lock()
	defer is.mu.Unlock()
	delete(is.open, b)
}

// healthChanged is the only way into the rotation. It is called for one change
// at a time.
func (a *App) healthChanged(c health.Change) {
	u := a.clusters.Load().byName[c.Cluster]
	if u == nil {
		return
	}
	a.chronicle.add(c)
	u.SetState(c.Addr, stateOf(c.To))
	b := backendAt(u.Cluster, c)
	if b == nil {
		return
	}
	failures, retried := a.incidents.cost(b, c.To == health.Down || c.To == health.Trial)
	entry := a.log.WithFields(logrus.Fields{
		"cluster": c.Cluster, "backend": b.String(), "client_errors": failures, "retried": retried,
		"usable": u.Usable(), "total": u.Total(),
	})
	if c.To == health.Down {
		entry.Warn(c.String())
	} else {
		entry.Info(c.String())
	}
	if a.options.OnChange != nil {
		a.options.OnChange(c)
	}
}

func backendAt(c *cluster.Cluster, change health.Change) *cluster.Backend {
	for _, b := range c.Backends() {
		if b.Addr() == change.Addr {
			return b
		}
	}
	return nil
}

func stateOf(s health.State) cluster.State {
	switch s {
	case health.Down:
		return cluster.Down
	case health.Suspect:
		return cluster.Suspect
	case health.Trial:
		return cluster.Trial
	case health.Draining:
		return cluster.Draining
	}
	return cluster.Up
}

func (a *App) checkImpossible(reason string) {
	a.log.WithField("reason", reason).Warn("a health check could not be made, for a reason of this machine's own; nothing is concluded from it")
}
