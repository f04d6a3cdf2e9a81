package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"outrider/scripting/cases"
	"outrider/sidecar/admin"
	"outrider/sidecar/app"
)

// explain is what `outrider explain` was asked for.
type explain struct {
	from    source
	q       app.Question
	headers []string
	offline bool
	asJSON  bool
}

func explainVerb() *cobra.Command {
	var x explain
	cmd := &cobra.Command{
		Use:   "explain METHOD URL | REQUEST-ID",
		Short: "Explain what would happen to a request, or what has happened to one",
		Long: `With a method and a URL (a path, or absolute): have the sidecar that runs here tell
what would happen to such a request now: what the script decides, where in the
file and by what it read, and each backend of the cluster, whether it would be
asked, and who says what of it. Nothing is sent. Where no sidecar runs, or with
--offline, the files decide; every backend is usable then, unless --down says
otherwise.

With the id of a request (X-Request-Id; the access log has it) tell what has
happened to it: the decision, what the script read for it, each try on a backend,
and what was known of the backends at that time. The last script.record requests
are kept; of credentials there is a hash.`,
		Example: `  outrider explain GET /one/x
  outrider explain POST https://shop.example/cart -H 'X-Beta: 1' --down canary --down one/10.0.0.7:80
  outrider explain 5f3a91c0d2b47e68`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return x.run(cmd.Context(), cmd.OutOrStdout(), args) },
	}
	x.from.register(cmd)
	cmd.Flags().StringArrayVarP(&x.headers, "header", "H", nil, "a header of the request, 'Name: value'; may be repeated")
	cmd.Flags().StringArrayVar(&x.q.Down, "down", nil, "a cluster that is down, or one backend, cluster/host:port; may be repeated; implies --offline")
	cmd.Flags().StringVar(&x.q.Sketch.IP, "ip", "", "the client's address (default 127.0.0.1)")
	cmd.Flags().StringVar(&x.q.Sketch.Listener, "listener", "", "the listener that it comes in by (default the first that asks the script)")
	cmd.Flags().BoolVar(&x.offline, "offline", false, "ask the files, also where a sidecar runs")
	cmd.Flags().BoolVar(&x.asJSON, "json", false, "print JSON")
	return cmd
}

func (x *explain) run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) == 1 && isMethod(args[0]) {
		return fmt.Errorf("%s of what? write outrider explain %s /path", args[0], args[0])
	}
	e, deadline, err := x.explanation(ctx, args)
	switch {
	case err != nil:
		return err
	case x.asJSON:
		return printJSON(out, e)
	}
	return printExplanation(out, e, deadline)
}

func (x *explain) explanation(ctx context.Context, args []string) (e *admin.Explanation, deadline time.Duration, err error) {
	c, err := x.from.usable()
	if err != nil {
		return nil, 0, err
	}
	if len(args) == 1 {
		e, err = x.recalled(ctx, args[0])
		return e, c.Script.Timeout, err
	}
	if x.q.Sketch.Headers, err = parseHeaders(x.headers); err != nil {
		return nil, 0, err
	}
	x.q.Sketch.Line = args[0] + " " + args[1]
	if !x.offline && x.q.Down == nil {
		e, err = x.running(ctx, args)
		if err == nil || !isNobody(err) {
			return e, c.Script.Timeout, err
		}
	}
	e, err = app.Explain(c, x.q)
	if err == nil && !x.offline && x.q.Down == nil {
		e.Asked += "; no sidecar runs here with them"
	}
	return e, c.Script.Timeout, err
}

// isNobody tells that no sidecar runs here: nothing listens, or none left a token.
func isNobody(err error) bool {
	return errors.Is(err, admin.ErrNobody) || errors.Is(err, fs.ErrNotExist)
}

// running has the sidecar that runs explain a made-up request.
func (x *explain) running(ctx context.Context, args []string) (*admin.Explanation, error) {
	q := admin.Question{Method: args[0], URL: args[1], IP: x.q.Sketch.IP, Listener: x.q.Sketch.Listener}
	for _, h := range x.q.Sketch.Headers {
		q.Headers = append(q.Headers, [2]string{h.Name, h.Value})
	}
	var e admin.Explanation
	err := x.from.ask(ctx, func(ctx context.Context, running *admin.Client) (err error) {
		e, err = running.Explain(ctx, q)
		return err
	})
	return &e, err
}

