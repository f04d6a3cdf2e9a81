//go:build unix

package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// asBackend tells a test binary to be a backend.
const asBackend = "OUTRIDER_TEST_AS_BACKEND"

// beBackend serves until standard input ends, and says where on standard output.
func beBackend() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	go func() {
		_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "process") }))
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// process is a backend in a process of its own.
func process(t *testing.T) (p *os.Process, addr string) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), asBackend+"=1")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGCONT)
		_ = in.Close()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return command.Process, strings.TrimSpace(line)
}

// The kernel goes on accepting connections for a process that is stopped, so
// that a check which connects finds nothing wrong.
func TestAStoppedProcessLeavesAfterFiveClientErrorsAndComesBack(t *testing.T) {
	p, addr := process(t)
	other := newBackends(t, "other")[0]
	s := start(t, fmt.Sprintf(`clusters:
  one:
    backends: [%q, %q]
    check: { type: tcp, interval: 50ms }
    timeouts: { response: 100ms }
    passive: { for: 500ms }
`, addr, other.addr))
	s.awaitReady()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	failed := 0
	eventually(t, "it is out", func() bool {
		if a := s.get("/"); a.status >= 500 {
			failed++
		}
		return len(s.log.all(addr+" out: 5x timeout")) == 1
	})
	if failed > 5 {
		t.Errorf("%d client errors before it was out", failed)
	}
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is back", func() bool { return s.get("/").body == "process" })
}
