//go:build integration

package compose_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"outrider/sidecar/admin"
)

// evidence is what sidecars say of a load: in their metrics, which have to agree with
// what the clients saw, and in their record of each request that failed or was tried
// again.
type evidence struct {
	s      *shop
	before map[string]metrics // by pair
}

// gather begins with the metrics of the sidecars of some pairs as they are before a
// load; of all, if none is named. They must not restart meanwhile.
func (s *shop) gather(of ...string) *evidence {
	s.t.Helper()
	if len(of) == 0 {
		of = pairs
	}
	e := &evidence{s: s, before: map[string]metrics{}}
	for _, pair := range of {
		m, err := s.metrics(pair)
		if err != nil {
			s.t.Fatal(err)
		}
		e.before[pair] = m
	}
	return e
}

// account is what came of a load, by the sidecars' own words.
type account struct {
	retries map[string]int // by reason, as counted
	causes  map[string]int // of the answers that failed, as recorded
}

// account expects metrics, record and clients to agree on a load that has ended.
func (e *evidence) account(answers record) account {
	t := e.s.t
	t.Helper()
	var counted metrics
	var differ []string
	soon(func() bool { // a request is counted when its end was sent, not when that has arrived
		counted = e.counted()
		differ = disagreements(counted, answers)
		return len(differ) == 0
	})
	for _, d := range differ {
		t.Errorf("metrics and clients disagree: %s", d)
	}
	a := account{retries: counted.by("outrider_retries_total", "reason"), causes: map[string]int{}}
	ends := map[string]int{}
	for _, one := range answers {
		switch {
		case one.failedHere():
			end := e.recall(one)
			ends[end]++
			a.causes[end+" "+one.errorType()]++
		case one.status >= http.StatusBadRequest:
			a.causes["the app's own "+strconv.Itoa(one.status)]++
		case one.tries() > 1:
			e.recall(one)
		}
	}
	if told := counted.by("outrider_requests_interrupted_total", "end"); !maps.Equal(told, ends) {
		t.Errorf("requests that were interrupted: the metrics tell %v, the record %v", told, ends)
	}
	return a
}

// expectRetries expects some for one of these reasons: without any the fault was none.
func (a account) expectRetries(t *testing.T, reasons ...string) {
	t.Helper()
	if !slices.ContainsFunc(reasons, func(reason string) bool { return a.retries[reason] > 0 }) {
		t.Errorf("no request was tried again for %v: %v", reasons, a.retries)
	}
}

// add puts what came of another load to it.
func (a *account) add(other account) {
	if a.retries == nil {
		a.retries, a.causes = map[string]int{}, map[string]int{}
	}
	for reason, n := range other.retries {
		a.retries[reason] += n
	}
	for cause, n := range other.causes {
		a.causes[cause] += n
	}
}

// counted is what the metrics have counted since the beginning. A backend that came or
// went meanwhile is not in it: it takes its counters along.
func (e *evidence) counted() metrics {
	e.s.t.Helper()
	all := metrics{}
	for pair, before := range e.before {
		now, err := e.s.metrics(pair)
		if err != nil {
			e.s.t.Fatal(err)
		}
		for series, n := range now {
			if _, known := before[series]; known || !strings.HasPrefix(series, "outrider_upstream_") {
				all[series] += n - before[series]
			}
		}
	}
	return all
}

