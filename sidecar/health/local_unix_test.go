//go:build unix

package health

import (
	"syscall"
	"testing"

	"outrider/sidecar/cause"
)

func TestOutOfDescriptorsIsNoEvidence(t *testing.T) {
	s := listen(t)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err := TCP{}.Check(t.Context(), s.addr())
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil || !cause.Local(err) || err.Error() != "too many open files" {
		t.Errorf("%v, want it to be our own fault", err)
	}
}
