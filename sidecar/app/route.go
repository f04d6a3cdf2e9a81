package app

import (
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/config"
	"outrider/sidecar/proxy"
)

// route is what decides on requests that no listener has decided on: the
// built-in rule or the user's script.
type route struct {
	router proxy.Router
	script *scriptRouter // nil: the built-in rule
}

// newRoute makes the route of a configuration.
func (a *App) newRoute(c *config.Config, cs *clusters) (*route, error) {
	if c.Script.File == "" {
		return &route{router: builtinRule(c, cs)}, nil
	}
	s, err := a.newScript(c)
	if err != nil {
		return nil, err
	}
	return &route{router: s, script: s}, nil
}

// prepareRoute makes the route of a new configuration. What may go wrong has gone
// well when it returns; one of the two is called later, and must be.
func (a *App) prepareRoute(c *config.Config, cs *clusters) (activate func() *route, drop func(), err error) {
	now := a.active.Load().route
	if now.script == nil || c.Script.File == "" {
		next, err := a.newRoute(c, cs)
		if err != nil {
			return nil, nil, err
		}
		return func() *route {
			next.run(a)
			return next
		}, next.close, nil
	}
	candidate, err := now.script.versions.Prepare(scriptSettings(c))
	if err != nil {
		return nil, nil, err
	}
	return func() *route {
		candidate.Activate()
		return now
	}, candidate.Drop, nil
}

func (r *route) run(a *App) {
	if r.script != nil {
		r.script.run(a.ctx)
	}
}

func (r *route) close() {
	if r.script != nil {
		r.script.close()
	}
}

// builtin is the rule without a script: paths under /one/ go to cluster one,
// everything else to two. scripts/default.js says the same in JavaScript.
type builtin struct{ one, other proxy.Decision }

func builtinRule(c *config.Config, cs *clusters) builtin {
	to := func(name string) proxy.Decision {
		if cs.byName[name] == nil {
			name = c.DefaultCluster
		}
		if u := cs.byName[name]; u != nil {
			return proxy.Decision{Cluster: u.Cluster}
		}
		return proxy.Decision{Fault: noRoute()}
	}
	return builtin{one: to("one"), other: to("two")}
}

// Route implements proxy.Router.
func (b builtin) Route(r *proxy.Request) proxy.Decision {
	if r.HasPathPrefix("/one/") {
		return b.one
	}
	return b.other
}

// Limit implements proxy.Router.
func (builtin) Limit() time.Duration { return 0 }

// Overdue implements proxy.Router.
func (b builtin) Overdue() proxy.Decision { return b.other }

func noRoute() *proxy.Fault {
	return &proxy.Fault{
		Status: http.StatusNotFound, Type: "http_request_denied",
		Detail: "no cluster for this request: the route decided on none, and no default_cluster is set",
	}
}

// CheckScript loads the script of a configuration, and lets it go again. A
// script that does not load is the error.
func CheckScript(c *config.Config, log logrus.FieldLogger) error {
	a := &App{log: log}
	cs, err := a.newClusters(c, nil)
	if err != nil {
		return err
	}
	a.clusters.Store(cs)
	alone := *c
	alone.StateDir = ""      // which belongs to a sidecar that runs
	alone.Script.Tests = nil // see TestScript
	r, err := a.newRoute(&alone, cs)
	if err != nil {
		return err
	}
	r.close()
	return nil
}
