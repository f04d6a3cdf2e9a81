package telemetry

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is what there is at the moment, and what was counted elsewhere.
type State struct {
	Version string // of the program

	Clients  int // connections
	Active   int // exchanges and tunnels
	Accepted uint64
	Refused  uint64
	Evicted  uint64
	Panics   uint64
	// Unencrypted are client connections that ended in the TLS handshake.
	Unencrypted uint64
	// Unintroduced are client connections that were refused for want of a PROXY protocol
	// header, or because they may not bring one.
	Unintroduced uint64

	Retries   map[string]uint64 // by reason
	Exhausted map[string]uint64 // further tries that the retry budget refused, by cluster
	Decisions map[string]uint64 // of scripts, by outcome
	Shadow    map[string]uint64 // requests on which a shadow was asked, by what came of it; nil: none was
	Script    string            // version of the script in force; empty: the built-in rule
	LoadOK    bool              // the last version that the script's files held became active; means nothing without a script
	Rollbacks uint64            // versions of the script that were taken back
	ReloadOK  bool              // the last reload became active

	Certificates []Certificate // that we prove ourselves by

	Backends []Backend
	Access   *AccessCounts // nil: there is no access log
	Peers    *Peers        // nil: there is no gossip
}

// Certificate is one that the sidecar proves itself by.
type Certificate struct {
	Of       string // "listener" or "cluster"
	Name     string // which
	File     string // as it can be opened
	NotAfter time.Time
}

// Backend is one backend of a cluster.
type Backend struct {
	Cluster string
	Address string
	State   string // one of States
	Checks  bool   // to our own checks, and to requests that could not reach it, it is healthy
	Passive bool   // requests alone have not taken it out

	Tries    uint64 // requests sent to it, retries included
	Failures uint64 // whose client saw an error because of it
	Retried  uint64 // failed here, then given to another try
	InFlight int64
}

// States are what is thought of a backend.
func states() []string { return []string{"up", "suspect", "down", "trial", "draining"} }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("outrider_"+name, help, labels, nil)
}

// descriptions are the metrics; README.md has them all.
//
//nolint:gochecknoglobals // immutable
var (
	requests = describe("requests_total",
		"Requests by cluster and status code that the client was answered; code 0: the client was gone, cluster \"\": none was chosen.", "cluster", "code")
	durations = describe("request_duration_seconds",
		"Time from the first byte of a request to the end of its response.", "cluster")
	received    = describe("request_bytes_total", "Bytes of heads and bodies received from clients.", "cluster")
	sent        = describe("response_bytes_total", "Bytes of heads and bodies sent to clients.", "cluster")
	interrupted = describe("requests_interrupted_total",
		"Requests that did not come to their proper end, by who ended them in which phase, as the access log has it.", "end")

	active   = describe("requests_active", "Requests and tunnels under way.")
	clients  = describe("client_connections", "Client connections that are open.")
	accepted = describe("client_connections_accepted_total", "Client connections that were accepted.")
	refused  = describe("client_connections_refused_total", "Client connections that were one too many (limits.connections).")
	evicted  = describe("client_connections_evicted_total", "Client connections without a whole request that were closed to make room for others.")
	panics   = describe("panics_total", "Panics that ended one connection each.")

	unencrypted  = describe("tls_handshake_failures_total", "Client connections that ended in the TLS handshake.")
	unintroduced = describe("proxy_protocol_refused_total", "Client connections that were refused: without a good PROXY protocol header, or from a client that is not trusted.")
	notAfter     = describe("tls_not_after_seconds", "When a certificate expires that the sidecar proves itself by, in seconds since 1970.", "of", "name", "file")

	tries    = describe("upstream_tries_total", "Requests sent to the backend, retries included.", "cluster", "backend")
	failures = describe("upstream_failures_total", "Requests whose client saw an error because of the backend.", "cluster", "backend")
	retried  = describe("upstream_retried_total", "Tries that failed on the backend and were followed by another.", "cluster", "backend")
	inFlight = describe("upstream_in_flight", "Requests sent to the backend that are not finished.", "cluster", "backend")
	retries  = describe("retries_total", "Further tries by what went wrong with the one before.", "reason")

	exhausted = describe("retry_budget_exhausted_total",
		"Failures that got no further try because the cluster's retry budget was used up.", "cluster")

	healthy = describe("backend_healthy",
		"Whether the backend is healthy (1) or not (0): to our own checks and requests that could not reach it, to passive ejection, and by the verdict that decides on its use.", "cluster", "backend", "source")
	backends = describe("cluster_backends", "Backends of the cluster by the verdict on them.", "cluster", "state")

	decisions    = describe("script_decisions_total", "Decisions of routing scripts by outcome.", "outcome")
	shadowed     = describe("shadow_decisions_total", "Requests on which a shadow script was asked, by what came of it; dropped: it was busy.", "result")
	rules        = describe("rule_requests_total", "Requests by the rule of the script that decided on them; beyond 64 rules: other.", "rule")
	scriptInfo   = describe("script_info", "The routing script in force.", "version")
	routing      = describe("script_duration_seconds", "Time that the script took for a decision, with the wait for a runtime.")
	loadOK       = describe("script_last_load_successful", "Whether the last version that the script's files held became active and is (1), or was refused or taken back (0).")
	rollbacks    = describe("script_rollbacks_total", "Versions of the script that were taken back, by themselves or by hand.")
	reloadOK     = describe("config_last_reload_successful", "Whether the last reload became active (1) or was refused (0).")
	buildInfo    = describe("build_info", "What this is.", "version", "goversion")
	accessLines  = describe("access_log_lines_total", "Lines of the access log that were written.")
	accessMissed = describe("access_log_lines_lost_total", "Lines of the access log that were lost, by why.", "reason")
)

