//go:build linux

package systemd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"outrider/integration/program"
)

var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &binary)) }

const patience = 30 * time.Second

// activator does what systemd does: it holds a socket open, and starts the program
// with it, again and again.
type activator struct {
	t      *testing.T
	folder string
	socket *os.File
	addr   string
	name   string // of the socket
	told   *net.UnixConn
	log    program.Log
	main   *exec.Cmd
}

func newActivator(t *testing.T, name string) *activator {
	t.Helper()
	a := &activator{t: t, folder: t.TempDir(), name: name}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a.addr = ln.Addr().String()
	if a.socket, err = ln.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.socket.Close() })
	a.told, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(a.folder, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.told.Close() })
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(a.log.String())
		}
	})
	return a
}

func (a *activator) configure(backend string) {
	a.t.Helper()
	text := fmt.Sprintf("status: { listen: '' }\nadmin: { listen: '' }\nclusters:\n  one:\n    backends: [%q]\n    check: { type: off }\nshutdown: { grace: 20s }\n", backend)
	if err := os.WriteFile(filepath.Join(a.folder, "outrider.yaml"), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// start starts the program. The shell knows the number that LISTEN_PID must be.
func (a *activator) start() {
	a.t.Helper()
	a.main = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" run`, binary)
	a.main.Dir, a.main.ExtraFiles = a.folder, []*os.File{a.socket}
	a.main.Stdout, a.main.Stderr = &a.log, &a.log
	a.main.Env = []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=" + a.name, "NOTIFY_SOCKET=" + filepath.Join(a.folder, "notify"), "XDG_RUNTIME_DIR=" + a.folder}
	if err := a.main.Start(); err != nil {
		a.t.Fatal(err)
	}
	main := a.main
	a.t.Cleanup(func() { _ = main.Process.Kill() })
}

// stop ends the program, which must exit with 0.
func (a *activator) stop() {
	a.t.Helper()
	a.signal(syscall.SIGTERM)
	if err := a.main.Wait(); err != nil {
		a.t.Fatalf("it ends with %v", err)
	}
}

func (a *activator) signal(s os.Signal) {
	a.t.Helper()
	if err := a.main.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// expect waits for what the program tells next.
func (a *activator) expect(pattern string) {
	a.t.Helper()
	message := make([]byte, 4096)
	_ = a.told.SetReadDeadline(time.Now().Add(patience))
	n, err := a.told.Read(message)
	if err != nil || !regexp.MustCompile("(?s)^"+pattern+"$").Match(message[:n]) {
		a.t.Fatalf("it tells %q (%v), want %s", message[:n], err, pattern)
	}
}

func TestARestartBehindASocketThatStaysOpenFailsNoRequest(t *testing.T) {
	var served atomic.Int64
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, "far")
	}))
	defer far.Close()
	a := newActivator(t, "main")
	a.configure(far.Listener.Addr().String())
	a.start()
	a.expect("READY=1")
	var clients sync.WaitGroup
	defer clients.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 4 {
		clients.Go(func() { press(ctx, t, a.addr) })
	}
	for range 10 {
		before := served.Load()
		program.Eventually(t, patience, "requests are served", func() bool { return t.Failed() || served.Load() > before+20 })
		a.stop()
		a.expect("STOPPING=1")
		a.start()
		a.expect("READY=1")
	}
	stop()
	clients.Wait()
	t.Logf("%d requests", served.Load())
	a.stop()
}

// press sends requests without a pause, every other of which nobody may repeat, and
// each fourth on a connection of its own.
func press(ctx context.Context, t *testing.T, address string) {
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: patience, Transport: transport}
	for n := 0; ctx.Err() == nil && !t.Failed(); n++ {
		request, err := http.NewRequest([]string{http.MethodGet, http.MethodPost}[n%2], "http://"+address+"/", bytes.NewReader([]byte("body")[:n%2*4]))
		if err != nil {
			t.Error(err)
			return
		}
		request.Close = n%4 == 3
		if err := send(client, request); err != nil {
			t.Errorf("request %d: %v", n, err)
		}
	}
}

func send(client *http.Client, request *http.Request) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status + ": " + string(text))
	}
	return err
}

func TestAReloadIsTold(t *testing.T) {
	a := newActivator(t, "main")
	a.configure("127.0.0.1:1")
	a.start()
	a.expect("READY=1")
	a.signal(syscall.SIGHUP)
	a.expect(`RELOADING=1\nMONOTONIC_USEC=\d+\n?`)
	a.expect("READY=1")
	a.stop()
	a.expect("STOPPING=1")
}

func TestASocketThatNobodyServesIsRefused(t *testing.T) {
	a := newActivator(t, "web")
	a.configure("127.0.0.1:1")
	a.start()
	if err := a.main.Wait(); err == nil || !strings.Contains(a.log.String(), `named \"web\"`) && !strings.Contains(a.log.String(), `named "web"`) {
		t.Errorf("it ends with %v, and tells %s", err, a.log.String())
	}
}

// systemd judges the units, where it is there. What they name has to be there too, so
// the program's path is that of the one under test.
func TestTheUnitsAreWellFormed(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	folder := t.TempDir()
	for _, name := range []string{"outrider.service", "outrider.socket"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/local/bin/outrider"), []byte(binary))
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		return
	}
	command := exec.Command(verify, "verify", "--man=no", filepath.Join(folder, "outrider.service"), filepath.Join(folder, "outrider.socket"))
	if text, err := command.CombinedOutput(); err != nil || bytes.Contains(text, []byte(folder)) {
		t.Errorf("%v\n%s", err, text)
	}
}
