package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"outrider/sidecar/admin"
)

func healthVerb() *cobra.Command {
	return view{
		use:   "health",
		short: "Show every backend, and what each sidecar says of it",
		long: `Show a row for each backend: the verdict here, what this sidecar saw itself, what
each peer claims, and why the verdict is what it is. A peer that claims nothing
shows as a dot: claims are about what is wrong.`,
		ask:   func(ctx context.Context, running *admin.Client) (any, error) { return running.Health(ctx) },
		print: func(out io.Writer, v any, p palette) error { return printHealth(out, v.(admin.HealthStatus), p) },
	}.verb()
}

func printHealth(out io.Writer, s admin.HealthStatus, colours palette) error {
	t := new(table)
	t.row(append(append([]string{"CLUSTER", "BACKEND", "VERDICT", s.Self}, s.Peers...), "WHY")...)
	named := make(names)
	for _, b := range s.Backends {
		named.count(b.Cluster, b.Name)
	}
	for _, b := range s.Backends {
		cells := []string{b.Cluster, named.of(b.Cluster, b.Name, b.Address), b.State, ownCell(b.Own)}
		for _, peer := range s.Peers {
			cells = append(cells, claimOf(b, peer))
		}
		t.row(append(cells, b.Why)...)
		t.painted(2, func(text string) string { return colours.state(text, b.State) })
		for i, cell := range cells[3:] {
			t.painted(3+i, func(text string) string { return colours.state(text, cell) })
		}
	}
	if err := t.write(out); err != nil {
		return err
	}
	if s.Silence != "" {
		_, err := fmt.Fprintf(out, "%s tells its peers nothing: %s\n", s.Self, s.Silence)
		return err
	}
	return nil
}

func ownCell(o admin.OwnEvidence) string {
	if o.Well {
		return "up"
	}
	return "down"
}

// claimOf is the latest that a peer says of a backend.
func claimOf(b admin.BackendHealth, peer string) string {
	if !b.Shared {
		return "-"
	}
	for _, c := range b.Claims {
		if c.Peer == peer {
			return c.State
		}
	}
	return "."
}
