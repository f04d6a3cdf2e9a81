package dashboard_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var binary string // the real program

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dashboard")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "outrider")
	build := exec.Command("go", "build", "-o", binary, "./sidecar")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the sidecar: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

func chromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: make dashboard installs it", err)
	}
	return path
}

// backend is an app; it can be ended, and begin again.
type backend struct {
	t       *testing.T
	address string
	server  *http.Server
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{t: t, address: "127.0.0.1:0"}
	b.begin()
	t.Cleanup(b.end)
	return b
}

func (b *backend) begin() {
	b.t.Helper()
	ln, err := net.Listen("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.address = ln.Addr().String()
	b.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	go b.server.Serve(ln)
}

func (b *backend) end() { b.server.Close() }

func newBackends(t *testing.T, n int) (all []*backend, list string) {
	t.Helper()
	var addresses []string
	for range n {
		b := newBackend(t)
		all, addresses = append(all, b), append(addresses, fmt.Sprintf("%q", b.address))
	}
	return all, "[" + strings.Join(addresses, ", ") + "]"
}

// quick makes health known within a moment.
const quick = "check: { type: tcp, interval: 500ms, timeout: 500ms }"

// sidecar is the real program at work.
type sidecar struct {
	t              *testing.T
	folder, script string
	address, admin string
	listen         string // what leads to admin
	gossip         string
	told           talk
}

// talk is what a process says, readable while it runs.
type talk struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *talk) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *talk) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// port is an address that is free.
func port(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// start runs a sidecar. In the configuration ADMIN and GOSSIP stand for addresses.
func start(t *testing.T, name, configuration, script string, prepare ...func(*sidecar)) *sidecar {
	t.Helper()
	if script != "" && !strings.Contains(configuration, "\nscript:") {
		configuration += "script: { file: route.js }\n"
	}
	if !strings.Contains(configuration, "\nadmin:") {
		configuration += "\nadmin: { listen: ADMIN }\n"
	}
	for {
		s := &sidecar{t: t, folder: t.TempDir(), address: port(t), admin: port(t), gossip: port(t)}
		s.script, s.listen = filepath.Join(s.folder, "route.js"), s.admin
		for _, do := range prepare {
			do(s)
		}
		s.write(script)
		addresses := strings.NewReplacer("ADMIN", fmt.Sprintf("%q", s.listen), "GOSSIP", fmt.Sprintf("%q", s.gossip))
		s.put("outrider.yaml", fmt.Sprintf("name: %s\nlisten: %q\nstatus: { listen: '' }\nshutdown: { grace: 1s }\n", name, s.address)+addresses.Replace(configuration))
		if s.run() {
			return s
		}
	}
}

// run runs the program. It reports false when somebody else was faster to take one of
// its addresses.
func (s *sidecar) run() bool {
	s.t.Helper()
	command := s.command("run")
	command.Stdout, command.Stderr = &s.told, &s.told
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for end := time.Now().Add(patience); !strings.Contains(s.told.String(), "serving admin"); {
		select {
		case err := <-ended:
			if strings.Contains(s.told.String(), "address already in use") {
				return false
			}
			s.t.Fatalf("the sidecar ends: %v\n%s", err, s.told.String())
		case <-time.After(20 * time.Millisecond):
			if time.Now().After(end) {
				s.t.Fatalf("the sidecar does not serve\n%s", s.told.String())
			}
		}
	}
	s.t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			s.t.Errorf("the sidecar: %v", err)
		}
		if s.t.Failed() {
			s.t.Logf("the sidecar said\n%s", s.told.String())
		}
	})
	return true
}

// command is one of the program's, in the folder of the sidecar.
func (s *sidecar) command(args ...string) *exec.Cmd {
	command := exec.Command(binary, args...)
	command.Dir = s.folder
	command.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+s.folder)
	return command
}

func (s *sidecar) write(script string) { s.put("route.js", script) }

func (s *sidecar) put(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// offLoopback has the admin listener be one that other hosts could reach.
func offLoopback(s *sidecar) {
	s.listen = s.admin[strings.LastIndex(s.admin, ":"):]
	s.put("token", "a-token\n")
}

// link is a link to the dashboard.
func (s *sidecar) link() string {
	s.t.Helper()
	told, err := s.command("dashboard").CombinedOutput()
	if err != nil {
		s.t.Fatalf("outrider dashboard: %v\n%s", err, told)
	}
	return strings.TrimSpace(string(told))
}

// token is that of the sidecar, which only its user can read.
func (s *sidecar) token() string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.folder, "outrider", "admin-*.token"))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("tokens %q: %v", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// ask sends a request as it is written, and waits for the answer.
func (s *sidecar) ask(path string, fields ...string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n%s\r\n", path, strings.Join(append(fields, ""), "\r\n"))
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(conn); err != nil || !strings.HasPrefix(answer.String(), "HTTP/1.1 ") {
		s.t.Fatalf("%s is answered %q: %v", path, answer.String(), err)
	}
}

// askOn sends requests until the test ends.
func (s *sidecar) askOn(paths ...string) {
	done := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				response, err := http.Get("http://" + s.address + paths[i%len(paths)])
				if err == nil {
					response.Body.Close()
				}
			}
		}
	})
	s.t.Cleanup(func() {
		close(done)
		sending.Wait()
	})
}
