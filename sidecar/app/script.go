package app

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/scripting"
	"outrider/sidecar/admin"
	"outrider/sidecar/config"
	"outrider/sidecar/proxy"
	"outrider/sidecar/rollout"
)

// scriptRouter asks the user's script, the version of it that is active.
type scriptRouter struct {
	app      *App
	versions *rollout.Versions
	stop     context.CancelFunc // nil before run
	stopped  chan struct{}
}

// decisions counts them by outcome.
type decisions [scripting.Busy + 1]atomic.Uint64

// all are the outcomes; those that never were are told as well while there is a
// script, so that the first one shows as an increase.
func (d *decisions) all(script bool) map[string]uint64 {
	all := make(map[string]uint64)
	for i := range d {
		if n := d[i].Load(); n > 0 || script {
			all[scripting.Outcome(i).String()] = n
		}
	}
	return all
}

func (a *App) newScript(c *config.Config) (*scriptRouter, error) {
	versions, err := rollout.New(rollout.Options{Log: a.log, Clusters: view{a}, StateDir: c.StateDir}, scriptSettings(c))
	if err != nil {
		return nil, err
	}
	return &scriptRouter{app: a, versions: versions, stopped: make(chan struct{})}, nil
}

func scriptSettings(c *config.Config) rollout.Settings {
	return rollout.Settings{
		File: c.Script.File, Imports: c.Script.Allow.Imports, Backtracking: c.Script.Allow.Backtracking, Data: c.Script.Data, Env: c.Script.EnvValues, Tests: c.Script.Tests, Clusters: clustersOf(c),
		Timeout: c.Script.Timeout, OnError: c.Script.OnError, DefaultCluster: c.DefaultCluster,
		Probation: rollout.Probation(c.Script.Rollback), MaxMoved: c.Script.MaxMoved, Record: c.Script.Record, Shadow: rollout.Shadowing(c.Script.Shadow),
	}
}

// run watches the script's files until close.
func (r *scriptRouter) run(ctx context.Context) {
	ctx, r.stop = context.WithCancel(ctx)
	r.app.tasks.Go(func() {
		defer close(r.stopped)
		r.versions.Run(ctx)
	})
}

func (r *scriptRouter) close() {
	if r.stop != nil {
		r.stop()
		<-r.stopped
	}
	r.versions.Close()
}

// Route implements proxy.Router.
func (r *scriptRouter) Route(request *proxy.Request) proxy.Decision {
	to := r.app.accounts.Load()
	began := to.begin()
	d := r.versions.Route(seen{request})
	if !request.InTime() {
		return proxy.Decision{} // Overdue has decided, and was counted
	}
	to.routed(began)
	return r.decision(d)
}

// seen is a request as scripts see it.
type seen struct{ *proxy.Request }

// TLS implements scripting.Request.
func (s seen) TLS() *scripting.TLS { return (*scripting.TLS)(s.Request.TLS()) }

// Limit implements proxy.Router.
func (r *scriptRouter) Limit() time.Duration { return r.versions.Limit() }

// Overdue implements proxy.Router.
func (r *scriptRouter) Overdue() proxy.Decision {
	if m := r.app.accounts.Load().metrics; m != nil {
		m.CountRouting(r.versions.Limit())
	}
	return r.decision(r.versions.Overdue())
}

func (r *scriptRouter) decision(d rollout.Decision) proxy.Decision {
	r.versions.Count(&d)
	r.app.decisions[d.Outcome].Add(1)
	if d.Spared != nil {
		r.tellSpared(d)
	}
	if d.Outcome.Failed() && d.Outcome != scripting.UnknownCluster { // scripting tells those by name
		r.app.warnings.Warn("script "+d.Outcome.String(), logrus.Fields{
			"version": d.Version, "outcome": d.Outcome.String(), "cause": d.Err,
		}, "the routing script failed a request")
	}
	decision := proxy.Decision{
		Version: d.Version, Rule: d.Rule,
		RequestHeaders: d.RequestHeaders, ResponseHeaders: d.ResponseHeaders,
		Path: d.Path, HashKey: d.HashKey, Timeout: d.Timeout,
	}
	if d.Outcome != scripting.OK {
		decision.Outcome = d.Outcome.String()
	}
	switch u := r.app.clusters.Load().find(d.Cluster); {
	case d.Respond != nil:
		decision.Respond = (*proxy.Respond)(d.Respond)
	case u != nil:
		decision.Cluster = u.Cluster
	case d.Outcome == scripting.NoRoute:
		decision.Fault = noRoute()
	default:
		decision.Fault = scriptFailed(d.Err)
	}
	return decision
}

// tellSpared tells of a failure that the version before has made good.
func (r *scriptRouter) tellSpared(d rollout.Decision) {
	r.app.warnings.Warn("spared "+d.Spared.Version, logrus.Fields{
		"version": d.Spared.Version, "decided_by": d.Version, "outcome": d.Spared.Outcome.String(), "cause": d.Spared.Err,
	}, "the routing script on probation failed a request; the version before has decided it")
}

func scriptFailed(err error) *proxy.Fault {
	return &proxy.Fault{
		Status: http.StatusInternalServerError, Type: "proxy_internal_error", Err: err,
		Detail: "the routing script failed (script.on_error: fail)",
	}
}

func (r *scriptRouter) status() *admin.ScriptStatus {
	s := r.versions.Status()
	status := &admin.ScriptStatus{
		File: s.File, Version: s.Version, Since: s.Since, Previous: s.Previous, OnProbation: s.OnProbation, Decisions: s.Outcomes,
	}
	if s.Shadow.File != "" {
		status.Shadow = shadowStatus(&s.Shadow)
	}
	return status
}

func shadowStatus(s *rollout.ShadowStatus) *admin.ShadowStatus {
	status := &admin.ShadowStatus{File: s.File, Version: s.Version, Asked: s.Moves.Compared, Failed: s.Failed, Moves: movesOf(&s.Moves)}
	if s.Fault != nil {
		status.Fault = s.Fault.Error()
	}
	return status
}

// shadowCounts are what came of the requests that a shadow was asked about; nil
// when there was none.
func shadowCounts(c *rollout.ShadowCounts) map[string]uint64 {
	counts := map[string]uint64{"same": c.Same.Load(), "moved": c.Moved.Load(), "failed": c.Failed.Load(), "dropped": c.Dropped.Load()}
	for _, n := range counts {
		if n > 0 {
			return counts
		}
	}
	return nil
}
