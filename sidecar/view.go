package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"outrider/sidecar/admin"
)

// view is a verb that shows something of the sidecar that runs: once, as JSON, or
// again and again.
type view struct {
	use, short, long string
	ask              func(context.Context, *admin.Client) (any, error)
	print            func(io.Writer, any, palette) error
}

func (v view) verb() *cobra.Command {
	var from source
	var asJSON bool
	var every watching
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := func(ctx context.Context, out io.Writer) error {
				return from.ask(ctx, func(ctx context.Context, running *admin.Client) error {
					answer, err := v.ask(ctx, running)
					switch {
					case err != nil:
						return err
					case asJSON:
						return printJSON(out, answer)
					}
					return v.print(out, answer, newPalette(cmd.OutOrStdout()))
				})
			}
			if !every.on {
				return show(cmd.Context(), cmd.OutOrStdout())
			}
			return every.run(cmd.Context(), cmd.OutOrStdout(), show)
		},
	}
	from.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&every.on, "watch", "w", false, "show it again and again, until Ctrl-C")
	cmd.Flags().DurationVar(&every.interval, "interval", time.Second, "how often, with --watch")
	return cmd
}

func printJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// watching shows something again and again.
type watching struct {
	on       bool
	interval time.Duration
}

// run draws each picture whole, over the one before when out is a terminal. What
// can not be had is shown in its place: the sidecar may come back.
func (w watching) run(ctx context.Context, out io.Writer, show func(context.Context, io.Writer) error) error {
	if w.interval < 100*time.Millisecond {
		return fmt.Errorf("--interval %s is too short: 100ms is the least", w.interval)
	}
	file, _ := out.(*os.File)
	home := ""
	if file != nil && isTerminal(file) {
		home = "\x1b[H\x1b[2J"
	}
	next := time.NewTicker(w.interval)
	defer next.Stop()
	for {
		var picture bytes.Buffer
		if err := show(ctx, &picture); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			fmt.Fprintln(&picture, err)
		}
		if _, err := fmt.Fprintf(out, "%s%s%s\n", home, time.Now().Format("15:04:05\n"), picture.Bytes()); err != nil {
			return err
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// palette colours words where that is wanted.
type palette struct{ on bool }

// newPalette colours on a terminal alone, and not with NO_COLOR
// (https://no-color.org).
func newPalette(out io.Writer) palette {
	file, ok := out.(*os.File)
	return palette{ok && isTerminal(file) && os.Getenv("NO_COLOR") == ""}
}

func (p palette) paint(colour, text string) string {
	if !p.on || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// state is a verdict in its colour.
func (p palette) state(text, state string) string {
	switch state {
	case "up":
		return p.paint("32", text)
	case "down":
		return p.paint("31", text)
	case "suspect", "trial", "draining":
		return p.paint("33", text)
	}
	return text
}
