//go:build unix

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestHoldEndsWellWhenItIsTold(t *testing.T) {
	for _, told := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		holder := exec.Command(os.Args[0])
		holder.Args = []string{"outrider", "hold"} // testscript makes the test's program be the command of this name
		holder.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
		out, err := holder.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "holding until SIGTERM\n" {
			t.Errorf("it says %q, %v", line, err)
		}
		if err := holder.Process.Signal(told); err != nil {
			t.Fatal(err)
		}
		if err := holder.Wait(); err != nil {
			t.Errorf("told by %v, it ends with %v", told, err)
		}
	}
}

func TestHoldReapsWhatNobodyElseWaitsFor(t *testing.T) {
	program := filepath.Join(t.TempDir(), "outrider")
	if err := os.Symlink(os.Args[0], program); err != nil {
		t.Fatal(err)
	}
	// The child is the shell's, and so that of what the shell becomes.
	holder := exec.Command("/bin/sh", "-c", `sh -c 'read -r _' <&3 & echo $!; exec `+program+` hold`)
	holder.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	holder.ExtraFiles = []*os.File{theirs}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	}()
	said := bufio.NewReader(out)
	var child int
	if _, err := fmt.Fscanln(said, &child); err != nil {
		t.Fatal(err)
	}
	if line, err := said.ReadString('\n'); err != nil {
		t.Fatalf("it says %q, %v", line, err)
	}
	_, _ = theirs.Close(), ours.Close() // the child ends
	deadline := time.Now().Add(patience)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for syscall.Kill(child, 0) == nil { // a zombie can still be found
		if time.Now().After(deadline) {
			t.Fatal("the child that ended is still there")
		}
		<-look.C
	}
}
