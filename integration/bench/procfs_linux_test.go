package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestUsageOfThisProcessIsWhatTheKernelChargesIt(t *testing.T) {
	least := charged(t)
	got, err := procfs("/proc").usage([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	most := charged(t)
	// utime and stime are each cut to whole ticks.
	if got.clock < least-2*clockTick || got.clock > most {
		t.Errorf("the clock says %v, getrusage %v before and %v after", got.clock, least, most)
	}
	var sum time.Duration
	for _, used := range got.threads {
		sum += used
	}
	if sum == 0 || sum > most {
		t.Errorf("the threads add up to %v, getrusage says %v", sum, most)
	}
}

func TestTreeHasTheProcessAndItsDescendants(t *testing.T) {
	shell := exec.Command("sh", "-c", "sleep 60 & echo $!; wait")
	shell.SysProcAttr = own()
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = signalGroup(shell.Process.Pid, syscall.SIGKILL)
		_ = shell.Wait()
	}()
	var child int
	if _, err := fmt.Fscanln(bufio.NewReader(out), &child); err != nil {
		t.Fatal(err)
	}
	got, err := procfs("/proc").tree(shell.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	want := []int{shell.Process.Pid, child}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMemoryAndCoresOfThisProcessAreKnown(t *testing.T) {
	held, err := procfs("/proc").resident([]int{os.Getpid()})
	if err != nil || held < 1<<20 {
		t.Errorf("resident memory %d, %v", held, err)
	}
	m, err := thisMachine("/proc")
	if err != nil || len(m.cores) == 0 || m.cpu == "" || m.kernel == "" {
		t.Errorf("machine %+v, %v", m, err)
	}
}

// charged is the CPU time of this process so far.
func charged(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
