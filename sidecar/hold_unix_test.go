//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
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