// Describe implements prometheus.Collector.
func (*Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		requests, durations, received, sent, interrupted, active, clients, accepted, refused, evicted, panics, unencrypted, unintroduced, notAfter, tries, failures, retried,
		inFlight, retries, exhausted, healthy, backends, decisions, shadowed, rules, scriptInfo,
		routing, loadOK, rollbacks, reloadOK, buildInfo, accessLines, accessMissed,
		members, scripts, rejected, onlyTCP, downHeard,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	c := collection{to}
	names, all := m.names()
	for _, name := range names {
		c.cluster(m.scale, name, all[name])
	}
	for end, n := range m.interrupted.Range {
		c.count(interrupted, n.(*atomic.Uint64).Load(), end.(string))
	}
	for rule, n := range m.rules.Range {
		c.count(rules, n.(*atomic.Uint64).Load(), rule.(string))
	}
	s := m.state()
	c.process(&s)
	if s.Script != "" {
		c.to <- m.routing.metric(m.scale, routing)
	}
	c.backends(names, s.Backends)
	c.control(&s)
	if s.Access != nil {
		c.count(accessLines, s.Access.Written.Load())
		c.count(accessMissed, s.Access.Dropped.Load(), "too_fast")
		c.count(accessMissed, s.Access.Failed.Load(), "write_failed")
	}
	if s.Peers != nil {
		c.peers(s.Peers)
	}
}

// collection takes metrics to where they are collected.
type collection struct{ to chan<- prometheus.Metric }

func (c collection) count(d *prometheus.Desc, n uint64, labels ...string) {
	c.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (c collection) gauge(d *prometheus.Desc, n float64, labels ...string) {
	c.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
}

func (c collection) yes(d *prometheus.Desc, is bool, labels ...string) {
	n := 0.0
	if is {
		n = 1
	}
	c.gauge(d, n, labels...)
}

func (c collection) cluster(scale *scale, name string, s *series) {
	for i := range s.codes {
		if n := s.codes[i].Load(); n > 0 {
			c.count(requests, n, name, codeLabel(i))
		}
	}
	c.to <- s.durations.metric(scale, durations, name)
	c.count(received, s.received.Load(), name)
	c.count(sent, s.sent.Load(), name)
}

func (c collection) process(s *State) {
	c.gauge(active, float64(s.Active))
	c.gauge(clients, float64(s.Clients))
	c.count(accepted, s.Accepted)
	c.count(refused, s.Refused)
	c.count(evicted, s.Evicted)
	c.count(panics, s.Panics)
	c.count(unencrypted, s.Unencrypted)
	c.count(unintroduced, s.Unintroduced)
	for _, cert := range s.Certificates {
		c.gauge(notAfter, float64(cert.NotAfter.Unix()), cert.Of, cert.Name, cert.File)
	}
	for reason, n := range s.Retries {
		c.count(retries, n, reason)
	}
	c.gauge(buildInfo, 1, s.Version, runtime.Version())
}

func (c collection) backends(clusters []string, all []Backend) {
	having := make(map[[2]string]int)
	for _, b := range all {
		having[[2]string{b.Cluster, b.State}]++
		c.count(tries, b.Tries, b.Cluster, b.Address)
		c.count(failures, b.Failures, b.Cluster, b.Address)
		c.count(retried, b.Retried, b.Cluster, b.Address)
		c.gauge(inFlight, float64(b.InFlight), b.Cluster, b.Address)
		c.yes(healthy, b.Checks, b.Cluster, b.Address, "check")
		c.yes(healthy, b.Passive, b.Cluster, b.Address, "passive")
		c.yes(healthy, b.State != "down", b.Cluster, b.Address, "verdict")
	}
	for _, name := range clusters {
		if name == "" {
			continue
		}
		for _, state := range states() {
			c.gauge(backends, float64(having[[2]string{name, state}]), name, state)
		}
	}
}

func (c collection) control(s *State) {
	for cluster, n := range s.Exhausted {
		c.count(exhausted, n, cluster)
	}
	for outcome, n := range s.Decisions {
		c.count(decisions, n, outcome)
	}
	for result, n := range s.Shadow {
		c.count(shadowed, n, result)
	}
	if s.Script != "" {
		c.gauge(scriptInfo, 1, s.Script)
		c.yes(loadOK, s.LoadOK)
		c.count(rollbacks, s.Rollbacks)
	}
	c.yes(reloadOK, s.ReloadOK)
}
