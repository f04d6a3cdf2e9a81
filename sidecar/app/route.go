package app

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/scripting"
	"outrider/sidecar/config"
	"outrider/sidecar/proxy"
)

// listener is one door of the sidecar.
type listener struct {
	address string
	cluster string // where all its requests go; "" = the route decides
	proxy   *proxy.Listener
	net     net.Listener
}

func (a *App) newListener(l config.Listener) *listener {
	made := &listener{address: l.Address, cluster: l.Cluster}
	made.proxy = proxy.NewListener(l.Name, forwarded(l.Forwarded), a.routerOf(made))
	return made
}

func (a *App) routerOf(l *listener) proxy.Router {
	if l.cluster == "" {
		return a.active.Load().route.router
	}
	return proxy.Fixed{Cluster: a.clusters.Load().byName[l.cluster].Cluster}
}

func forwarded(f config.Forwarded) proxy.Forwarded {
	switch f {
	case config.ForwardedReplace:
		return proxy.Replace
	case config.ForwardedOff:
		return proxy.Off
	}
	return proxy.Append
}

// route is what decides on requests that no listener has decided on: the
// built-in rule or the user's script.
type route struct {
	router proxy.Router
	script *scriptRouter // nil: the built-in rule
}

func (a *App) newRoute(c *config.Config) (*route, error) {
	if c.Script.File == "" {
		return &route{router: a.builtinRule(c)}, nil
	}
	code, err := os.ReadFile(c.Script.File)
	if err != nil {
		return nil, fmt.Errorf("script.file: %w", err)
	}
	s, err := a.loadScript(c, code)
	if err != nil {
		return nil, err
	}
	return &route{router: s, script: s}, nil
}

func (r *route) close() {
	if r.script != nil {
		r.script.script.Close()
	}
}

// builtin is the rule without a script: paths under /one/ go to cluster one,
// everything else to two. scripts/default.js says the same in JavaScript.
type builtin struct{ one, other proxy.Decision }

func (a *App) builtinRule(c *config.Config) builtin {
	to := func(name string) proxy.Decision {
		if a.clusters.Load().byName[name] == nil {
			name = c.DefaultCluster
		}
		if u := a.clusters.Load().byName[name]; u != nil {
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

func scriptFailed(err error) *proxy.Fault {
	return &proxy.Fault{
		Status: http.StatusInternalServerError, Type: "proxy_internal_error", Err: err,
		Detail: "the routing script failed (script.on_error: fail)",
	}
}

// scriptRouter asks the user's script.
type scriptRouter struct {
	app     *App
	script  *scripting.Script
	file    string
	code    []byte // of the script, as the file had it
	limit   time.Duration
	onError string
	counts  decisions
}

// decisions counts them by outcome.
type decisions [scripting.Busy + 1]atomic.Uint64

// all are the outcomes that there were.
func (d *decisions) all() map[string]uint64 {
	all := make(map[string]uint64)
	for i := range d {
		if n := d[i].Load(); n > 0 {
			all[scripting.Outcome(i).String()] = n
		}
	}
	return all
}

// patience is how much longer than its own deadline a script may take to give
// up, before the request goes on without it.
const patience = 40 * time.Millisecond

func (a *App) loadScript(c *config.Config, code []byte) (*scriptRouter, error) {
	s, err := scripting.Load(scripting.Source{Name: filepath.Base(c.Script.File), Code: code}, scripting.Options{
		Log: a.log, Clusters: view{a}, Timeout: c.Script.Timeout, OnError: c.Script.OnError, DefaultCluster: c.DefaultCluster,
	})
	if err != nil {
		return nil, err
	}
	r := &scriptRouter{app: a, script: s, file: c.Script.File, code: code, limit: c.Script.Timeout + patience}
	if c.Script.OnError != config.OnErrorFail {
		r.onError = c.Script.OnError
	}
	return r, nil
}

// Route implements proxy.Router.
func (r *scriptRouter) Route(request *proxy.Request) proxy.Decision {
	return r.decision(r.script.Route(request))
}

// Limit implements proxy.Router.
func (r *scriptRouter) Limit() time.Duration { return r.limit }

// Overdue implements proxy.Router.
func (r *scriptRouter) Overdue() proxy.Decision {
	err := fmt.Errorf("%s: route did not return within %v", filepath.Base(r.file), r.limit)
	return r.decision(scripting.Decision{Cluster: r.onError, Outcome: scripting.Timeout, Err: err})
}

func (r *scriptRouter) decision(d scripting.Decision) proxy.Decision {
	r.counts[d.Outcome].Add(1)
	r.app.decisions[d.Outcome].Add(1)
	if d.Outcome.Failed() && d.Outcome != scripting.UnknownCluster { // scripting tells those by name
		r.app.warnings.Warn("script "+d.Outcome.String(), logrus.Fields{
			"script": r.file, "version": r.script.Version(), "outcome": d.Outcome.String(), "cause": d.Err,
		}, "the routing script failed a request")
	}
	decision := proxy.Decision{Version: r.script.Version()}
	if d.Outcome != scripting.OK {
		decision.Outcome = d.Outcome.String()
	}
	switch u := r.app.clusters.Load().byName[d.Cluster]; {
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

// CheckScript loads the script of a configuration, and lets it go again. A
// script that does not load is the error.
func CheckScript(c *config.Config, log logrus.FieldLogger) error {
	a := &App{log: log}
	a.clusters.Store(a.newClusters(c, nil))
	r, err := a.newRoute(c)
	if err != nil {
		return err
	}
	r.close()
	return nil
}
