package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "right-token"

// far is the sidecar behind the handlers.
type far struct {
	ready   error
	status  Status
	reload  func(context.Context) error // nil succeeds
	reloads atomic.Int64

	rollback func() error // nil succeeds

	draining bool
	refuses  error // Drain and Undrain

	decisions map[string]string // lines by id

	script ScriptText
	tried  DraftReport
	saved  []Draft
	save   error // of SaveScript
}

func (f *far) Ready() error   { return f.ready }
func (f *far) Status() Status { return f.status }
func (f *far) Reload(ctx context.Context) error {
	f.reloads.Add(1)
	if f.reload == nil {
		return nil
	}
	return f.reload(ctx)
}

func (f *far) Peers() PeersStatus {
	return PeersStatus{Enabled: true, Self: PeerStatus{Name: "web-1", Draining: f.draining}, Peers: []PeerStatus{{Name: "web-2"}}}
}

func (f *far) Health() HealthStatus { return HealthStatus{Self: "web-1", Peers: []string{"web-2"}} }

func (f *far) Traffic(after uint64) TrafficStatus {
	return TrafficStatus{Clusters: []ClusterTraffic{{Cluster: "one", Seconds: []SecondStatus{{Requests: after}}}}, Backends: []BackendTraffic{}, Last: after + 1}
}

func (f *far) Tap(after uint64, filter *Filter) TapStatus {
	s := TapStatus{Last: after + 1}
	if one := (Tapped{Serial: after + 1, Method: "GET", Path: "/one/<img>", Cluster: "one", Status: 200}); filter.Takes(&one) {
		s.Requests = append(s.Requests, one)
	}
	return s
}

func (*far) Settings() []Setting { return []Setting{{"clusters.one.retries", "2", ""}} }

func (f *far) ScriptText() (ScriptText, error) { return f.script, nil }

func (f *far) TryScript(Draft) (DraftReport, error) { return f.tried, nil }

func (f *far) SaveScript(d Draft) error {
	if f.save == nil {
		f.saved = append(f.saved, d)
	}
	return f.save
}

func (*far) Explain(q Question) (*Explanation, error) {
	if q.Method == "" {
		return nil, errors.New("no method")
	}
	return &Explanation{Request: q.Method + " " + q.URL, Cluster: "one"}, nil
}

func (*far) Recall(id string) (*Explanation, error) {
	if id != "a" {
		return nil, errors.New("nothing is known of " + id)
	}
	return &Explanation{ID: id}, nil
}

func (f *far) Drain() error {
	f.draining = true
	return f.refuses
}

func (f *far) Undrain() error {
	f.draining = false
	return f.refuses
}

func (f *far) Rollback() error {
	if f.rollback == nil {
		return nil
	}
	return f.rollback()
}

func (f *far) WriteDecisions(to io.Writer, id string) error {
	if id != "" {
		line, ok := f.decisions[id]
		if !ok {
			return errors.New("no decision on " + id)
		}
		_, err := io.WriteString(to, line)
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(f.decisions)) {
		if _, err := io.WriteString(to, f.decisions[id]); err != nil {
			return err
		}
	}
	return nil
}

func silent() logrus.FieldLogger {
	log, _ := test.NewNullLogger()
	return log
}

// serve runs h on loopback until the test ends, and returns its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, h, silent()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// serveAPI runs the API as it is on loopback.
func serveAPI(t *testing.T, s Sidecar) string {
	t.Helper()
	return serve(t, Handler(Options{Sidecar: s, Token: token, Loopback: true, Log: silent()}))
}

// ask is a request as a table writes it.
type ask struct {
	method, path string // GET /status when empty
	host         string
	header       [][2]string
	body         io.Reader
	length       int64 // claimed; 0 = as the body is
}

func bearerOf(token string) [2]string { return [2]string{"Authorization", "Bearer " + token} }

func (a ask) to(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	url := "http://" + address + cmp.Or(a.path, "/status")
	r, err := http.NewRequestWithContext(t.Context(), cmp.Or(a.method, http.MethodGet), url, a.body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = a.host
	for _, field := range a.header {
		r.Header.Add(field[0], field[1])
	}
	if a.length != 0 {
		r.ContentLength = a.length
	}
	// Not DisableKeepAlives: to a client that says Connection: close, net/http's
	// server may lose the answer to a body that it does not read.
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// wantRefusal checks that an answer is a refusal as documented.
func wantRefusal(t *testing.T, response *http.Response, body string, status int, words string) {
	t.Helper()
	var refused struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal([]byte(body), &refused); err != nil {
		t.Errorf("the body %q is not JSON: %v", body, err)
	}
	if response.StatusCode != status || !strings.Contains(refused.Error, words) {
		t.Errorf("answer %d %q, want %d with %q", response.StatusCode, refused.Error, status, words)
	}
	wantField(t, response, "Content-Type", "application/json")
}

func wantField(t *testing.T, response *http.Response, name, want string) {
	t.Helper()
	if got := response.Header.Get(name); got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// within polls until done is true.
func within(t *testing.T, limit time.Duration, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting after %s", limit)
		}
		time.Sleep(time.Millisecond)
	}
}
