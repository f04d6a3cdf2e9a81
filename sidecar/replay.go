package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"outrider/scripting/record"
	"outrider/sidecar/admin"
	"outrider/sidecar/app"
)

// replay is what `outrider replay` was asked for.
type replay struct {
	from   source
	dump   string // read from here; "" = from a running sidecar
	save   string // written to here
	strict bool
	asJSON bool
}

func replayVerb() *cobra.Command {
	var r replay
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Have a script decide again on the requests that a sidecar has recorded",
		Long: `Have the routing script (--script, else that of the configuration) decide again
on the last requests of a running sidecar, at the time, with the random numbers
and with the health of then, and tell which of them would go elsewhere.

A record holds what the script of then read, and hashes of credentials. Where
another script reads more, it is not known where the request would go.`,
		Example: `  outrider replay --script scripts/next.ts
  outrider replay --save decisions.jsonl
  outrider replay --script scripts/next.ts --from decisions.jsonl --strict`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	r.from.register(cmd)
	cmd.Flags().StringVar(&r.dump, "from", "", "a file that --save has written, in the place of a running sidecar")
	cmd.Flags().StringVar(&r.save, "save", "", "write the recorded decisions to a file, a JSON object on each line, and do nothing else")
	cmd.Flags().BoolVar(&r.strict, "strict", false, "exit code 1 when a request goes elsewhere")
	cmd.Flags().BoolVar(&r.asJSON, "json", false, "print JSON")
	return cmd
}

func (r *replay) run(ctx context.Context, out io.Writer) error {
	lines, err := r.lines(ctx)
	if err != nil {
		return err
	}
	entries, err := record.Parse(bytes.NewReader(lines))
	if err != nil {
		return fmt.Errorf("%s: %w", cmp.Or(r.dump, "the sidecar's answer"), err)
	}
	if r.save != "" {
		if err := os.WriteFile(r.save, lines, 0o600); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s written to %s\n", count(len(entries), "decision"), r.save)
		return nil
	}
	c, err := r.from.usable()
	if err != nil {
		return err
	}
	if c.Script.File == "" {
		return errors.New("there is no script: write script.file in the configuration, or give --script")
	}
	again, err := app.ReplayDecisions(c, c.Script.File, entries)
	if err != nil {
		return err
	}
	if err := r.tell(out, again); err != nil {
		return err
	}
	if n := again.Moves.Moved; n > 0 && r.strict {
		return fmt.Errorf("%s would go elsewhere", count(n, "request"))
	}
	return nil
}

// lines are the recorded decisions.
func (r *replay) lines(ctx context.Context) ([]byte, error) {
	if r.dump != "" {
		return os.ReadFile(r.dump)
	}
	return askDecisions(ctx, &r.from, "")
}

// askDecisions asks the running sidecar.
func askDecisions(ctx context.Context, from *source, id string) (lines []byte, err error) {
	err = from.ask(ctx, func(ctx context.Context, running *admin.Client) error {
		lines, err = running.Decisions(ctx, id)
		return err
	})
	return lines, err
}

// recorded is the decision of the running sidecar on one request.
func recorded(ctx context.Context, from *source, id string) (*record.Entry, error) {
	lines, err := askDecisions(ctx, from, id)
	if err != nil {
		return nil, err
	}
	entries, err := record.Parse(bytes.NewReader(lines))
	if err != nil {
		return nil, fmt.Errorf("the answer of the sidecar: %w", err)
	}
	if len(entries) != 1 {
		return nil, fmt.Errorf("the sidecar answers %s for one request", count(len(entries), "decision"))
	}
	return &entries[0], nil
}

func (r *replay) tell(out io.Writer, again *app.Replay) error {
	if r.asJSON {
		return printJSON(out, replayReport(again))
	}
	m := &again.Moves
	fmt.Fprintf(out, "%s made again by %s, version %s: %d elsewhere\n", count(m.Compared, "decision"), again.Script, again.Version, m.Moved)
	if m.Moved > 0 {
		t := new(table)
		t.row("FROM", "TO", "REQUESTS", "SUCH AS")
		for _, move := range m.Most() {
			t.row(move.From, move.To, fmt.Sprint(m.By[move]), strings.Join(m.Samples[move], ", "))
		}
		if err := t.write(out); err != nil {
			return err
		}
	}
	if m.Unknown > 0 {
		fmt.Fprintf(out, "of %d it is not known where they would go; the record has no\n", m.Unknown)
		for _, what := range slices.Sorted(maps.Keys(m.Wanted)) {
			fmt.Fprintf(out, "  %s (%d)\n", printable(what), m.Wanted[what])
		}
	}
	return nil
}

// movesReport is what a replay comes to, for programs.
type movesReport struct {
	Script   string         `json:"script"`
	Version  string         `json:"version"`
	Compared int            `json:"compared"`         // decisions that were made again
	Moved    int            `json:"moved"`            // of those that would go elsewhere
	Moves    []moveReport   `json:"moves"`            // the most frequent first
	Unknown  int            `json:"unknown"`          // of which it is not known: the script reads what was not recorded
	Wanted   map[string]int `json:"wanted,omitempty"` // what that is, and how often
}

type moveReport struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Requests int      `json:"requests"`
	Samples  []string `json:"samples"` // paths of some
}

func replayReport(again *app.Replay) movesReport {
	m := &again.Moves
	moves := []moveReport{}
	for _, move := range m.Most() {
		moves = append(moves, moveReport{move.From, move.To, m.By[move], m.Samples[move]})
	}
	return movesReport{again.Script, again.Version, m.Compared, m.Moved, moves, m.Unknown, m.Wanted}
}
