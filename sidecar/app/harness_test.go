package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"outrider/scripting"
	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

// TestMain lets scripts take their time: the first one that a process loads sets
// the longest timeout for all, and this machine may be busy.
func TestMain(m *testing.M) {
	if os.Getenv(asBackend) != "" {
		beBackend()
		return
	}
	s, err := scripting.Load(scripting.Source{Code: []byte("function route() {}")}, scripting.Options{
		Log: logrus.New(), Clusters: noClusters{}, Timeout: 10 * time.Second,
	})
	if err != nil {
		panic(err)
	}
	s.Close()
	goleak.VerifyTestMain(m)
}

type noClusters struct{}

func (noClusters) Names() []string                   { return nil }
func (noClusters) Health(string) (_, _ int, ok bool) { return 0, 0, false }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// quick makes health known within a moment.
const quick = "check: { type: tcp, interval: 50ms, timeout: 1s }"

// seldom checks once at the start, and then only when somebody asks.
const seldom = "check: { type: tcp, interval: 1h, timeout: 1s }"

// sidecar is an App at work, and what it says.
type sidecar struct {
	*app.App
	t    testing.TB
	file string // of its configuration
	log  *logbook
	addr string // of its first listener
	end  func() // stops it, and waits

	client *http.Client // for this sidecar alone: its connections end with the test
}

type option func(*app.Options)

// andOnOpen does something once the listeners are open.
func andOnOpen(do func() error) option {
	return func(o *app.Options) {
		first := o.OnOpen
		o.OnOpen = func() error { return errors.Join(do(), first()) }
	}
}

// start runs a sidecar with a configuration. Where that does not say it, it
// listens on any port, and has neither status nor admin. It ends with the test.
func start(t testing.TB, configuration string, options ...option) *sidecar {
	t.Helper()
	s := &sidecar{t: t, file: filepath.Join(t.TempDir(), "outrider.yaml"), log: newLogbook(t)}
	s.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(s.client.CloseIdleConnections)
	s.write(configuration)
	c, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan struct{})
	o := app.Options{
		Log: s.log.logger, Version: "under test", Load: s.load, Token: func(config.Admin) (app.Token, error) { return app.Token{Text: "open-sesame"}, nil },
		OnOpen: func() error { close(opened); return nil },
	}
	for _, set := range options {
		set(&o)
	}
	if s.App, err = app.New(c, o); err != nil {
		t.Fatal(err)
	}
	s.run(opened)
	s.addr = s.Addresses()[0]
	return s
}

func (s *sidecar) run(opened <-chan struct{}) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.end = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
	s.t.Cleanup(s.end)
	select {
	case <-opened:
	case err := <-ended:
		ended <- err
		s.t.Fatalf("the sidecar does not open: %v", err)
	}
}

