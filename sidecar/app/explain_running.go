package app

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"outrider/scripting"
	"outrider/scripting/cases"
	"outrider/sidecar/admin"
	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
	"outrider/sidecar/rollout"
)

// Explain implements admin.Sidecar.
func (a *App) Explain(q admin.Question) (*admin.Explanation, error) {
	now := a.active.Load()
	e := &explaining{config: now.config, Explanation: admin.Explanation{Asked: "the sidecar " + now.config.Name + ", which runs"}}
	sketch := cases.Sketch{Line: q.Method + " " + q.URL, IP: q.IP, Listener: q.Listener}
	for _, h := range q.Headers {
		sketch.Headers = append(sketch.Headers, cases.Header{Name: h[0], Value: h[1]})
	}
	err := e.decide(sketch, func(request *cases.Request) (*rollout.Asked, error) {
		if now.route.script == nil {
			return nil, errNoScript
		}
		return now.route.script.versions.Ask(request)
	})
	if err != nil {
		return nil, err
	}
	if u := a.clusters.Load().byName[e.Cluster]; u != nil {
		e.Backends = a.candidates(u)
		if e.isKeyed() {
			e.Forward.Backend = a.keyed(u, e.Forward.HashKey)
		}
	}
	e.conclude()
	return &e.Explanation, nil
}

// candidates are the backends of a cluster as they are now.
func (a *App) candidates(u *upstream) []admin.Candidate {
	known, now := a.health(), time.Now()
	var all []admin.Candidate
	for _, b := range u.Backends() {
		c := admin.Candidate{
			Address: b.Name(), Resolved: resolved(b.Name(), b.Address()), Weight: u.weightOf(b), State: b.State().String(), InFlight: b.Counters().InFlight.Load(),
			Usable: b.State() != cluster.Down, Why: backendHealth(b, known[keyOf(b)], now).Why,
		}
		c.Skip = skipped(b, u)
		all = append(all, c)
	}
	return all
}

// resolved is the address of a backend that is configured by name: the name may have
// several.
func resolved(name, address string) string {
	if name == address {
		return ""
	}
	return address
}

// weightOf is the configured weight of a backend.
func (u *upstream) weightOf(b *cluster.Backend) int {
	for _, c := range u.config.Backends {
		if c.Address() == b.Name() {
			return c.Weight
		}
	}
	return 1
}

// skipped is why a backend is passed over; empty: it takes its turn.
func skipped(b *cluster.Backend, u *upstream) string {
	switch b.State() {
	case cluster.Down:
		if u.Usable() == 0 && u.config.OnAllDown == config.OnAllDownTry {
			return "" // all are, and on_all_down says try
		}
		return "it is down"
	case cluster.Suspect:
		return "it is suspect: asked when no other is left, or when most are suspect"
	case cluster.Draining:
		return "it drains: asked when no other is left"
	case cluster.Trial:
		return "it is on trial: one request at a time"
	case cluster.Up:
	}
	if most := int64(u.Policy().MaxInFlight); most > 0 && b.Counters().InFlight.Load() >= most {
		return fmt.Sprintf("it is full: %d requests (max_in_flight)", most)
	}
	return ""
}

// keyed is the backend that a key picks now. Its place there is given back.
func (a *App) keyed(u *upstream, key string) string {
	b := u.PickKeyed(cluster.KeyOf(key), nil)
	if b == nil {
		return ""
	}
	b.Leave()
	return b.Name()
}

// Recall implements admin.Sidecar.
func (a *App) Recall(id string) (*admin.Explanation, error) {
	now := a.active.Load()
	if now.config.Script.Record == 0 {
		return nil, errors.New("nothing is recorded: script.record is 0")
	}
	e := &explaining{config: now.config, Explanation: admin.Explanation{
		Asked: "the record of the sidecar " + now.config.Name, ID: id, Outcome: scripting.OK.String(),
	}}
	passed, known := a.accounts.Load().trail.find(id)
	decided := e.recallDecision(now.route.script, id)
	if !known && !decided {
		return nil, fmt.Errorf("nothing is recorded of the request %q: the last %d are kept (script.record)", id, now.config.Script.Record)
	}
	if known {
		e.recallExchange(&passed)
	}
	if u := a.clusters.Load().byName[e.Cluster]; u != nil {
		e.Backends = a.candidatesAt(u, e.At)
	}
	return &e.Explanation, nil
}

// recallDecision tells what the script has decided, if that is recorded.
func (e *explaining) recallDecision(script *scriptRouter, id string) bool {
	if script == nil {
		return false
	}
	entry, ok := script.versions.Decision(id)
	if !ok {
		return false
	}
	d := entry.Decision
	e.At, e.Version, e.Outcome, e.Cluster, e.Rule, e.Error = entry.At, entry.Version, d.Outcome, d.Cluster, d.Rule, d.Error
	e.Script, e.Place = script.versions.Status().File, script.versions.PlaceOf(&entry)
	if d.Status != 0 {
		e.Respond = &admin.Answer{Status: d.Status}
	}
	e.read(&entry)
	return true
}

// recallExchange tells what became of the request.
func (e *explaining) recallExchange(p *passed) {
	if e.At.IsZero() {
		e.At = p.at
	}
	e.Request = p.request
	if e.Cluster == "" && e.Respond == nil {
		e.Cluster = p.cluster
	}
	e.Exchange = &admin.Exchange{
		Status: p.status, Backend: p.backend, End: p.end, Took: millis(p.took), Attempts: p.attempts, Trace: p.trace,
		Route: millis(p.route), Connect: millis(p.connect), FirstByte: millis(p.firstByte),
	}
	if p.fault != nil {
		e.Exchange.Detail = p.fault.Error()
	}
	switch {
	case p.status == 0:
		e.Then = "the client was answered nothing"
	case p.backend == "":
		e.Then = fmt.Sprintf("answered here: %d %s", p.status, http.StatusText(p.status))
	default:
		e.Then = fmt.Sprintf("answered by %s: %d %s", p.backend, p.status, http.StatusText(p.status))
		if p.fault != nil {
			e.Then = fmt.Sprintf("answered here, for %s: %d %s", p.backend, p.status, http.StatusText(p.status))
		}
	}
}

// millis is a time in milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// candidatesAt are the backends of a cluster as they were at a time.
func (a *App) candidatesAt(u *upstream, at time.Time) []admin.Candidate {
	var all []admin.Candidate
	for _, b := range u.Backends() {
		state, why := a.chronicle.at(keyOf(b), b.State().String(), at)
		all = append(all, admin.Candidate{
			Address: b.Name(), Resolved: resolved(b.Name(), b.Address()), Weight: u.weightOf(b), State: state, Usable: state != cluster.Down.String(), Why: why,
		})
	}
	return all
}
