//go:build unix

package app_test

import (
	"fmt"
	"syscall"
	"testing"
)

// Out of file descriptors, a sidecar can reach nobody. That is no backend's fault.
func TestOurOwnTroubleIsNoEvidence(t *testing.T) {
	one := newBackends(t, "one-a")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    check: { type: tcp, interval: 50ms, fall: 1 }\n", list(one...)))
	s.awaitReady()
	client := dial(t, s)
	eventually(t, "the client is let in", func() bool { return s.Status().Clients == 1 })
	withoutDescriptors(t, func() {
		if a := client.get("/"); a.status != 502 {
			t.Errorf("got %+v", a)
		}
		s.log.await(t, "a health check could not be made")
	})
	if known := statusOf(s, one[0]); known.State != "up" || known.Reason != "" {
		t.Errorf("the backend is %+v", known)
	}
	if out := s.log.all(" out: "); len(out) > 0 {
		t.Errorf("told: %v", out)
	}
	if a := client.get("/"); a.body != "one-a" {
		t.Errorf("afterwards: %+v", a)
	}
}

// withoutDescriptors does something while this process can open no file.
func withoutDescriptors(t *testing.T, do func()) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}
