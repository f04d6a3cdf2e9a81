package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"outrider/scripting/cases"
	"outrider/sidecar/app"
)

func explainVerb() *cobra.Command {
	var from source
	var q app.Question
	var headers []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain METHOD URL",
		Short: "Explain what the routing script decides on one request",
		Long: `Explain one decision: make the request up, have the script decide on it as in
production, and tell what it decided, why, what it wrote to its console, and
which backends the request could go to. Nothing is started.

URL is a path, or absolute. Every backend is usable, unless --down says otherwise.`,
		Example: `  outrider explain GET /one/x
  outrider explain POST https://shop.example/cart -H 'X-Beta: 1' --down canary --down one/10.0.0.7:80`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			fields, err := parseHeaders(headers)
			if err != nil {
				return err
			}
			q.Sketch.Line, q.Sketch.Headers = args[0]+" "+args[1], fields
			c, err := from.usable()
			if err != nil {
				return err
			}
			e, err := app.Explain(c, q)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(e)
			}
			return printExplanation(cmd.OutOrStdout(), e, c.Script.Timeout)
		},
	}
	from.register(cmd)
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, "a header of the request, 'Name: value'; may be repeated")
	cmd.Flags().StringArrayVar(&q.Down, "down", nil, "a cluster that is down, or one backend, cluster/host:port; may be repeated")
	cmd.Flags().StringVar(&q.Sketch.IP, "ip", "", "the client's address (default 127.0.0.1)")
	cmd.Flags().StringVar(&q.Sketch.Listener, "listener", "", "the listener that it comes in by (default the first that asks the script)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func parseHeaders(lines []string) ([]cases.Header, error) {
	var fields []cases.Header
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%q is no header; write it as 'Name: value'", line)
		}
		fields = append(fields, cases.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	return fields, nil
}

func printExplanation(out io.Writer, e *app.Explanation, deadline time.Duration) error {
	fmt.Fprintln(out, e.Request)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	if e.Script != "" {
		line("script", "%s, version %s", e.Script, e.Version)
	}
	line("outcome", "%s", e.Outcome)
	if e.Error != "" {
		line("error", "%s", e.Error)
	}
	if e.Cluster != "" {
		line("cluster", "%s", e.Cluster)
	}
	if e.Rule != "" {
		line("rule", "%s", e.Rule)
	}
	if e.Forward != nil {
		tellForward(line, e.Forward)
	}
	for _, said := range e.Console {
		line("console", "%s", said)
	}
	if e.Script != "" {
		line("took", "%s, in a new runtime; the deadline is %s", e.Took.Round(time.Microsecond), deadline)
	}
	line("then", "%s", e.Then)
	if e.Respond != nil {
		for _, h := range e.Respond.Headers {
			line("", "%s: %s", h[0], h[1])
		}
		line("", "%q", e.Respond.Body)
	}
	for _, b := range e.Backends {
		line("backend", "%s", describeCandidate(b))
	}
	return table.Flush()
}

// tellForward tells what is done to the request on its way.
func tellForward(line func(name, format string, args ...any), f *app.Forward) {
	for _, side := range []struct {
		name  string
		edits []app.Edit
	}{{"request", f.RequestHeaders}, {"response", f.ResponseHeaders}} {
		for _, h := range side.edits {
			if h.Values == nil {
				line(side.name, "without %s", h.Name)
			}
			for _, value := range h.Values {
				line(side.name, "%s: %s", h.Name, value)
			}
		}
	}
	if f.Path != "" {
		line("path", "%s", f.Path)
	}
	if f.Timeout != "" {
		line("timeout", "%s", f.Timeout)
	}
}

func describeCandidate(b app.Candidate) string {
	words := b.Address
	if b.Weight > 1 {
		words += fmt.Sprintf(", weight %d", b.Weight)
	}
	if !b.Usable {
		words += ", down"
	}
	return words
}
