// Package program builds and watches the real program for tests that see it from
// outside.
package program

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// Build builds the program in a folder, with further flags of go build, and returns
// the path of the binary. The working folder must lie in the module.
func Build(folder string, flags ...string) (binary string, err error) {
	binary = filepath.Join(folder, "outrider")
	build := exec.Command("go", slices.Concat([]string{"build", "-o", binary}, flags, []string{"outrider/sidecar"})...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if slices.Contains(flags, "-race") {
		build.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the sidecar: %w\n%s", err, text)
	}
	return binary, nil
}

// Main builds the program, sets *binary to its path, and runs the tests; the exit
// code is theirs.
func Main(m *testing.M, binary *string) int {
	folder, err := os.MkdirTemp("", "outrider")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	if *binary, err = Build(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// FreeAddress is an address of loopback on which nobody listened a moment ago.
func FreeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Log is what a process tells, readable while it runs.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Eventually looks every few milliseconds whether what is told holds, and ends the
// test when it does not within patience.
func Eventually(t testing.TB, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
