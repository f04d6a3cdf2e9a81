package app

import (
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/config"
	"outrider/sidecar/proxy"
	"outrider/sidecar/telemetry"
)

// accounts are those who are told of each exchange. A reload replaces them whole.
type accounts struct {
	metrics  *telemetry.Metrics   // nil: nobody can ask for them
	access   *telemetry.AccessLog // nil: off
	trail    *trail               // nil: nothing is recorded
	told     func(*proxy.Summary) // nil: nobody else
	traces   bool
	requests func(*proxy.Summary) // nil: the log does not write each of them
}

// newAccounts makes those of a configuration, and goes on with what there is of before.
func (a *App) newAccounts(c *config.Config, access *telemetry.AccessLog, before *accounts) *accounts {
	to := &accounts{access: access, told: a.options.OnDone, requests: logRequests(a.options.Requests), traces: a.options.Tracer != nil}
	to.trail = before.trail.resized(c.Script.Record)
	if c.Status.Listen == "" && c.Admin.Listen == "" {
		return to
	}
	if to.metrics = before.metrics; to.metrics == nil {
		to.metrics = telemetry.NewMetrics(a.state)
	}
	return to
}

// newAccessLog makes the access log of a configuration; nil: it is off.
func (a *App) newAccessLog(c *config.Config) *telemetry.AccessLog {
	if c.Log.Access.Mode == config.AccessOff {
		return nil
	}
	return telemetry.NewAccessLog(a.accessOptions(c))
}

func (a *App) accessOptions(c *config.Config) telemetry.AccessOptions {
	access := c.Log.Access
	return telemetry.AccessOptions{
		All: access.Mode == config.AccessAll, Sample: access.Sample, File: access.File,
		Stdout: a.options.Stdout, Text: a.accessAsText(c.Log), Log: a.log,
	}
}

func (a *App) accessAsText(l config.Log) bool {
	toTerminal := l.Access.File == config.AccessStdout && a.options.StdoutIsTerminal
	return l.Format == config.LogText || l.Format == config.LogAuto && toTerminal
}

func (a *App) openAccessLog() error {
	if a.accessLog == nil {
		return nil
	}
	return a.accessLog.Open()
}

func (a *App) runAccessLog(l *telemetry.AccessLog) {
	ctx := a.ctx
	a.tasks.Go(func() { l.Run(ctx) })
}

func (a *App) closeAccessLog() {
	if a.accessLog != nil {
		a.accessLog.Close()
	}
}

// ReopenLogs opens the file of the access log anew: who rotates it has moved it away.
// On an error the log stays where it is.
func (a *App) ReopenLogs() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.ctx == nil || a.accessLog == nil {
		return nil
	}
	err := a.accessLog.Reopen()
	if err != nil {
		a.log.WithError(err).Error("the access log stays where it is")
		return err
	}
	a.log.WithField("file", a.active.Load().config.Log.Access.File).Info("the access log was opened anew")
	return nil
}

// follow tells which clusters there are.
func (to *accounts) follow(clusters []string) {
	if to.metrics != nil {
		to.metrics.SetClusters(clusters)
	}
}

// done is told of each exchange. It is nil when nobody wants to know, and then
// nothing is measured.
func (to *accounts) done() func(*proxy.Summary) {
	switch {
	case to.metrics != nil || to.access != nil || to.trail != nil || to.traces || to.told != nil && to.requests != nil:
		return to.account
	case to.requests != nil:
		return to.requests
	}
	return to.told
}

// steps tells whether somebody wants to know how long each step took.
func (to *accounts) steps() bool { return to.access != nil || to.traces }

// begin is when a decision of the script begins, where somebody wants to know how
// long it takes.
func (to *accounts) begin() (at time.Time) {
	if to.metrics != nil {
		at = time.Now()
	}
	return at
}

// routed counts a decision of the script.
func (to *accounts) routed(began time.Time) {
	if to.metrics != nil {
		to.metrics.CountRouting(time.Since(began))
	}
}

