package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/app"
)

// status keeps the address of the status listener, which opens after that for
// requests.
type status struct{ addresses []string }

func (s *status) option(o *app.Options) {
	o.Listen = func(_, address string) (net.Listener, error) {
		ln, err := net.Listen("tcp", address)
		if err == nil {
			s.addresses = append(s.addresses, ln.Addr().String())
		}
		return ln, err
	}
}

const withStatus = "status: { listen: '127.0.0.1:0' }\n"

// scrape is the page of the metrics.
func (s *status) scrape(t testing.TB) string {
	t.Helper()
	response, err := http.Get("http://" + s.addresses[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("a scrape is answered %s (%v)", response.Status, err)
	}
	return string(page)
}

// awaitLines waits until the page has all these lines.
func (s *status) awaitLines(t testing.TB, lines ...string) {
	t.Helper()
	for _, line := range lines {
		eventually(t, line+"\namong\n"+ours(s.scrape(t)), func() bool { return strings.Contains(s.scrape(t), "\n"+line+"\n") })
	}
}

func ours(page string) string {
	var kept strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "outrider_") && !strings.Contains(line, "_bucket{") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// answering gives each path the status that it names.
func answering(b *backend) *backend {
	b.does(func(w http.ResponseWriter, r *http.Request) {
		code := 0
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &code)
		w.WriteHeader(code)
	})
	return b
}

