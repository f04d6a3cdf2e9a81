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
	"time"

	"outrider/integration/command"
	"outrider/integration/program"
)

func main() { command.Main("soak", run) }

func run(ctx context.Context, arguments []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(progress)
	long := flags.Duration("for", time.Minute, "how long")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	binary, err := program.Build(folder, "-race")
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
