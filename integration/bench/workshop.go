package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// buildTimeout bounds each compilation; the first one of a fresh clone also compiles the libraries.
const buildTimeout = 5 * time.Minute

// program is an executable of the system (found by name) or one that is built here.
type program struct {
	name    string
	pkg     string   // import path of a Go program of this module
	source  string   // of a C program, below this folder
	version []string // arguments that make it print its version; nil: the compiler's version tells it
}

// system says whether it must have been installed.
func (p program) system() bool { return p.pkg == "" && p.source == "" }

// workshop finds the programs of the system and builds those of this module into dir.
type workshop struct {
	dir  string
	root string // the module's folder
}

func newWorkshop(ctx context.Context, dir string) (workshop, error) {
	text, err := output(ctx, "go", "env", "GOMOD")
	if err != nil {
		return workshop{}, fmt.Errorf("find the module: %w", err)
	}
	file := strings.TrimSpace(text)
	if filepath.Base(file) != "go.mod" {
		return workshop{}, errors.New("find the module: start the benchmark inside the outrider checkout")
	}
	return workshop{dir: dir, root: filepath.Dir(file)}, nil
}

// have returns the path and the version of a program.
func (w workshop) have(ctx context.Context, p program) (path, version string, err error) {
	if path, err = w.path(ctx, p); err != nil {
		return "", "", err
	}
	switch {
	case p.version != nil:
		version, err = firstLine(ctx, path, p.version...)
	case p.source != "":
		version, err = firstLine(ctx, "cc", "--version")
	default:
		version = runtime.Version()
	}
	return path, version, err
}

// path returns where the program is, after building it when it is one of this module's.
func (w workshop) path(ctx context.Context, p program) (string, error) {
	if p.system() {
		return find(p.name)
	}
	to := filepath.Join(w.dir, p.name)
	if _, err := os.Stat(to); err == nil {
		return to, nil
	}
	if p.source != "" {
		source := filepath.Join(w.root, "integration", "bench", p.source)
		return to, w.build(ctx, "cc", "-std=c11", "-O2", "-pthread", "-o", to, source)
	}
	return to, w.build(ctx, "go", "build", "-o", to, p.pkg)
}

// backend compiles the C program that stands behind the proxies.
func (w workshop) backend(ctx context.Context) (string, error) {
	return w.path(ctx, program{name: "backend", source: "backend/backend.c"})
}

func (w workshop) build(ctx context.Context, name string, arguments ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	if text, err := output(ctx, name, arguments...); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(arguments, " "), err, strings.TrimSpace(text))
	}
	return nil
}

// firstLine returns what a program says about its version, in one line.
func firstLine(ctx context.Context, path string, arguments ...string) (string, error) {
	text, err := output(ctx, path, arguments...)
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	// wrk prints its version and exits with 1, as it does when used wrongly.
	if line == "" {
		return "", fmt.Errorf("%s %s says nothing: %w", path, strings.Join(arguments, " "), err)
	}
	return trimVersion(line), nil
}

// trimVersion leaves out what programs say around their versions: "HAProxy version 2.6.12 2024/06/20 -
// https://haproxy.org/", "nginx version: nginx/1.22.1", "wrk 4.1.0 [epoll] Copyright ...".
func trimVersion(line string) string {
	line, _, _ = strings.Cut(line, " - ")
	line, _, _ = strings.Cut(line, " [")
	if _, after, ok := strings.Cut(line, " version"); ok {
		line = strings.TrimLeft(after, ": ")
	}
	return line
}

// missing names those of the system's programs that are not there.
func missing(programs []string) error {
	var absent []string
	for _, name := range programs {
		if _, err := find(name); err != nil {
			absent = append(absent, name)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	return fmt.Errorf("not installed: %s; integration/bench/setup.sh installs them, or leave their contenders out with -contenders",
		strings.Join(absent, ", "))
}

// find looks for a program in PATH and where servers are installed, which an ordinary user's PATH may lack.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find a program: %w", err)
}

// output runs a command to its end, or until ctx ends, and returns all that it printed.
func output(ctx context.Context, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.SysProcAttr = own()
	command.Cancel = func() error { return signalGroup(command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = patience
	text, err := command.CombinedOutput()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return string(text), err
}