func TestMetricsTellExactlyWhatHappened(t *testing.T) {
	page := new(status)
	one := answering(newBackend(t, "one-a"))
	s := start(t, withStatus+fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\n", list(one), seldom), page.option)
	s.awaitReady()
	for path, n := range map[string]int{"/200": 3, "/404": 2, "/503": 1} {
		for range n {
			s.get(path)
		}
	}
	w := dial(t, s)
	_, _ = io.WriteString(w.conn, "GET / HTTP/1.1\r\nBad Host\r\n\r\n")
	_, _ = io.Copy(io.Discard, w.conn)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	one.does(func(http.ResponseWriter, *http.Request) { close(arrived); <-goOn })
	defer close(goOn)
	w = dial(t, s)
	_, _ = io.WriteString(w.conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	page.awaitLines(t, "outrider_requests_active 1", fmt.Sprintf(`outrider_upstream_in_flight{backend="%s",cluster="one"} 1`, one.addr))
	_ = w.conn.(*net.TCPConn).SetLinger(0)
	_ = w.conn.Close()
	backend := func(metric string) string {
		return fmt.Sprintf(`outrider_%s{backend="%s",cluster="one"}`, metric, one.addr)
	}
	page.awaitLines(t,
		`outrider_requests_total{cluster="one",code="0"} 1`,
		`outrider_requests_total{cluster="one",code="200"} 3`,
		`outrider_requests_total{cluster="one",code="404"} 2`,
		`outrider_requests_total{cluster="one",code="503"} 1`,
		`outrider_requests_total{cluster="",code="400"} 1`,
		`outrider_requests_interrupted_total{end="client/request"} 1`,
		`outrider_requests_interrupted_total{end="client/wait"} 1`,
		`outrider_request_duration_seconds_count{cluster="one"} 7`,
		`outrider_client_connections_accepted_total 3`,
		`outrider_cluster_backends{cluster="one",state="up"} 1`,
		`outrider_config_last_reload_successful 1`,
		`outrider_access_log_lines_total 3`,
		backend("upstream_tries_total")+" 7", backend("upstream_in_flight")+" 0",
		fmt.Sprintf(`outrider_backend_healthy{backend="%s",cluster="one",source="verdict"} 1`, one.addr),
	)
}

func TestMetricsFollowRetriesScriptsAndReloads(t *testing.T) {
	page := new(status)
	all := newBackends(t, "one-a", "one-b")
	script := filepath.Join(t.TempDir(), "route.js")
	writeFile(t, script, "function route(req) { if (req.path === '/x') throw 'no'; return 'one'; }")
	s := start(t, withStatus+fmt.Sprintf("script: { file: %q }\nclusters:\n  one:\n    backends: %s\n    %s\n", script, list(all...), seldom), page.option)
	s.awaitReady()
	all[0].die()
	for range 4 {
		s.get("/")
	}
	s.get("/x")
	page.awaitLines(t,
		`outrider_script_decisions_total{outcome="ok"} 4`, `outrider_script_decisions_total{outcome="exception"} 1`,
		`outrider_requests_total{cluster="",code="500"} 1`, `outrider_requests_total{cluster="one",code="200"} 4`,
		fmt.Sprintf(`outrider_script_info{version="%s"} 1`, s.Status().Script.Version),
		`outrider_cluster_backends{cluster="one",state="down"} 1`,
	)
	if got := page.scrape(t); !strings.Contains(got, `outrider_retries_total{reason="connect"}`) || strings.Contains(got, `outrider_retries_total{reason="connect"} 0`) {
		t.Error("no retry is counted:\n" + ours(got))
	}
	good := s.text()
	s.write("clusters: nonsense")
	if s.Reload(t.Context()) == nil {
		t.Fatal("nonsense is loaded")
	}
	page.awaitLines(t, "outrider_config_last_reload_successful 0")
	s.write(good + "  two: { backends: ['127.0.0.1:1'], check: { type: off } }\n")
	s.write(strings.Replace(good, "clusters:\n", "clusters:\n  two: { backends: ['127.0.0.1:1'], check: { type: off } }\n", 1))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	page.awaitLines(t, "outrider_config_last_reload_successful 1", `outrider_cluster_backends{cluster="two",state="up"} 1`,
		`outrider_requests_total{cluster="one",code="200"} 4`, `outrider_script_decisions_total{outcome="ok"} 4`)
}

func TestMetricsTellWhatTookABackendOutAndWhatTheRetryBudgetRefused(t *testing.T) {
	page := new(status)
	all := newBackends(t, "one-a", "one-b")
	s := start(t, withStatus+fmt.Sprintf(`clusters:
  one:
    backends: %s
    check: { type: tcp, interval: 50ms }
    retries: 1
    passive: { failures: 200, for: 1h }
`, list(all...)), page.option)
	s.awaitReady()
	for _, b := range all {
		resets(b)
	}
	eventually(t, "one is out", func() bool {
		s.get("/")
		return s.state(all[0]) == "down" || s.state(all[1]) == "down"
	})
	out := all[0]
	if s.state(out) != "down" {
		out = all[1]
	}
	healthy := func(source string) string {
		return fmt.Sprintf(`outrider_backend_healthy{backend="%s",cluster="one",source="%s"} `, out.addr, source)
	}
	page.awaitLines(t, healthy("check")+"1", healthy("passive")+"0", healthy("verdict")+"0")
	if strings.Contains(page.scrape(t), `outrider_retry_budget_exhausted_total{cluster="one"} 0`) {
		t.Error("no try that the budget refused is counted")
	}
}

// logLine is what the tests want to know of a line of the access log.
type logLine struct {
	Method, Path, Cluster, Backend, End, Error, Script, Trace string
	Status, Attempts                                          int
	Milliseconds                                              float64 `json:"ms"`
}

func readLog(t *testing.T, file string) []logLine {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []logLine
	for line := range strings.Lines(string(text)) {
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

func TestTheAccessLogHasWhatItsModeSays(t *testing.T) {
	for mode, want := range map[string][]logLine{
		"all": {
			{Method: "GET", Path: "/200?a=b", Cluster: "one", End: "done", Status: 200, Attempts: 1},
			{Method: "GET", Path: "/503", Cluster: "one", End: "done", Status: 503, Attempts: 1},
			{Method: "GET", Path: "/200", Cluster: "none", End: "backend/connect", Error: "destination_unavailable", Status: 503},
		},
		"errors": {
			{Method: "GET", Path: "/503", Cluster: "one", End: "done", Status: 503, Attempts: 1},
			{Method: "GET", Path: "/200", Cluster: "none", End: "backend/connect", Error: "destination_unavailable", Status: 503},
		},
		"off": nil,
	} {
		t.Run(mode, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "access.log")
			one := answering(newBackend(t, "one-a"))
			dead := newBackend(t, "dead")
			dead.die()
			s := start(t, fmt.Sprintf("listen: [{ address: '127.0.0.1:0', cluster: one }, { name: none, address: '127.0.0.1:0', cluster: none }]\n"+
				"clusters:\n  one:\n    backends: %s\n    %s\n  none:\n    backends: %s\n    check: { type: tcp, interval: 50ms, fall: 1 }\n"+
				"log: { access: { mode: %s, file: %q } }\n", list(one), seldom, list(dead), mode, file))
			s.awaitReady()
			s.awaitState(dead, "down")
			s.get("/200?a=b")
			s.get("/503")
			s.addr = s.Addresses()[1]
			s.get("/200")
			s.end()
			if mode == "off" {
				if _, err := os.Stat(file); err == nil {
					t.Error("there is a file")
				}
				return
			}
			got := readLog(t, file)
			byPath := func(a, b logLine) int { return strings.Compare(a.Cluster+a.Path, b.Cluster+b.Path) }
			slices.SortFunc(got, byPath) // an exchange is told of when its client may have asked again
			slices.SortFunc(want, byPath)
			for i := range got {
				if got[i].Milliseconds <= 0 {
					t.Errorf("line %d took %v ms", i, got[i].Milliseconds)
				}
				if got[i].Attempts > 0 && got[i].Backend != one.addr {
					t.Errorf("line %d names the backend %q", i, got[i].Backend)
				}
				got[i].Milliseconds, got[i].Backend = 0, ""
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("logged\n%+v, want\n%+v", got, want)
			}
		})
	}
}

func TestAnAccessLogThatCanNotBeOpenedKeepsTheSidecarFromStarting(t *testing.T) {
	one := newBackends(t, "one-a")
	file := filepath.Join(t.TempDir(), "missing", "access.log")
	s := &sidecar{t: t, file: filepath.Join(t.TempDir(), "outrider.yaml"), log: newLogbook(t)}
	s.write(fmt.Sprintf("clusters: { one: { backends: %s } }\nlog: { access: { file: %q } }\n", list(one...), file))
	c, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(c, app.Options{Log: s.log.logger, Load: s.load})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Run says %v", err)
	}
}

// A writer that blocks for ever: standard output is a pipe that nobody reads.
func TestRequestsGoOnWhenNobodyReadsTheAccessLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	one := newBackends(t, "one-a")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\nlog: { access: { mode: all } }\n", list(one...), seldom),
		func(o *app.Options) { o.Stdout = w })
	s.awaitReady()
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 2000 {
				if a, err := s.try("/" + strings.Repeat("x", 200)); err != nil || a.body != "one-a" {
					t.Errorf("got %+v (%v)", a, err)
					return
				}
			}
		})
	}
	clients.Wait()
	s.log.await(t, "the access log loses lines")
}

func TestRequestsGoOnWhenTheDiskIsFull(t *testing.T) {
	page := new(status)
	one := newBackends(t, "one-a")
	s := start(t, withStatus+fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\nlog: { access: { mode: all, file: /dev/full } }\n", list(one...), seldom), page.option)
	s.awaitReady()
	const lines = 50
	for range lines {
		if a := s.get("/"); a.body != "one-a" {
			t.Fatalf("got %+v", a)
		}
	}
	page.awaitLines(t, fmt.Sprintf(`outrider_access_log_lines_lost_total{reason="write_failed"} %d`, lines), "outrider_access_log_lines_total 0")
	warned := s.log.await(t, "the access log loses lines")
	if err, _ := warned.fields[logrus.ErrorKey].(error); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("warned with %v", warned.fields)
	}
	s.end()
	if n := len(s.log.all("the access log loses lines")); n != 1 {
		t.Errorf("%d warnings within a minute", n)
	}
}
