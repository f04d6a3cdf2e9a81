package demo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"outrider/scripts"
	"outrider/sidecar/demo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// show is a demo that runs, as one sees it.
type show struct {
	t      *testing.T
	folder string
	screen screen
	port   map[string]int // of the paths that the introduction tells
	end    func()
}

// screen is what a demo has written so far.
type screen struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// begin runs a demo in a folder, on any ports unless some are wanted, and waits
// until it is ready.
func begin(t *testing.T, folder string, ports demo.Ports) *show {
	t.Helper()
	s := &show{t: t, folder: folder}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- demo.Run(ctx, demo.Options{
			Out: &s.screen, Host: "127.0.0.1", Folder: folder, Version: "under test", Token: "open-sesame", Ports: ports,
		})
	}()
	s.end = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the demo ends with %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(s.end)
	s.awaits("what changes.")
	s.port = make(map[string]int)
	for _, m := range regexp.MustCompile(`curl localhost:(\d+)/(\w+)`).FindAllStringSubmatch(s.screen.String(), -1) {
		var port int
		_, _ = fmt.Sscan(m[1], &port)
		s.port[m[2]] = port
	}
	s.eventually("ready", func() bool { return s.get("readyz", "") == "ok\n" })
	return s
}

// get asks for a path, on the port that the introduction tells for it.
func (s *show) get(first, rest string) string {
	s.t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/%s%s", s.port[first], first, rest))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

// backend is the one that answers a request.
func (s *show) backend(first, rest string) string {
	s.t.Helper()
	body := s.get(first, rest)
	var said struct{ Backend, Method, Path string }
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		s.t.Fatalf("%s%s is answered %q", first, rest, body)
	}
	if said.Method != "GET" || said.Path != "/"+first+rest {
		s.t.Errorf("the backend got %+v", said)
	}
	return said.Backend
}

func (s *show) eventually(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			s.t.Fatalf("not within %v: %s. The screen shows:\n%s", patience, what, s.screen.String())
		}
	}
}

// awaits waits until a pattern is on the screen.
func (s *show) awaits(pattern string) {
	s.t.Helper()
	p := regexp.MustCompile(pattern)
	s.eventually(pattern, func() bool { return p.MatchString(s.screen.String()) })
}

func TestTheDemoShowsItAll(t *testing.T) {
	s := begin(t, t.TempDir(), demo.Ports{})
	for _, path := range []string{"one", "two", "kill", "slow", "revive", "readyz", "metrics", "status", "health", "peers"} {
		if s.port[path] == 0 {
			t.Errorf("the introduction does not say where /%s is:\n%s", path, s.screen.String())
		}
	}

	answered := map[string]bool{}
	for range 4 {
		answered[s.backend("one", "/hello")] = true
		answered[s.backend("two", "/hello?a=b")] = true
	}
	if len(answered) != 4 {
		t.Errorf("these answered: %v", answered)
	}
	for name := range answered {
		s.awaits(`GET +/(one|two)/hello +` + name[:3] + ` -> ` + name + ` 127\.0\.0\.1:\d+ +200 +\d+\.\d ms\n`)
	}

	if told := s.get("kill", "/one-a"); told != "one-a: dead\n" {
		t.Errorf("kill says %q", told)
	}
	for _, sidecar := range []string{"demo-1", "demo-2", "demo-3"} {
		s.awaits(sidecar + ` health one-a 127\.0\.0\.1:\d+ (out: .*refused.*|suspect: demo-\d says down), \d+\.\d ms after it broke( and \d+\.\d ms after demo-\d)?  \(cluster one: `)
		s.awaits(sidecar + ` health one-a 127\.0\.0\.1:\d+ out: .*\(cluster one: 1 of 2 usable`)
	}
	for range 4 {
		if name := s.backend("one", "/"); name != "one-b" {
			t.Errorf("%s answered for the dead one-a", name)
		}
	}
	if told := s.get("revive", "/one-a"); told != "one-a: alive\n" {
		t.Errorf("revive says %q", told)
	}
	s.awaits(`health one-a 127\.0\.0\.1:\d+ back after .*\(cluster one: 2 of 2 usable`)

	if told := s.get("slow", "/two-a"); told != "two-a: alive, but slow\n" {
		t.Errorf("slow says %q", told)
	}
	s.awaits(`health two-a 127\.0\.0\.1:\d+ out: (2x )?timeout after 500ms`)
	if told := s.get("kill", "/nobody"); !strings.Contains(told, "one-a, one-b, two-a, two-b") {
		t.Errorf("an unknown backend is answered %q", told)
	}
	if status := s.get("status", ""); !strings.Contains(status, `"name": "demo-1"`) {
		t.Errorf("the status is %s", status)
	}
}

