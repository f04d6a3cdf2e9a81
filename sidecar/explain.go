package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"outrider/scripting/cases"
	"outrider/scripting/record"
	"outrider/sidecar/app"
)

func explainVerb() *cobra.Command {
	var from source
	var q app.Question
	var headers []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain METHOD URL | REQUEST-ID",
		Short: "Explain what the routing script decides on one request, or has decided",
		Long: `Explain one decision: make the request up, have the script decide on it as in
production, and tell what it decided, why, what it wrote to its console, and
which backends the request could go to. Nothing is started.

URL is a path, or absolute. Every backend is usable, unless --down says otherwise.

With the id of a request (X-Request-Id; the access log has it) tell what a running
sidecar has decided on it, and all that the script read for that. The last
script.record decisions are kept; of credentials there is a hash.`,
		Example: `  outrider explain GET /one/x
  outrider explain POST https://shop.example/cart -H 'X-Beta: 1' --down canary --down one/10.0.0.7:80
  outrider explain 5f3a91c0d2b47e68`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && isMethod(args[0]) {
				return fmt.Errorf("%s of what? write outrider explain %s /path", args[0], args[0])
			}
			if len(args) == 1 {
				e, err := recorded(cmd.Context(), &from, args[0])
				if err != nil {
					return err
				}
				return tellRecorded(cmd.OutOrStdout(), e, asJSON)
			}
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

func isMethod(word string) bool {
	return word == http.MethodGet || word == http.MethodHead || word == http.MethodPost || word == http.MethodPut ||
		word == http.MethodPatch || word == http.MethodDelete || word == http.MethodOptions
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

// tellRecorded tells of a decision that was made.
func tellRecorded(out io.Writer, e *record.Entry, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(e)
	}
	fmt.Fprintf(out, "request %s, %s\n", e.ID, e.At.Format(time.DateTime+".000"))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	d := e.Decision
	line("version", "%s", e.Version)
	line("outcome", "%s", d.Outcome)
	if d.Error != "" {
		line("error", "%s", d.Error)
	}
	switch {
	case d.Status != 0:
		line("respond", "%d", d.Status)
	case d.Cluster != "":
		line("cluster", "%s", d.Cluster)
	}
	if d.Rule != "" {
		line("rule", "%s", d.Rule)
	}
	for _, p := range []struct {
		name  string
		value *string
	}{
		{"req.method", e.Read.Method}, {"req.path", e.Read.Path}, {"req.query", e.Read.Query}, {"req.host", e.Read.Host},
		{"req.scheme", e.Read.Scheme}, {"req.ip", e.Read.IP}, {"req.listener", e.Read.Listener},
	} {
		if p.value != nil {
			line("read", "%s  %s", p.name, *p.value)
		}
	}
	tellFields(line, "req.headers", e.Read.Headers)
	tellFields(line, "req.cookies", e.Read.Cookies)
	for _, c := range e.Clusters {
		line("saw", "%s  %d of %d usable", c.Name, c.Healthy, c.Total)
	}
	return table.Flush()
}

func tellFields(line func(name, format string, args ...any), kind string, fields []record.Field) {
	for _, f := range fields {
		switch {
		case f.Absent:
			line("read", "%s['%s']  not there", kind, f.Name)
		default:
			line("read", "%s['%s']  %s", kind, f.Name, f.Value)
		}
	}
}
