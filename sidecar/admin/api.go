package admin

import (
	"bytes"
	"net/http"

	"github.com/sirupsen/logrus"
)

// Options are what [Handler] needs.
type Options struct {
	Sidecar Sidecar

	Token    string   // what writes must bring; empty refuses all of them
	Hosts    []string // names, or name:port, that may stand in a Host field beside localhost
	Loopback bool     // the listener is bound to loopback: reading needs no token
	Edit     bool     // the script may be saved
	Pprof    bool     // Go's profiles are served

	Sessions *Sessions // browsers that were let in, also by handlers before this one

	Log logrus.FieldLogger
}

// Handler is the admin API; the package's documentation says what it answers.
func Handler(o Options) http.Handler {
	a := &api{
		sidecar: o.Sidecar, hosts: newHosts(o.Hosts), tokens: newTokens(o.Token, o.Log), open: o.Loopback, edit: o.Edit,
		sessions: o.Sessions, streams: make(chan struct{}, maxStreams),
	}
	if a.sessions == nil {
		a.sessions = NewSessions()
	}
	a.routes = routes{
		{method: http.MethodGet, path: "/status", handle: a.status},
		{method: http.MethodGet, path: "/clusters", handle: a.clusters},
		{method: http.MethodGet, path: "/health", handle: a.health},
		{method: http.MethodGet, path: "/peers", handle: a.peers},
		{method: http.MethodGet, path: "/config", handle: a.config},
		{method: http.MethodGet, path: "/script", handle: a.script, private: true},
		{method: http.MethodGet, path: "/decisions", handle: a.decisions, private: true},
		{method: http.MethodGet, path: "/explain", handle: a.recall, private: true},
		{method: http.MethodGet, path: "/traffic", handle: a.traffic},
		{method: http.MethodGet, path: "/events", handle: a.events},
		{method: http.MethodGet, path: "/tap", handle: a.tap, private: true},
		{method: http.MethodPost, path: "/session", handle: a.enter, takes: true, anyone: true},
		{method: http.MethodPost, path: "/invite", handle: a.invite, strict: true},
		{method: http.MethodPost, path: "/reload", handle: a.reload},
		{method: http.MethodPost, path: "/rollback", handle: a.rollback},
		{method: http.MethodPost, path: "/drain", handle: a.drain},
		{method: http.MethodPost, path: "/undrain", handle: a.undrain},
		{method: http.MethodPost, path: "/explain", handle: a.explain, takes: true},
		{method: http.MethodPost, path: "/script/validate", handle: a.validateScript, takes: true},
		{method: http.MethodPost, path: "/script", handle: a.saveScript, takes: true},
	}
	a.routes = append(a.routes, pages()...)
	if o.Pprof {
		a.routes = append(a.routes, profiles()...)
	}
	return a
}

type api struct {
	sidecar Sidecar
	routes  routes
	hosts   hosts
	tokens  *tokens
	open    bool // to readers without a token
	edit    bool

	sessions *Sessions
	streams  chan struct{} // one place for each that is open
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	harden(w)
	found, refused := a.admit(r)
	if refused == nil && isWrite(found) && !found.takes {
		refused = readNothing(w, r)
	}
	if refused != nil {
		refused.write(w)
		return
	}
	found.handle(w, r)
}

// admit finds what r asks for, if whoever sent it may ask. It reads no body.
func (a *api) admit(r *http.Request) (route, *refusal) {
	if refused := a.hosts.check(r); refused != nil {
		return route{}, refused
	}
	if refused := checkOrigin(r); refused != nil {
		return route{}, refused
	}
	if r.ContentLength > maxBody {
		return route{}, tooLarge()
	}
	found, refused := a.routes.find(r)
	if refused != nil {
		return route{}, refused
	}
	if found.anyone || a.open && !isWrite(found) && !found.private {
		return found, nil
	}
	if !found.strict && r.Header.Get("Authorization") == "" && a.sessions.may(r, isWrite(found)) {
		return found, nil
	}
	return found, a.tokens.check(r)
}

func isWrite(r route) bool { return r.method != http.MethodGet }

func (a *api) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.sidecar.Status().withoutNulls())
}

func (a *api) reload(w http.ResponseWriter, r *http.Request) {
	if err := a.sidecar.Reload(r.Context()); err != nil {
		refuse(http.StatusUnprocessableEntity, "%v", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, reloaded{a.sidecar.Status().Config})
}

// decisions answers recorded decisions as JSON lines: all, or the one on the request
// with an id.
func (a *api) decisions(w http.ResponseWriter, r *http.Request) {
	var lines bytes.Buffer
	if err := a.sidecar.WriteDecisions(&lines, r.URL.Query().Get("id")); err != nil {
		refuse(http.StatusNotFound, "%v", err).write(w)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_, _ = w.Write(lines.Bytes()) // who asked has gone: nobody is left to tell
}

func (a *api) rollback(w http.ResponseWriter, _ *http.Request) {
	if err := a.sidecar.Rollback(); err != nil {
		refuse(http.StatusUnprocessableEntity, "%v", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, rolledBack{a.sidecar.Status().withoutNulls().Script})
}

type rolledBack struct {
	Script *ScriptStatus `json:"script"`
}

type reloaded struct {
	Config ConfigStatus `json:"config"`
}