// disagreements are in how many answers there were of each cluster and status, how
// many further tries and after what, and what each backend had of it.
func disagreements(counted metrics, answers record) (differ []string) {
	compare := func(what string, metrics, clients any) {
		if m, c := fmt.Sprint(metrics), fmt.Sprint(clients); m != c {
			differ = append(differ, fmt.Sprintf("%s: %s and %s", what, m, c))
		}
	}
	requests, codes := map[string]int{}, map[string]int{}
	for _, cluster := range []string{"", "one", "two"} {
		for code, n := range counted.by("outrider_requests_total", "code", `cluster="`+cluster+`"`) {
			requests[cluster+" "+code] = n
		}
	}
	connect := 0
	for _, a := range answers {
		if a.status == 0 {
			continue
		}
		codes[a.detail("cluster")+" "+strconv.Itoa(a.status)]++
		for i, failed := range a.failedTries() {
			if i < a.tries()-1 && strings.Contains(failed, ": no connection to a backend") {
				connect++
			}
		}
	}
	compare("requests", requests, codes)
	compare("retries after no connection", counted.sum("outrider_retries_total", `reason="connect"`), connect)
	compare("retries", counted.sum("outrider_retries_total"), answers.retries())
	theirs := answers.tallies()
	for series := range counted {
		if labels, ok := strings.CutPrefix(series, "outrider_upstream_tries_total"); ok {
			is := tally{int(counted[series]), int(counted["outrider_upstream_retried_total"+labels]), int(counted["outrider_upstream_failures_total"+labels])}
			compare("tries, retried and failures of "+labels, is, theirs[labels])
		}
	}
	return differ
}

// tally is what a backend had of a load.
type tally struct{ tries, retried, failures int }

// tallies are those of all backends, by their labels in the metrics.
func (r record) tallies() map[string]tally {
	all := map[string]tally{}
	for _, a := range r {
		failed := a.failedTries()
		for i := range a.tries() {
			address := a.detail("backend")
			if i < len(failed) {
				address, _, _ = strings.Cut(strings.Trim(failed[i], `"`), ": ")
			}
			labels := fmt.Sprintf(`{backend=%q,cluster=%q}`, address, a.detail("cluster"))
			t := all[labels]
			t.tries++
			switch {
			case i < a.tries()-1:
				t.retried++
			case i < len(failed):
				t.failures++
			}
			all[labels] = t
		}
	}
	return all
}

// recall expects the record of the sidecar that was asked to know an answer: its
// status, each try, and what went wrong. It is how the request ended.
func (e *evidence) recall(a answer) (end string) {
	t := e.s.t
	t.Helper()
	var is admin.Explanation
	if err := e.s.inquire(e.s.pairOf(a), "/explain?id="+url.QueryEscape(a.detail("id")), &is); err != nil {
		t.Errorf("%v; of %v", err, a)
		return ""
	}
	x := is.Exchange
	if x == nil {
		t.Errorf("the record tells nothing of what became of %v: %+v", a, is)
		return ""
	}
	unexplained := a.failedHere() && x.Detail == ""
	failed := slices.DeleteFunc(slices.Clone(x.Attempts), func(one admin.Attempt) bool { return one.Failure == "" })
	if x.Status != a.status || len(x.Attempts) != a.tries() || len(failed) != len(a.failedTries()) || unexplained {
		t.Errorf("the record says %+v of %v", *x, a)
	}
	return x.End
}

func (s *shop) pairOf(a answer) string {
	for _, pair := range pairs {
		if strings.HasPrefix(a.url, s.at(pair, "/")) {
			return pair
		}
	}
	s.t.Fatalf("no sidecar was asked for %s", a.url)
	return ""
}

// expectState expects sidecars to be of one mind on a backend: status, metrics, and the
// explanation of a request that could go there. Those of all pairs, if none is named.
func (s *shop) expectState(backend, state string, of ...string) {
	s.t.Helper()
	if len(of) == 0 {
		of = pairs
	}
	for _, pair := range of {
		said := ""
		if !soon(func() bool { said = s.objection(pair, backend, state); return said == "" }) {
			s.t.Errorf("sidecar-%s does not say everywhere that %s is %s: %s", pair, backend, state, said)
		}
	}
}

// skips begin why a backend is passed over, by its state.
var skips = map[string]string{"up": "", "down": "it is down", "draining": "it drains"}