// write replaces the configuration's file.
func (s *sidecar) write(configuration string) {
	s.t.Helper()
	for key, value := range map[string]string{
		"listen": "127.0.0.1:0", "status": "{ listen: '' }", "admin": "{ listen: '' }", "shutdown": "{ grace: 1s }", "name": "test",
	} {
		if !strings.Contains("\n"+configuration, "\n"+key+":") {
			configuration += "\n" + key + ": " + value
		}
	}
	writeFile(s.t, s.file, configuration+"\n")
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// text is the configuration's file.
func (s *sidecar) text() string {
	s.t.Helper()
	text, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *sidecar) load() (*config.Config, error) {
	return config.Load(config.Source{File: s.file, Hostname: "test", Env: []string{"STAGE=beta"}})
}

// awaitReady waits for the end of the first round of checks.
func (s *sidecar) awaitReady() {
	s.t.Helper()
	eventually(s.t, "ready", func() bool { return s.Ready() == nil })
}

// state is the verdict on a backend.
func (s *sidecar) state(b *backend) string {
	for _, c := range s.Status().Clusters {
		for _, known := range c.Backends {
			if known.Address == b.addr {
				return known.State
			}
		}
	}
	return "unknown"
}

func (s *sidecar) awaitState(b *backend, state string) {
	s.t.Helper()
	eventually(s.t, b.name+" is "+state, func() bool { return s.state(b) == state })
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// get sends one request on a connection that may have been used before.
func (s *sidecar) get(path string) answer {
	s.t.Helper()
	a, err := s.try(path)
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	return a
}

// try is get for goroutines other than the test's own.
func (s *sidecar) try(path string) (answer, error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+s.addr+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	return s.do(request)
}

// do sends a request.
func (s *sidecar) do(request *http.Request) (answer, error) {
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// eventually waits until what holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// holdsFor looks for a while whether what goes on to hold.
func holdsFor(t testing.TB, span time.Duration, what string, holds func() bool) {
	t.Helper()
	end := time.NewTimer(span)
	defer end.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for holds() {
		select {
		case <-look.C:
		case <-end.C:
			return
		}
	}
	t.Errorf("not for %v: %s", span, what)
}

// backend is a far end that can die and come back at the same address. It says
// its name, unless it is told to do something else.
type backend struct {
	t    testing.TB
	name string
	addr string

	handler atomic.Pointer[http.HandlerFunc]
	served  atomic.Int64 // requests

	server *http.Server
	tasks  sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns int        // that were accepted, ever
}

func newBackend(t testing.TB, name string) *backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{t: t, name: name, addr: ln.Addr().String()}
	b.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	b.serve(ln)
	t.Cleanup(b.die)
	return b
}

func newBackends(t testing.TB, names ...string) []*backend {
	t.Helper()
	var all []*backend
	for _, name := range names {
		all = append(all, newBackend(t, name))
	}
	return all
}

func (b *backend) does(h http.HandlerFunc) { b.handler.Store(&h) }

func (b *backend) serve(ln net.Listener) {
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.served.Add(1)
			(*b.handler.Load())(w, r)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				b.tasks.Add(1)
			case http.StateClosed:
				b.tasks.Done()
			case http.StateActive:
			}
		},
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.conns++
			return ctx
		},
	}
	b.server = server
	b.tasks.Go(func() { _ = server.Serve(ln) })
}

// die refuses connections from now on.
func (b *backend) die() {
	if b.server == nil {
		return
	}
	_ = b.server.Close()
	b.tasks.Wait()
	b.server = nil
}

func (b *backend) revive() {
	b.t.Helper()
	var ln net.Listener
	eventually(b.t, "its port is free again", func() (ok bool) {
		var err error
		ln, err = net.Listen("tcp", b.addr)
		return err == nil
	})
	b.serve(ln)
}

// connections are how many were ever made to it.
func (b *backend) connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conns
}

// list writes backends as YAML.
func list(backends ...*backend) string {
	var all []string
	for _, b := range backends {
		all = append(all, fmt.Sprintf("%q", b.addr))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// twoClusters configures the clusters of the tutorial.
func twoClusters(one, two []*backend, also string) string {
	return fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\n  two:\n    backends: %s\n    %s\n",
		list(one...), also, list(two...), also)
}

// logbook keeps all that a sidecar logs.
type logbook struct {
	logger *logrus.Logger
	mu     sync.Mutex // guards lines
	lines  []line
}

type line struct {
	level   logrus.Level
	message string
	fields  logrus.Fields
}

func newLogbook(t testing.TB) *logbook {
	b := &logbook{logger: logrus.New()}
	b.logger.SetOutput(t.Output())
	b.logger.AddHook(b)
	return b
}

// Levels implements logrus.Hook.
func (*logbook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (b *logbook) Fire(e *logrus.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line{e.Level, e.Message, e.Data})
	return nil
}

// all are the lines so far whose message has all these parts.
func (b *logbook) all(parts ...string) []line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.lines), func(l line) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(l.message, part) })
	})
}

// await waits for a line whose message has all these parts, and gives the first.
func (b *logbook) await(t testing.TB, parts ...string) line {
	t.Helper()
	eventually(t, fmt.Sprintf("a line with %q", parts), func() bool { return len(b.all(parts...)) > 0 })
	return b.all(parts...)[0]
}
