package telemetry

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts exchanges, and tells Prometheus of them and of the State.
type Metrics struct {
	scale       *scale
	state       func() State
	clusters    atomic.Pointer[map[string]*series]
	elsewhere   series   // exchanges of no cluster that is configured
	interrupted sync.Map // what Exchange.End says -> *atomic.Uint64
	rules       sync.Map // what Exchange.Rule says -> *atomic.Uint64
	ruleCount   atomic.Int64
	routing     histogram // of the script

	changing sync.Mutex // one change of clusters at a time
}

// series are the counters of one cluster. They share no cache line with others.
type series struct {
	_         [cacheLine]byte
	codes     [firstCode + codes]atomic.Uint64 // by status, see codeIndex
	durations histogram
	received  atomic.Uint64 // bytes
	sent      atomic.Uint64
	_         [cacheLine]byte
}

// The codes that are told apart are those that a status line can have, and that
// none was sent.
const (
	noCode    = 0
	firstCode = 1
	codes     = 500
)

func codeIndex(status int) int {
	if status < 100 || status > 599 {
		return noCode
	}
	return status - 100 + firstCode
}

func codeLabel(index int) string {
	if index == noCode {
		return "0"
	}
	return strconv.Itoa(index - firstCode + 100)
}

// NewMetrics makes Metrics that ask for the state when they are scraped, from any
// goroutine.
func NewMetrics(state func() State) *Metrics {
	m := &Metrics{scale: newScale(), state: state}
	m.elsewhere.durations.counts = m.newCounts()
	m.routing.counts = m.newCounts()
	m.clusters.Store(new(map[string]*series))
	return m
}

func (m *Metrics) newCounts() []atomic.Uint64 { return make([]atomic.Uint64, len(m.scale.upper)+1) }

// SetClusters tells which clusters there are. The counts of those that are gone
// are forgotten, so that their number stays bounded.
func (m *Metrics) SetClusters(names []string) {
	m.changing.Lock()
	defer m.changing.Unlock()
	known := *m.clusters.Load()
	next := make(map[string]*series, len(names))
	for _, name := range names {
		s := known[name]
		if s == nil {
			s = &series{durations: histogram{counts: m.newCounts()}}
		}
		next[name] = s
	}
	m.clusters.Store(&next)
}

// Count counts an exchange that has ended.
func (m *Metrics) Count(e *Exchange) {
	s := (*m.clusters.Load())[e.Cluster]
	if s == nil {
		s = &m.elsewhere
	}
	s.codes[codeIndex(e.Status)].Add(1)
	s.durations.observe(m.scale, e.Total)
	s.received.Add(uint64(e.Received))
	s.sent.Add(uint64(e.Sent))
	if e.End != Done {
		m.interrupt(e.End)
	}
	if e.Rule != "" {
		m.rule(e.Rule)
	}
}

// CountRouting counts a decision of the script that took so long.
func (m *Metrics) CountRouting(took time.Duration) { m.routing.observe(m.scale, took) }

const (
	maxRules  = 64 // that are told apart: a script may make up any number
	otherRule = "other"
)

// rule counts what the script gave as the reason of its decision.
func (m *Metrics) rule(name string) {
	n, known := m.rules.Load(name)
	if !known {
		if m.ruleCount.Add(1) > maxRules {
			name = otherRule
		}
		n, _ = m.rules.LoadOrStore(name, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

func (m *Metrics) interrupt(end string) {
	n, ok := m.interrupted.Load(end)
	if !ok {
		n, _ = m.interrupted.LoadOrStore(end, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// maxScrapes is how many scrapes may run at a time; others are answered 503.
const maxScrapes = 8

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// names are the configured clusters in order, and the series of each.
func (m *Metrics) names() ([]string, map[string]*series) {
	all := maps.Clone(*m.clusters.Load())
	if all == nil {
		all = make(map[string]*series)
	}
	all[""] = &m.elsewhere
	return slices.Sorted(maps.Keys(all)), all
}
