// Command soak runs three sidecars, built with the race detector, for a while amid
// everything at once: clients of every protocol that leave when they like, backends
// that stop, stall, refuse and break off, configurations and scripts that change, also
// to broken ones, certificates that are swapped, restarts. Failed requests are part of
// it. What must never be: an answer with another's bytes, one that does not come, a
// status that nothing here gives, a data race, a process that ends badly, something
// left over at the end.
//
//	go run ./integration/soak -for 10m
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	long := flags.Duration("for", time.Minute, "how long")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	binary, err := build(folder)
	if err != nil {
		return err
	}
	t := newTally(out)
	err = soak(ctx, newStage(folder, binary, t), *long)
	t.write()
	if n := t.wrong.Load(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d things went wrong", n))
	}
	if err != nil {
		return fmt.Errorf("%w; logs and configurations are in %s", err, folder)
	}
	return os.RemoveAll(folder)
}

// build builds the program with the race detector.
func build(folder string) (binary string, err error) {
	binary = filepath.Join(folder, "program")
	command := exec.Command("go", "build", "-race", "-o", binary, "outrider/sidecar")
	command.Env = append(os.Environ(), "CGO_ENABLED=1")
	if text, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the sidecar: %w\n%s", err, text)
	}
	return binary, nil
}

func soak(ctx context.Context, s *stage, long time.Duration) error {
	if err := s.open(); err != nil {
		return err
	}
	defer s.kill()
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	s.rage(ctx)
	return s.settle()
}
