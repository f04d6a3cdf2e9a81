package telemetry

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

func someState() State {
	return State{
		Version: "1.2.3", Clients: 4, Active: 2, Accepted: 10, Refused: 1, Evicted: 2, Panics: 0, Script: "ab12", LoadOK: true, Rollbacks: 6, ReloadOK: true,
		Retries: map[string]uint64{"connect": 3}, Decisions: map[string]uint64{"ok": 7}, Access: new(AccessCounts), Exhausted: map[string]uint64{"one": 3, "two": 0},
		Peers: &Peers{Serving: 2, Draining: 1, Scripts: 2, Rejected: map[string]uint64{"forged": 3}, OnlyTCP: 4, Claims: 5},
		Backends: []Backend{
			{Cluster: "one", Address: "10.0.0.7:80", State: "up", Checks: true, Passive: true, Tries: 5, Failures: 1, Retried: 2, InFlight: 1},
			{Cluster: "one", Address: "10.0.0.8:80", State: "down"},
			{Cluster: "one", Address: "10.0.0.9:80", State: "trial", Checks: true, Passive: true},
		},
	}
}

func newTestMetrics() *Metrics {
	m := NewMetrics(someState)
	m.SetClusters([]string{"one", "two"})
	return m
}

func TestPrometheusHasNothingToComplainAbout(t *testing.T) {
	m := newTestMetrics()
	m.Count(&Exchange{Cluster: "one", Status: 200, End: Done, Total: time.Millisecond})
	m.Count(&Exchange{End: "client/request"})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("problems %v (%v)", problems, err)
	}
}

func TestExchangesAreCountedByClusterAndCode(t *testing.T) {
	m := newTestMetrics()
	for status, n := range map[int]int{200: 3, 404: 2, 503: 1, 0: 1, 99: 1, 600: 1, 100: 1, 599: 1} {
		for range n {
			m.Count(&Exchange{Cluster: "one", Status: status, End: Done, Total: time.Millisecond, Received: 10, Sent: 100})
		}
	}
	m.Count(&Exchange{Status: 400, End: "client/request"})
	m.Count(&Exchange{Cluster: "gone", Status: 200, End: "client/answer"})
	m.Count(&Exchange{Cluster: "gone", Status: 200, End: "client/answer"})
	expectMetrics(t, m, `
		# HELP outrider_requests_total Requests by cluster and status code that the client was answered; code 0: the client was gone, cluster "": none was chosen.
		# TYPE outrider_requests_total counter
		outrider_requests_total{cluster="",code="200"} 2
		outrider_requests_total{cluster="",code="400"} 1
		outrider_requests_total{cluster="one",code="0"} 3
		outrider_requests_total{cluster="one",code="100"} 1
		outrider_requests_total{cluster="one",code="200"} 3
		outrider_requests_total{cluster="one",code="404"} 2
		outrider_requests_total{cluster="one",code="503"} 1
		outrider_requests_total{cluster="one",code="599"} 1
		# HELP outrider_requests_interrupted_total Requests that did not come to their proper end, by who ended them in which phase, as the access log has it.
		# TYPE outrider_requests_interrupted_total counter
		outrider_requests_interrupted_total{end="client/answer"} 2
		outrider_requests_interrupted_total{end="client/request"} 1
		# HELP outrider_response_bytes_total Bytes of heads and bodies sent to clients.
		# TYPE outrider_response_bytes_total counter
		outrider_response_bytes_total{cluster=""} 0
		outrider_response_bytes_total{cluster="one"} 1100
		outrider_response_bytes_total{cluster="two"} 0
	`, "outrider_requests_total", "outrider_requests_interrupted_total", "outrider_response_bytes_total")
}

func TestPeersAreCounted(t *testing.T) {
	expectMetrics(t, newTestMetrics(), `
		# HELP outrider_gossip_members Peers that are alive, by whether they ask for new requests.
		# TYPE outrider_gossip_members gauge
		outrider_gossip_members{state="draining"} 1
		outrider_gossip_members{state="serving"} 2
		# HELP outrider_gossip_rejected_total Messages and claims from the network that were not taken, by reason.
		# TYPE outrider_gossip_rejected_total counter
		outrider_gossip_rejected_total{reason="forged"} 3
		# HELP outrider_gossip_script_versions Different versions of the routing script among this sidecar and its peers.
		# TYPE outrider_gossip_script_versions gauge
		outrider_gossip_script_versions 2
		# HELP outrider_gossip_tcp_pings_total Pings of peers that UDP did not carry and TCP did: something on the way blocks UDP.
		# TYPE outrider_gossip_tcp_pings_total counter
		outrider_gossip_tcp_pings_total 4
		# HELP outrider_gossip_down_claims Claims of peers that a backend is down.
		# TYPE outrider_gossip_down_claims gauge
		outrider_gossip_down_claims 5
	`, "outrider_gossip_members", "outrider_gossip_rejected_total", "outrider_gossip_script_versions", "outrider_gossip_tcp_pings_total", "outrider_gossip_down_claims")
}

