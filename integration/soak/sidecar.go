package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sidecar is a process with its files.
type sidecar struct {
	stage                                      *stage
	name                                       string
	plain, secure, side, status, admin, gossip string // addresses
	log                                        *os.File
	process                                    *exec.Cmd
}

func (s *stage) newSidecar(i int) (*sidecar, error) {
	one := &sidecar{stage: s, name: fmt.Sprint("sidecar-", i)}
	for _, address := range []*string{&one.plain, &one.secure, &one.side, &one.status, &one.admin, &one.gossip} {
		*address = freeAddress()
	}
	var err error
	one.log, err = os.Create(one.file("log"))
	return one, err
}

// freeAddress is one that no connection takes by chance.
func freeAddress() string {
	for {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().String()
		}
	}
}

func (s *sidecar) file(ending string) string {
	return filepath.Join(s.stage.folder, s.name+"."+ending)
}

func (s *sidecar) start() error {
	s.process = exec.Command(s.stage.binary, "run", "-c", s.file("yaml"))
	s.process.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+filepath.Join(s.stage.folder, "run")) // beside the program, which has the name of what goes there
	s.process.Stdout, s.process.Stderr = s.log, s.log
	return s.process.Start()
}

func (s *sidecar) signal(sig syscall.Signal) { _ = s.process.Process.Signal(sig) }

// stop has it end as it should.
func (s *sidecar) stop() {
	s.signal(syscall.SIGTERM)
	if err := s.process.Wait(); err != nil {
		s.stage.tally.accuse("%s has ended: %v", s.name, err)
	}
}

// awaitReady returns when it is.
func (s *sidecar) awaitReady() error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if answer, err := http.Get("http://" + s.status + "/readyz"); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return fmt.Errorf("%s is not ready after %v", s.name, patience)
}

// look reads what operators read.
func (s *sidecar) look() {
	for _, at := range []string{s.status + "/metrics", s.admin + "/status", s.admin + "/health", s.admin + "/peers", s.admin + "/traffic"} {
		if answer, err := http.Get("http://" + at); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
	}
}

// holds is how many goroutines and descriptors it has.
func (s *sidecar) holds() (goroutines, descriptors int, err error) {
	answer, err := http.Get("http://" + s.status + "/metrics")
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch n, _ := strconv.Atoi(value); name {
		case "go_goroutines":
			goroutines = n
		case "process_open_fds":
			descriptors = n
		}
	}
	if goroutines == 0 || descriptors == 0 {
		err = errors.Join(err, fmt.Errorf("%s does not tell what it holds", s.name))
	}
	return goroutines, descriptors, err
}

// configure writes a configuration like the last one, and yet another.
func (s *sidecar) configure() error {
	either := func(of ...string) string { return of[rand.IntN(len(of))] }
	check := func() string {
		return "check: " + either("{ interval: 300ms }", "{ type: http, interval: 300ms, timeout: 400ms }", "{ rise: 2, fall: 3 }", "{ type: off }")
	}
	policy := func() string {
		return either("passive: off", "passive: { failures: 3, window: 2s, for: 1s }", "retries: 0", "max_in_flight: 20", "slow_start: 2s", "on_all_down: try",
			"balance: least_requests", "balance: random_two", "balance: hash")
	}
	cluster := func(name string, backends []*backend, more string) string {
		if rand.IntN(3) == 0 {
			backends = backends[1:]
		}
		var addresses []string
		for _, b := range backends {
			addresses = append(addresses, strconv.Quote(b.address))
		}
		return fmt.Sprintf("  %s: { backends: [%s], %s, %s, timeouts: { response: 2s }%s }\n", name, strings.Join(addresses, ", "), check(), policy(), more)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "name: %s\nlisten:\n  - { name: main, address: %q }\n", s.name, s.plain)
	fmt.Fprintf(&text, "  - { name: secure, address: %q, tls: { certificates: [{ cert: cert.pem, key: cert.pem }] } }\n", s.secure)
	if rand.IntN(2) == 0 {
		fmt.Fprintf(&text, "  - { name: side, address: %q, cluster: %s }\n", s.side, either("one", "two", "h2"))
	}
	fmt.Fprintf(&text, "status: { listen: %q }\nadmin: { listen: %q }\nstate_dir: %s.state\n", s.status, s.admin, s.name)
	fmt.Fprintf(&text, "gossip: { listen: %q, share_loopback: true, join: [%s] }\n", s.gossip, strings.Join(s.stage.gossip(), ", "))
	fmt.Fprintf(&text, "log: { level: %s, access: { file: %s.access } }\n", either("info", "debug", "warn"), s.name)
	fmt.Fprintf(&text, "script: { file: %s.js, record: %d%s }\n", s.name, 100+rand.IntN(900), either("", ", shadow: { file: shadow.js, sample: 50% }"))
	fmt.Fprintf(&text, "shutdown: { drain: 200ms, grace: 20s }\ndev: %s\n", either("true", "false"))
	text.WriteString(either("", "limits: { connections: 60, half_close: 500ms, client_idle: 2s }\n"))
	text.WriteString("clusters:\n" + cluster("one", s.stage.backends[:2], "") + cluster("two", s.stage.backends[2:4], ""))
	text.WriteString(cluster("h2", s.stage.backends[4:], ", protocol: "+either("h2c", "h1")) + either("", cluster("more", s.stage.backends[:4], "")))
	return os.WriteFile(s.file("yaml"), []byte(text.String()), 0o600)
}

// write writes its script.
func (s *sidecar) write(script string) error {
	return os.WriteFile(s.file("js"), []byte(script), 0o600)
}
