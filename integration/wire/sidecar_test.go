//go:build linux

package wire_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// sidecar is the real program, beside a backend that runs in the test.
type sidecar struct {
	t      *testing.T
	addr   string
	status string // the address of its metrics
	pid    int
	log    fmt.Stringer
}

// setup is what differs between the sidecars of the tests.
type setup struct {
	limits string // YAML, inside limits: {}
	files  int    // RLIMIT_NOFILE; 0: the machine's
}

func start(t *testing.T, backend string, s setup) *sidecar {
	t.Helper()
	log := new(program.Log)
	sc := &sidecar{t: t, addr: program.FreeAddress(t), status: program.FreeAddress(t), log: log}
	file := filepath.Join(t.TempDir(), "outrider.yaml")
	if err := os.WriteFile(file, sc.config(backend, s.limits), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, "run", "-c", file)
	if s.files > 0 {
		command = exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d; exec %s run -c %s", s.files, binary, file))
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	sc.pid = command.Process.Pid
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		end := time.AfterFunc(20*time.Second, func() { _ = command.Process.Kill() })
		defer end.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("the sidecar ended with %v:\n%s", err, sc.log)
		}
		if strings.Contains(sc.log.String(), "panic") {
			t.Errorf("the sidecar panicked:\n%s", sc.log)
		}
	})
	until(t, "the sidecar to serve", func() bool { return sc.get("/") == nil })
	return sc
}

func (sc *sidecar) config(backend, limits string) []byte {
	return fmt.Appendf(nil, `
listen: %q
status: { listen: %q }
admin: { listen: "" }
limits: { %s }
log: { access: { mode: "off" } }
clusters:
  two: { backends: [%q], check: { type: off } }
`, sc.addr, sc.status, limits, backend)
}

// get is one request on a connection of its own.
func (sc *sidecar) get(path string) error {
	resp, err := fetch("http://" + sc.addr + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("got %s", resp.Status)
	}
	return nil
}

func fetch(url string) (*http.Response, error) {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Get(url)
}

// rss is the process's memory in MiB.
func (sc *sidecar) rss() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", sc.pid))
	if err != nil {
		sc.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n >> 10
		}
	}
	sc.t.Fatal("no VmRSS")
	return 0
}

// metric is the value that the process tells of itself.
func (sc *sidecar) metric(name string) float64 {
	resp, err := http.Get("http://" + sc.status + "/metrics")
	if err != nil {
		sc.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), name+" "); found {
			value, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				sc.t.Fatal(err)
			}
			return value
		}
	}
	sc.t.Fatalf("no metric %s", name)
	return 0
}

// files is the number of descriptors that are open.
func (sc *sidecar) files() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", sc.pid))
	if err != nil {
		sc.t.Fatal(err)
	}
	return len(entries)
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(40 * time.Second); !is(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// others is a client that behaves, beside an attack: it asks all the time, and
// every answer counts.
type others struct {
	t      *testing.T
	stop   func() // and waits for that
	count  atomic.Int64
	failed error
	worst  time.Duration
	peak   int // MiB
}

// enough is how often the others have to be answered for it to mean something.
const enough = 50

func (sc *sidecar) others() *others {
	stop, done := make(chan struct{}), make(chan struct{})
	o := &others{t: sc.t, stop: sync.OnceFunc(func() {
		close(stop)
		<-done
	})}
	sc.t.Cleanup(o.stop) // an attack that fails ends the test
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			if err := sc.get("/"); err != nil && o.failed == nil {
				o.failed = err
			}
			o.count.Add(1)
			o.worst = max(o.worst, time.Since(began))
			o.peak = max(o.peak, sc.rss())
		}
	}()
	return o
}

// meanwhile waits until the others have been answered often enough from now on.
func (o *others) meanwhile() {
	o.t.Helper()
	from := o.count.Load()
	until(o.t, "the others to be answered", func() bool { return o.count.Load() >= from+enough })
}

// tooFew tells that an attack has to go on for the others' answers to mean
// something.
func (o *others) tooFew() bool { return o.count.Load() < enough }

// end ends the others, all of whose requests must have been answered well.
func (o *others) end() {
	o.t.Helper()
	o.stop()
	if o.failed != nil || o.tooFew() {
		o.t.Errorf("the others: %d requests, %v", o.count.Load(), o.failed)
	}
}

// holding is what a sidecar has taken of the system.
type holding struct{ files, goroutines, rss int }

func (sc *sidecar) goroutines() int { return int(sc.metric("go_goroutines")) }

func (sc *sidecar) holds() holding {
	return holding{sc.files(), sc.goroutines(), sc.rss()}
}

// What may be kept after an attack: idle connections to the backend, pipes for the
// next long bodies, idle workers (and the goroutines of a look at them), and memory
// for them and the next crowd.
const (
	keptFiles      = 8
	keptGoroutines = 256 + 16
	keptMemory     = 16 // MiB
)

// returnTo waits until a sidecar has given back what it took since then.
func (sc *sidecar) returnTo(t *testing.T, then holding) {
	t.Helper()
	until(t, "the goroutines to end", func() bool { return sc.goroutines() <= then.goroutines+keptGoroutines })
	until(t, "the descriptors to return", func() bool { return sc.files() <= then.files+keptFiles })
	until(t, "the memory to return", func() bool { return sc.rss() <= then.rss+keptMemory })
	after := sc.rss()
	if err := sc.get("/"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	t.Logf("%d MiB before, %d after", then.rss, after)
}

// attacked runs an attack, and checks that the others are served meanwhile and
// that what it took returns.
func attacked(t *testing.T, sc *sidecar, attack func(*others)) *others {
	t.Helper()
	before := sc.holds()
	o := sc.others()
	attack(o)
	o.end()
	sc.returnTo(t, before)
	t.Logf("| %s | %d | %d ms | %d / %d / %d |", t.Name(), o.count.Load(), o.worst.Milliseconds(), before.rss, o.peak, sc.rss())
	return o
}

// dial connects from one of several addresses, so that ports do not run out.
func dial(t *testing.T, addr string, i int) net.Conn {
	t.Helper()
	return dialBy(t, addr, i, nil)
}

// modest is the receive buffer of each of many clients, in bytes: what these do
// not read would use up the machine's memory for TCP, and nobody could go on.
const modest = 64 << 10

func dialModestly(t *testing.T, addr string, i int) net.Conn {
	t.Helper()
	return dialBy(t, addr, i, func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, modest)
		})
		return errors.Join(err, failed)
	})
}

func dialBy(t *testing.T, addr string, i int, control func(network, address string, raw syscall.RawConn) error) net.Conn {
	t.Helper()
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%8))}
	c, err := (&net.Dialer{LocalAddr: from, Timeout: 20 * time.Second, Control: control}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