func TestTheStateIsToldAsItIs(t *testing.T) {
	expectMetrics(t, newTestMetrics(), `
		# HELP outrider_backend_healthy Whether the backend is healthy (1) or not (0): to our own checks and requests that could not reach it, to passive ejection, and by the verdict that decides on its use.
		# TYPE outrider_backend_healthy gauge
		outrider_backend_healthy{backend="10.0.0.7:80",cluster="one",source="check"} 1
		outrider_backend_healthy{backend="10.0.0.7:80",cluster="one",source="passive"} 1
		outrider_backend_healthy{backend="10.0.0.7:80",cluster="one",source="verdict"} 1
		outrider_backend_healthy{backend="10.0.0.8:80",cluster="one",source="check"} 0
		outrider_backend_healthy{backend="10.0.0.8:80",cluster="one",source="passive"} 0
		outrider_backend_healthy{backend="10.0.0.8:80",cluster="one",source="verdict"} 0
		outrider_backend_healthy{backend="10.0.0.9:80",cluster="one",source="check"} 1
		outrider_backend_healthy{backend="10.0.0.9:80",cluster="one",source="passive"} 1
		outrider_backend_healthy{backend="10.0.0.9:80",cluster="one",source="verdict"} 1
		# HELP outrider_cluster_backends Backends of the cluster by the verdict on them.
		# TYPE outrider_cluster_backends gauge
		outrider_cluster_backends{cluster="one",state="down"} 1
		outrider_cluster_backends{cluster="one",state="draining"} 0
		outrider_cluster_backends{cluster="one",state="suspect"} 0
		outrider_cluster_backends{cluster="one",state="trial"} 1
		outrider_cluster_backends{cluster="one",state="up"} 1
		outrider_cluster_backends{cluster="two",state="down"} 0
		outrider_cluster_backends{cluster="two",state="draining"} 0
		outrider_cluster_backends{cluster="two",state="suspect"} 0
		outrider_cluster_backends{cluster="two",state="trial"} 0
		outrider_cluster_backends{cluster="two",state="up"} 0
		# HELP outrider_retry_budget_exhausted_total Failures that got no further try because the cluster's retry budget was used up.
		# TYPE outrider_retry_budget_exhausted_total counter
		outrider_retry_budget_exhausted_total{cluster="one"} 3
		outrider_retry_budget_exhausted_total{cluster="two"} 0
		# HELP outrider_script_info The routing script in force.
		# TYPE outrider_script_info gauge
		outrider_script_info{version="ab12"} 1
	`, "outrider_backend_healthy", "outrider_cluster_backends", "outrider_retry_budget_exhausted_total", "outrider_script_info")
}

