package rollout_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"outrider/scripting"
	"outrider/sidecar/rollout"
)

// TestMain lets scripts take their time: the first one that a process loads sets
// the longest timeout for all, and this machine may be busy.
func TestMain(m *testing.M) {
	s, err := scripting.Load(scripting.Source{Code: []byte("function route() {}")}, scripting.Options{
		Log: logrus.New(), Clusters: oneAndTwo{}, Timeout: 10 * time.Second,
	})
	if err != nil {
		panic(err)
	}
	s.Close()
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// oneAndTwo are two clusters in good health.
type oneAndTwo struct{}

func (oneAndTwo) Names() []string { return []string{"one", "two"} }

func (oneAndTwo) Health(name string) (healthy, total int, ok bool) {
	return 1, 1, name == "one" || name == "two"
}

// get is a request for a path, of a client.
type get struct{ path, ip, cookie string }

func (get) Method() string      { return "GET" }
func (g get) Path() string      { return g.path }
func (get) RawQuery() string    { return "" }
func (get) Host() string        { return "test" }
func (get) Scheme() string      { return "http" }
func (g get) IP() string        { return g.ip }
func (get) ID() string          { return "id" }
func (get) Listener() string    { return "main" }
func (get) TLS() *scripting.TLS { return nil }

func (g get) Header(name string) (string, bool) { return g.cookie, name == "cookie" && g.cookie != "" }
func (get) HeaderNames() []string               { return nil }

// site is a script in a directory, and the versions that come of it.
type site struct {
	*rollout.Versions
	t    *testing.T
	file string
	log  *book
}

// book is a log to look things up in.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), what)
}

func (b *book) logger() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(b)
	log.SetFormatter(&logrus.TextFormatter{DisableQuote: true})
	return log
}

type setup struct {
	options  rollout.Options
	settings rollout.Settings
}

// open makes the versions of a script, without anybody who watches the file.
func open(t *testing.T, script string, change ...func(*setup)) *site {
	t.Helper()
	s, err := try(t, script, change...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func try(t *testing.T, script string, change ...func(*setup)) (*site, error) {
	t.Helper()
	s := &site{t: t, file: filepath.Join(t.TempDir(), "route.js"), log: &book{}}
	with := setup{
		options:  rollout.Options{Log: s.log.logger(), Clusters: oneAndTwo{}},
		settings: s.settings(),
	}
	for _, do := range change {
		do(&with)
	}
	s.file = with.settings.File
	if script != "" {
		s.write(script)
	}
	versions, err := rollout.New(with.options, with.settings)
	if err != nil {
		return nil, err
	}
	s.Versions = versions
	t.Cleanup(versions.Close)
	return s, nil
}

// watched has somebody watch the files until the test ends.
func (s *site) watched() *site {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	s.t.Cleanup(func() {
		stop()
		<-ended
	})
	return s
}

func (s *site) write(script string) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(script), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// decides is the cluster for a path, or what went wrong.
func (s *site) decides(path string) string { return name(s.Route(get{path: path, ip: "192.0.2.1"})) }

func name(d rollout.Decision) string {
	if d.Outcome.Failed() {
		return d.Outcome.String()
	}
	return d.Cluster
}

func (s *site) await(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.log.mu.Lock()
			defer s.log.mu.Unlock()
			s.t.Fatalf("not in time: %s\n%s", what, s.log.text.String())
		}
	}
}

func (s *site) awaitDecision(want string) {
	s.t.Helper()
	s.await("the script decides "+want, func() bool { return s.decides("/") == want })
}

func always(cluster string) string { return "function route() { return '" + cluster + "'; }" }

func (s *site) settings() rollout.Settings {
	return rollout.Settings{
		File: s.file, Timeout: 5 * time.Second, OnError: "fail", MaxMoved: 1, Record: 100,
		Probation: rollout.Probation{ErrorRate: 0.01, MinErrors: 5, Window: time.Minute},
	}
}