// recalled is what has happened to a request.
func (x *explain) recalled(ctx context.Context, id string) (*admin.Explanation, error) {
	var e admin.Explanation
	err := x.from.ask(ctx, func(ctx context.Context, running *admin.Client) (err error) {
		e, err = running.Recall(ctx, id)
		return err
	})
	return &e, err
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

func printExplanation(out io.Writer, e *admin.Explanation, deadline time.Duration) error {
	title := e.Request
	if e.ID != "" {
		title = fmt.Sprintf("request %s, %s  %s", e.ID, e.At.Format(time.DateTime+".000"), e.Request)
	}
	fmt.Fprintln(out, printable(strings.TrimRight(title, " ")))
	t := new(table)
	line := func(name, format string, args ...any) { t.row(name, fmt.Sprintf(format, args...)) }
	line("asked", "%s", e.Asked)
	tellDecision(line, e, deadline)
	tellRead(line, e)
	if e.Exchange != nil {
		tellExchange(line, e.Exchange)
	}
	if e.Then != "" {
		line("then", "%s", e.Then)
	}
	if e.Respond != nil && e.Exchange == nil {
		for _, h := range e.Respond.Headers {
			line("", "%s: %s", h[0], h[1])
		}
		line("", "%q", e.Respond.Body)
	}
	for _, b := range e.Backends {
		line("backend", "%s", describeCandidate(b))
		if b.Skip != "" {
			line("", "  passed over: %s", b.Skip)
		}
		if b.Why != "" {
			line("", "  %s", b.Why)
		}
	}
	return t.write(out)
}

// tellDecision tells what was decided, by what.
func tellDecision(line func(name, format string, args ...any), e *admin.Explanation, deadline time.Duration) {
	if e.Script != "" {
		line("script", "%s, version %s", e.Script, e.Version)
	}
	line("outcome", "%s", e.Outcome)
	for _, p := range [][2]string{{"error", e.Error}, {"cluster", e.Cluster}, {"rule", e.Rule}, {"at", e.Place}} {
		if p[1] != "" {
			line(p[0], "%s", p[1])
		}
	}
	if e.Forward != nil {
		tellForward(line, e.Forward)
	}
	for _, said := range e.Console {
		line("console", "%s", said)
	}
	if e.Took > 0 {
		line("took", "%s, in a new runtime; the deadline is %s", e.Took.Round(time.Microsecond), deadline)
	}
}

// tellRead tells what the script read of the request, and of the clusters.
func tellRead(line func(name, format string, args ...any), e *admin.Explanation) {
	for _, r := range e.Read {
		if r.Absent {
			line("read", "%s  not there", r.What)
			continue
		}
		line("read", "%s  %s", r.What, r.Value)
	}
	for _, s := range e.Saw {
		line("saw", "%s  %d of %d usable", s.Cluster, s.Healthy, s.Total)
	}
}

// tellExchange tells what became of a request, try by try.
func tellExchange(line func(name, format string, args ...any), x *admin.Exchange) {
	for _, a := range x.Attempts {
		if a.Failure != "" {
			line("try", "%s  failed after %g ms: %s", located(a.Backend, a.Resolved), a.After, a.Failure)
			continue
		}
		line("try", "%s  answered", located(a.Backend, a.Resolved))
	}
	line("end", "%s, after %g ms", x.End, x.Took)
	if x.Trace != "" {
		line("trace", "%s", x.Trace)
	}
	if x.Detail != "" {
		line("why", "%s", x.Detail)
	}
}

// tellForward tells what is done to the request on its way.
func tellForward(line func(name, format string, args ...any), f *admin.Forward) {
	for _, side := range []struct {
		name  string
		edits []admin.Edit
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

// located is a backend's name with its address, where it has one that is another.
func located(name, address string) string {
	if address == "" {
		return name
	}
	return name + " (" + address + ")"
}

func describeCandidate(b admin.Candidate) string {
	words := located(b.Address, b.Resolved)
	if b.Weight > 1 {
		words += fmt.Sprintf(", weight %d", b.Weight)
	}
	switch {
	case b.State != "":
		words += ", " + b.State
	case !b.Usable:
		words += ", down"
	}
	return words
}
