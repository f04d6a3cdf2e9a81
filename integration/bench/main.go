// Command bench measures what a proxied request costs: Outrider, plain and with the default script, beside
// nginx, HAProxy and Go's own reverse proxy, each alone on its core while it is measured. It prints a
// Markdown table. The README beside it says how to read the figures, and what is fair about them.
//
//	go run ./integration/bench -rounds 5 -contenders nginx,haproxy
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"outrider/integration/command"
)

func main() {
	// Every process started here is told to end when the thread that started it does (see own), so they are
	// all started by the thread that lives as long as the program.
	runtime.LockOSThread()
	command.Main("bench", run)
}

func run(ctx context.Context, arguments []string, table, progress io.Writer) error {
	o, err := parseOptions(arguments, progress)
	if err != nil {
		return err
	}
	if runtime.GOOS != "linux" {
		return errors.New("the benchmark reads /proc and its backend uses epoll: run it on Linux")
	}
	dir, err := os.MkdirTemp("", "outrider-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for configurations and programs: %w", err)
	}
	defer os.RemoveAll(dir)

	bench, err := prepare(ctx, o, dir, progress)
	if err != nil {
		return err
	}
	var findings []finding
	for _, s := range o.scenarios {
		stage, err := bench.on(ctx, s)
		if err != nil {
			return err
		}
		all, err := stage.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		findings = append(findings, finding{stage: stage, all: all})
	}
	if err := draw(o.chart, findings[0]); err != nil {
		return err
	}
	return publish(bench.report(findings), o.out, table)
}

// publish writes the report to table, and to the named file too unless the name is empty.
func publish(report, file string, table io.Writer) error {
	if _, err := io.WriteString(table, report); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if file == "" {
		return nil
	}
	if err := os.WriteFile(file, []byte(report), 0o644); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}