func TestEditingTheScriptChangesTheRouting(t *testing.T) {
	s := begin(t, t.TempDir(), demo.Ports{})
	file := filepath.Join(s.folder, "route.js")
	s.awaits(`edit ` + regexp.QuoteMeta(file) + ` +was written for you`)
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(code), "'one' : 'two';\n}", "'two' : 'one';\n}", 1))
	s.eventually("the clusters have changed places", func() bool { return strings.HasPrefix(s.backend("one", "/"), "two-") })
	s.awaits(`script [0-9a-f]{7} active in`)
	write(t, file, "function route() { return 'one' + ; }")
	s.awaits(`script refused, [0-9a-f]{7} stays: route\.js:1:35: SyntaxError`)
	write(t, file, "function route() { return 'three'; }")
	s.awaits(`route returns "three", which is no cluster`)
}

func TestAScriptThatIsThereIsUsed(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "route.js"), "function route() { return 'one'; }")
	s := begin(t, folder, demo.Ports{})
	if name := s.backend("two", "/"); !strings.HasPrefix(name, "one-") {
		t.Errorf("%s answered", name)
	}
	s.end()
	if code, _ := os.ReadFile(filepath.Join(folder, "route.js")); string(code) != "function route() { return 'one'; }" {
		t.Errorf("it was overwritten: %s", code)
	}
}

func TestACloneRunsTheDefaultScript(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "scripts"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "scripts", "default.js"), string(scripts.Default))
	s := begin(t, folder, demo.Ports{})
	s.awaits(`edit .*scripts/default\.js +decides where each request goes`)
	if _, err := os.Stat(filepath.Join(folder, "route.js")); err == nil {
		t.Error("route.js was written all the same")
	}
}

func TestABusyPortIsReplacedWithAWord(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port
	s := begin(t, t.TempDir(), demo.Ports{Requests: [3]int{port}, Backends: [4]int{port}})
	s.awaits(fmt.Sprintf(`port %d is in use: taking %d instead`, port, s.port["one"]))
	if name := s.backend("one", "/"); !strings.HasPrefix(name, "one-") {
		t.Errorf("%s answered", name)
	}
}

func TestWhereItMayNotWriteTheScriptIsElsewhere(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	s := begin(t, filepath.Join(t.TempDir(), "nowhere"), demo.Ports{})
	s.awaits(`the script is in a temporary folder: open .*/nowhere/route\.js: no such file`)
	s.awaits(`edit ` + regexp.QuoteMeta(temporary) + `/outrider-demo-\d+/route\.js +was written for you`)
	if name := s.backend("one", "/"); !strings.HasPrefix(name, "one-") {
		t.Errorf("%s answered", name)
	}
}

func TestItSaysWhereItCanNotWriteAtAll(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	t.Setenv("TMPDIR", nowhere)
	err := demo.Run(t.Context(), demo.Options{Out: io.Discard, Host: "127.0.0.1", Folder: nowhere})
	if err == nil || !strings.Contains(err.Error(), "start the demo in a folder that you may write to") {
		t.Errorf("it says %v", err)
	}
}

// What a client sends ends on somebody's terminal.
func TestHostileBytesDoNotReachTheTerminal(t *testing.T) {
	s := begin(t, t.TempDir(), demo.Ports{})
	s.backend("one", "/%1b[31mred")
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port["one"]))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /one/"+strings.Repeat("x", 300)+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	_, _ = io.ReadAll(conn)
	s.awaits(`GET +/one/x+\.\.\. `)
	if strings.Contains(s.screen.String(), "\x1b") {
		t.Error("an escape is on the screen")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
