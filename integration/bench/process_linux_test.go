package main

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStoppedProcessIsGone(t *testing.T) {
	p := startShell(t, "exec sleep 60")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("signalling it gives %v, want %v", err, syscall.ESRCH)
	}
}

func TestProcessThatEndedByItselfIsAnErrorWithItsLastWords(t *testing.T) {
	p := startShell(t, "echo port taken >&2; exit 3")
	<-p.ended
	err := p.stop()
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the exit status", err)
	}
	if words := p.lastWords(); !strings.Contains(words, "port taken") {
		t.Errorf("its last words are %q", words)
	}
}

func TestProcessRunsOnItsCoresOnly(t *testing.T) {
	cores, err := procfs("/proc").cores()
	if err != nil {
		t.Fatal(err)
	}
	last := cores[len(cores)-1:]
	p := startOn(t, last, "grep Cpus_allowed_list /proc/self/status")
	<-p.ended
	if words := p.lastWords(); !strings.HasSuffix(words, ":\t"+listOf(last)) {
		t.Errorf("it was allowed %q, want core %v", words, last)
	}
}

func startShell(t *testing.T, script string) *process {
	t.Helper()
	cores, err := procfs("/proc").cores()
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, cores, script)
}

func startOn(t *testing.T, cores []int, script string) *process {
	t.Helper()
	p, err := start(launch{
		name: "shell", path: "/bin/sh", arguments: []string{"-c", script},
		cores: cores, log: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
