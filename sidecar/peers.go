package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"outrider/sidecar/admin"
)

func peersVerb() *cobra.Command {
	return view{
		use:   "peers",
		short: "Show the other sidecars: who, since when, what they run and stand before",
		long: `Show the sidecars that this one gossips with. What differs from this sidecar's own
version, script or configuration is marked with an asterisk.`,
		ask:   func(ctx context.Context, running *admin.Client) (any, error) { return running.Peers(ctx) },
		print: func(out io.Writer, v any, p palette) error { return printPeers(out, v.(admin.PeersStatus), p) },
	}.verb()
}

func printPeers(out io.Writer, s admin.PeersStatus, colours palette) error {
	if !s.Enabled {
		_, err := fmt.Fprintln(out, "no gossip: this sidecar has no peers (write the section gossip)")
		return err
	}
	t := new(table)
	t.row("NAME", "ADDRESS", "SINCE", "VERSION", "SCRIPT", "CONFIG", "FRONTS", "STATE")
	for i, p := range append([]admin.PeerStatus{s.Self}, s.Peers...) {
		state := "here"
		if i > 0 {
			state = "alive"
		}
		if p.Draining {
			state = "draining"
		}
		t.row(p.Name, p.Address, time.Since(p.Since).Round(time.Second).String(), marked(p, "version", p.Version),
			marked(p, "script", orElse(p.Script, "built-in")), marked(p, "config", p.Config), orElse(p.Fronts, "-"), state)
		for column, part := range []string{3: "version", 4: "script", 5: "config"} {
			if part != "" && slices.Contains(p.Drift, part) {
				t.painted(column, func(text string) string { return colours.paint("33", text) })
			}
		}
	}
	if err := t.write(out); err != nil {
		return err
	}
	return printHearing(out, s)
}

func marked(p admin.PeerStatus, part, value string) string {
	if slices.Contains(p.Drift, part) {
		return value + "*"
	}
	return value
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// printHearing tells what is wrong with the network among the peers.
func printHearing(out io.Writer, s admin.PeersStatus) error {
	var trouble []string
	if s.Score > 0 {
		trouble = append(trouble, fmt.Sprintf("this sidecar is slow to answer its peers (health score %d of 8)", s.Score))
	}
	if s.OnlyTCP > 0 {
		trouble = append(trouble, fmt.Sprintf("%d pings got through by TCP alone: something blocks UDP, and news take seconds", s.OnlyTCP))
	}
	if len(s.Rejected) > 0 {
		var reasons []string
		for reason, n := range s.Rejected {
			reasons = append(reasons, fmt.Sprintf("%d %s", n, reason))
		}
		slices.Sort(reasons)
		trouble = append(trouble, "rejected: "+strings.Join(reasons, ", "))
	}
	for _, line := range trouble {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