// objection is what speaks against a state.
func (s *shop) objection(pair, backend, state string) string {
	v, err := s.see(pair)
	if err != nil {
		return err.Error()
	}
	m, err := s.metrics(pair)
	if err != nil {
		return err.Error()
	}
	for _, c := range v.Clusters {
		for _, b := range c.Backends {
			if b.Name != backend {
				continue
			}
			healthy := m[fmt.Sprintf(`outrider_backend_healthy{backend=%q,cluster=%q,source="verdict"}`, b.Address, c.Name)]
			if (healthy == 1) != (state != "down") || m[fmt.Sprintf(`outrider_cluster_backends{cluster=%q,state=%q}`, c.Name, state)] < 1 {
				return fmt.Sprintf("metrics: healthy %v, and %v", healthy, m.by("outrider_cluster_backends", "state", `cluster="`+c.Name+`"`))
			}
			if b.State != state {
				return "status: " + b.State
			}
			return s.misexplained(pair, c.Name, b.Name, state)
		}
	}
	return "there is no such backend"
}

// misexplained is what is wrong with the explanation of a request for a cluster.
func (s *shop) misexplained(pair, cluster, backend, state string) string {
	path := map[string]string{"one": "/one/x", "two": "/x"}[cluster]
	var is admin.Explanation
	if err := s.question(pair, http.MethodPost, "/explain", admin.Question{Method: http.MethodGet, URL: path}, &is); err != nil {
		return err.Error()
	}
	for _, c := range is.Backends {
		skip := skips[state]
		if c.Address == backend && strings.HasPrefix(c.Skip, skip) && (c.Skip == "") == (skip == "") && (skip == "" || c.Why != "") {
			return ""
		}
	}
	return fmt.Sprintf("explain GET %s: %+v", path, is.Backends)
}

// metrics are the values of a scrape, by series.
type metrics map[string]float64

// metrics asks the status listener of the sidecar of a pair.
func (s *shop) metrics(pair string) (metrics, error) {
	s.t.Helper()
	a := ask(s.url("pair-"+pair, status, "/metrics"))
	if !a.fine() {
		return nil, fmt.Errorf("the metrics of sidecar-%s: %v", pair, a)
	}
	m := metrics{}
	for line := range strings.Lines(a.body) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if strings.Contains(series, "{") {
			series += "}"
		} else {
			series, value, _ = strings.Cut(series, " ")
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil && !strings.HasPrefix(line, "#") {
			m[series] = n
		}
	}
	return m, nil
}

// sum adds up the series of a metric that have all these labels, like `code="200"`.
func (m metrics) sum(name string, labels ...string) int {
	sum := 0.0
	for series, n := range m {
		of, set, _ := strings.Cut(series, "{")
		if of == name && !slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(set, label) }) {
			sum += n
		}
	}
	return int(sum)
}

// by adds them up by the values of a label, without those that are 0.
func (m metrics) by(name, label string, labels ...string) map[string]int {
	sums := map[string]int{}
	value := regexp.MustCompile(label + `="([^"]*)"`)
	for series := range m {
		if found := value.FindStringSubmatch(series); found != nil {
			if n := m.sum(name, append(labels, found[0])...); n != 0 {
				sums[found[1]] = n
			}
		}
	}
	return sums
}

// failedHere tells that the answer is the sidecar's own, in the place of a backend's.
func (a answer) failedHere() bool { return strings.Contains(a.why, "error=") }

// errorType is that of its Proxy-Status.
func (a answer) errorType() string {
	_, is, _ := strings.Cut(a.why, "error=")
	is, _, _ = strings.Cut(is, ";")
	return is
}

// detail is one of those that the sidecar tells of an answer to who has its token.
func (a answer) detail(key string) string {
	found := regexp.MustCompile(`(?:^|, )` + key + `="?([^",]*)`).FindStringSubmatch(a.told)
	if found == nil {
		return ""
	}
	return found[1]
}

func (a answer) tries() int {
	n, _ := strconv.Atoi(a.detail("tries")) // none: it came to no backend
	return n
}

var (
	triesThatFailed = regexp.MustCompile(`failed=\(((?:"(?:[^"\\]|\\.)*" ?)*)\)`)
	quoted          = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// failedTries are the backend and the error of each.
func (a answer) failedTries() []string {
	found := triesThatFailed.FindStringSubmatch(a.told)
	if found == nil {
		return nil
	}
	return quoted.FindAllString(found[1], -1)
}

// retries are the tries after the first one of each.
func (r record) retries() int {
	n := 0
	for _, a := range r {
		n += max(0, a.tries()-1)
	}
	return n
}