func expectMetrics(t *testing.T, m *Metrics, want string, names ...string) {
	t.Helper()
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestAClusterThatStaysKeepsItsCountsAndOneThatLeavesIsForgotten(t *testing.T) {
	m := newTestMetrics()
	for _, name := range []string{"one", "two"} {
		m.Count(&Exchange{Cluster: name, Status: 200, End: Done})
	}
	m.SetClusters([]string{"two", "three"})
	expectMetrics(t, m, `
		# HELP outrider_requests_total Requests by cluster and status code that the client was answered; code 0: the client was gone, cluster "": none was chosen.
		# TYPE outrider_requests_total counter
		outrider_requests_total{cluster="two",code="200"} 1
	`, "outrider_requests_total")
}

// Every duration lies in its bucket, of both kinds of histogram.
func TestDurationsAreCountedWithinTheirBounds(t *testing.T) {
	s := newScale()
	some := []time.Duration{-1, 0, 1, 500 * time.Microsecond, 500*time.Microsecond + 1, time.Second, time.Second + 1, time.Minute, 24 * time.Hour}
	for range 2000 {
		some = append(some, time.Duration(rand.Int64N(1<<(10+rand.IntN(35)))))
	}
	for _, d := range some {
		i := s.bucket(d)
		if i < len(s.upper) && int64(d) > s.upper[i] || i > 0 && int64(d) <= s.upper[i-1] {
			t.Fatalf("%v is counted in bucket %d of %d", d, i, len(s.upper))
		}
		h := histogram{counts: make([]atomic.Uint64, len(s.upper)+1)}
		h.observe(s, d)
		var out dto.Metric
		if err := h.metric(s, durations, "one").Write(&out); err != nil {
			t.Fatal(err)
		}
		expectClassic(t, d, out.Histogram)
		expectNative(t, d, out.Histogram)
	}
}

func expectClassic(t *testing.T, d time.Duration, h *dto.Histogram) {
	t.Helper()
	if h.GetSampleCount() != 1 || len(h.Bucket) != len(classicBounds()) {
		t.Fatalf("%v: %d observations in %d buckets", d, h.GetSampleCount(), len(h.Bucket))
	}
	for _, b := range h.Bucket {
		if inside := d.Seconds() <= b.GetUpperBound(); inside != (b.GetCumulativeCount() == 1) {
			t.Fatalf("%v is inside le=%v: %v, but that counts %d", d, b.GetUpperBound(), inside, b.GetCumulativeCount())
		}
	}
}

func expectNative(t *testing.T, d time.Duration, h *dto.Histogram) {
	t.Helper()
	if len(h.PositiveSpan) != 1 || h.PositiveSpan[0].GetLength() != 1 || h.GetSchema() != nativeSchema {
		t.Fatalf("%v: native buckets %v", d, h.PositiveSpan)
	}
	i := int(h.PositiveSpan[0].GetOffset())
	lowest, highest := firstOctave*perOctave, lastOctave*perOctave+1
	if i > lowest && nanos(nativeBound(i-1)) >= int64(d) || i < highest && nanos(nativeBound(i)) < int64(d) {
		t.Fatalf("%v is in native bucket %d, up to %v s", d, i, nativeBound(i))
	}
}

func TestScrapesAndCountsGoTogether(t *testing.T) {
	m := newTestMetrics()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	const counters, each = 3, 2000
	var tasks sync.WaitGroup
	for range counters {
		tasks.Go(func() {
			for range each {
				m.Count(&Exchange{Cluster: "two", Status: 200, End: Done, Total: time.Millisecond})
			}
		})
	}
	for range 3 {
		tasks.Go(func() {
			for range 5 {
				if page := scrape(t, server.URL, ""); !strings.Contains(page, `outrider_build_info{`) {
					t.Errorf("a scrape brought %.200s", page)
				}
				m.SetClusters([]string{"one", "two"})
			}
		})
	}
	tasks.Wait()
	for _, want := range []string{
		`outrider_requests_total{cluster="two",code="200"} 6000`, `outrider_request_duration_seconds_count{cluster="two"} 6000`,
		`outrider_request_duration_seconds_bucket{cluster="two",le="0.0005"} 0`, `outrider_request_duration_seconds_bucket{cluster="two",le="0.001"} 6000`,
		"go_goroutines", "process_open_fds",
	} {
		if page := scrape(t, server.URL, ""); !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func scrape(t *testing.T, url, accept string) string {
	req, _ := http.NewRequest(http.MethodGet, url, http.NoBody)
	req.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("a scrape is answered %s (%v)", response.Status, err)
	}
	return string(page)
}

func TestCountingAllocatesNothing(t *testing.T) {
	m, e := newTestMetrics(), &Exchange{Cluster: "one", Status: 200, End: Done, Total: time.Millisecond}
	if n := testing.AllocsPerRun(1000, func() { m.Count(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCount(b *testing.B) {
	m, e := newTestMetrics(), &Exchange{Cluster: "one", Status: 200, End: Done, Total: 300 * time.Microsecond, Received: 100, Sent: 200}
	b.ReportAllocs()
	for b.Loop() {
		m.Count(e)
	}
}

func BenchmarkCountByAllCores(b *testing.B) {
	m, e := newTestMetrics(), &Exchange{Cluster: "one", Status: 200, End: Done, Total: 300 * time.Microsecond, Received: 100, Sent: 200}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Count(e)
		}
	})
}

func TestRulesAreCountedUpToABound(t *testing.T) {
	m := newTestMetrics()
	for i := range 100 {
		for range 2 {
			m.Count(&Exchange{Cluster: "one", Status: 200, End: Done, Rule: fmt.Sprint("rule ", i)})
		}
	}
	all := make(map[string]uint64)
	for rule, n := range m.rules.Range {
		all[rule.(string)] = n.(*atomic.Uint64).Load()
	}
	if len(all) != maxRules+1 || all["rule 0"] != 2 || all["rule 63"] != 2 || all[otherRule] != 2*(100-maxRules) {
		t.Errorf("%v", all)
	}
}

func TestTheScriptIsTimedAndItsFaultsAreTold(t *testing.T) {
	m := newTestMetrics()
	m.CountRouting(300 * time.Microsecond)
	m.CountRouting(100 * time.Millisecond)
	expectMetrics(t, m, `
		# HELP outrider_script_last_load_successful Whether the last version that the script's files held became active and is (1), or was refused or taken back (0).
		# TYPE outrider_script_last_load_successful gauge
		outrider_script_last_load_successful 1
		# HELP outrider_script_rollbacks_total Versions of the script that were taken back, by themselves or by hand.
		# TYPE outrider_script_rollbacks_total counter
		outrider_script_rollbacks_total 6
		`, "outrider_script_last_load_successful", "outrider_script_rollbacks_total")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "outrider_script_duration_seconds" {
			continue
		}
		h := family.Metric[0].Histogram
		if h.GetSampleCount() != 2 || h.GetSampleSum() < 0.1 || h.GetSampleSum() > 0.101 || h.GetSchema() != nativeSchema || len(h.GetBucket()) == 0 {
			t.Errorf("the histogram is %v", h)
		}
		return
	}
	t.Error("the script is not timed")
}