func (to *accounts) account(s *proxy.Summary) {
	e := telemetry.Exchange{
		Status: s.Status, Total: s.Duration, Received: s.Received, Sent: s.Sent, End: s.End(), Rule: s.Rule,
	}
	if s.Cluster != nil {
		e.Cluster = s.Cluster.Name()
	}
	if s.Fault != nil {
		e.Error = s.Fault.Type
	}
	if to.metrics != nil {
		to.metrics.Count(&e)
	}
	if to.access != nil && to.access.Wants(&e) {
		describe(&e, s)
		to.access.Write(&e)
	}
	if to.trail != nil {
		to.trail.add(s)
	}
	if to.traces {
		endSpan(s)
	}
	if to.told != nil {
		to.told(s)
	}
	if to.requests != nil {
		to.requests(s)
	}
}

// describe fills in what only the access log wants to know.
func describe(e *telemetry.Exchange, s *proxy.Summary) {
	e.Client, e.Protocol, e.Method, e.Host, e.Path = s.Client(), s.Protocol(), s.Method(), s.Host(), s.Path()
	e.Query, e.HasQuery = s.Query()
	e.ID, e.Trace = s.ID(), s.TraceParent()
	e.Version, e.Outcome = s.Version, s.Outcome
	e.Route, e.Connect, e.FirstByte = s.Route, s.Connect, s.FirstByte
	if s.Backend != nil {
		e.Backend, e.Attempts = s.Backend.Address(), s.Retries+1
	}
	if s.Fault != nil {
		e.Detail = s.Fault.Error()
	}
}

// state is what the metrics tell beside the requests.
func (a *App) state() telemetry.State {
	now, counts := a.active.Load(), a.proxy.Counts()
	s := telemetry.State{
		Version: a.options.Version,
		Clients: a.proxy.Clients(), Active: a.proxy.Active(),
		Accepted: counts.Accepted, Refused: counts.Refused, Evicted: counts.Evicted, Panics: counts.Panics,
		Unencrypted: counts.Unencrypted, Unintroduced: counts.Unintroduced, Certificates: a.certificates(),
		Retries: make(map[string]uint64), Decisions: a.decisions.all(now.route.script != nil),
		ReloadOK: now.whyNot() == nil, Backends: a.backendStates(),
		Exhausted: make(map[string]uint64),
	}
	for name, u := range a.clusters.Load().byName {
		s.Exhausted[name] = u.RetriesRefused()
	}
	for _, r := range counts.Retries {
		s.Retries[r.Reason] = r.Count
	}
	if script := now.route.script; script != nil {
		now := script.versions.Status()
		s.Script, s.LoadOK, s.Rollbacks = now.Version, now.Fault == nil, now.Rollbacks
		s.Shadow = shadowCounts(script.versions.ShadowCounts())
	}
	if a.peers != nil {
		s.Peers = a.peers.counts()
	}
	if access := a.accounts.Load().access; access != nil {
		s.Access = access.Counts()
	}
	return s
}

func (a *App) backendStates() []telemetry.Backend {
	var all []telemetry.Backend
	known := a.health()
	cs := a.clusters.Load()
	for _, name := range cs.names {
		for _, b := range cs.byName[name].Backends() {
			n, seen := b.Counters(), known[keyOf(b)]
			all = append(all, telemetry.Backend{
				Cluster: name, Address: b.Address(), State: b.State().String(), Checks: !seen.Streak.Down, Passive: seen.Until.IsZero(),
				Tries: n.Requests.Load(), Failures: n.Failures.Load(), Retried: n.Retried.Load(), InFlight: n.InFlight.Load(),
			})
		}
	}
	return all
}

// logRequests writes a line for each request at debug level: above all, which
// backend was chosen. It is nil, and costs nothing, when log does not write
// those.
func logRequests(log *logrus.Logger) func(*proxy.Summary) {
	if log == nil || !log.IsLevelEnabled(logrus.DebugLevel) {
		return nil
	}
	return func(s *proxy.Summary) {
		fields := logrus.Fields{
			"client": s.Request.IP(), "method": s.Request.Method(), "path": s.Request.Path(),
			"status": s.Status, "ms": float64(s.Duration.Microseconds()) / 1000,
		}
		if s.Cluster != nil {
			fields["cluster"] = s.Cluster.Name()
		}
		if s.Backend != nil {
			fields["backend"] = s.Backend.String()
		}
		if s.Retries > 0 {
			fields["retries"] = s.Retries
		}
		if s.Outcome != "" {
			fields["outcome"] = s.Outcome
		}
		if s.Fault != nil {
			fields["cause"] = s.Fault.Error()
		}
		log.WithFields(fields).Debug("request")
	}
}
