package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"outrider/sidecar/admin"
)

// askTimeout bounds a question to a running sidecar.
const askTimeout = 10 * time.Second

func statusVerb() *cobra.Command {
	return view{
		use:   "status",
		short: "Show what a running sidecar sees: clusters, backends, script",
		ask:   func(ctx context.Context, running *admin.Client) (any, error) { return running.Status(ctx) },
		print: func(out io.Writer, v any, p palette) error { return printStatus(out, v.(admin.Status), p) },
	}.verb()
}

func rollbackVerb() *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Make the script before the active one active again",
		Long: `The version of the script that was active before is active again. The one that
the files hold stays out until they change. Exit code 1 when there is none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return from.ask(cmd.Context(), func(ctx context.Context, running *admin.Client) error {
				script, err := running.Rollback(ctx)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "script %s is active again\n", script.Version)
				return nil
			})
		},
	}
	from.register(cmd)
	return cmd
}

func reloadVerb() *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make a running sidecar read configuration and script again",
		Long: "Exit code 1 when it refuses them: then what ran before goes on. A script that was taken back\n" +
			"stays out until its files change, and the rest is reloaded; that is exit code 1, too.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return from.ask(cmd.Context(), func(ctx context.Context, running *admin.Client) error {
				if err := running.Reload(ctx); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
				now, err := running.Status(ctx)
				if err == nil && now.Config.LastReloadError != "" {
					return errors.New("the script stays as it was: " + now.Config.LastReloadError)
				}
				return err
			})
		},
	}
	from.register(cmd)
	return cmd
}

// ask puts a question to the sidecar that runs with this configuration.
func (s *source) ask(ctx context.Context, question func(context.Context, *admin.Client) error) error {
	c, err := s.usable()
	if err != nil {
		return err
	}
	if c.Admin.Listen == "" {
		return fmt.Errorf("there is nobody to ask: admin.listen is off")
	}
	token, err := findAdminToken(c.Admin)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return question(ctx, &admin.Client{Address: c.Admin.Listen, Token: token})
}

// printShadow prints what the shadow would do, if there is one.
func printShadow(out io.Writer, s *admin.ShadowStatus) {
	switch {
	case s == nil:
		return
	case s.Fault != "":
		fmt.Fprintf(out, "shadow %s  refused: %s\n", s.File, s.Fault)
		return
	}
	fmt.Fprintf(out, "shadow %s  version %s  asked %d  failed %d\n", s.File, s.Version, s.Asked, s.Failed)
	for _, m := range s.Moves {
		fmt.Fprintf(out, "  %s -> %s  %d  such as %s\n", m.From, m.To, m.Requests, printable(strings.Join(m.Samples, ", ")))
	}
}

func probation(s *admin.ScriptStatus) string {
	if !s.OnProbation {
		return ""
	}
	return "  on probation, before it " + s.Previous
}

func printStatus(out io.Writer, s admin.Status, colours palette) error {
	fmt.Fprintf(out, "%s  up %s  clients %d  active %d\n", s.Name, time.Duration(s.Uptime).Round(time.Second), s.Clients, s.Active)
	if s.Script != nil {
		fmt.Fprintf(out, "script %s  version %s%s\n", s.Script.File, s.Script.Version, probation(s.Script))
		printShadow(out, s.Script.Shadow)
	}
	if fault := s.Config.LastReloadError; fault != "" {
		fmt.Fprintf(out, "the files are not what is active: %s\n", fault)
	}
	fmt.Fprintln(out)
	t := new(table)
	t.row("CLUSTER", "BACKEND", "STATE", "REQUESTS", "FAILURES", "RETRIED", "REASON")
	named := make(names)
	for _, c := range s.Clusters {
		for _, b := range c.Backends {
			named.count(c.Name, b.Name)
		}
	}
	for _, c := range s.Clusters {
		for _, b := range c.Backends {
			t.row(c.Name, named.of(c.Name, b.Name, b.Address), b.State, fmt.Sprint(b.Requests), fmt.Sprint(b.Failures), fmt.Sprint(b.Retried), b.Reason)
			t.painted(2, func(text string) string { return colours.state(text, b.State) })
		}
	}
	return t.write(out)
}

// names is how often each is a backend's, by cluster: one that resolves to several
// addresses is several backends.
type names map[[2]string]int

func (n names) count(cluster, name string) { n[[2]string{cluster, name}]++ }

// of is the name that a row has: with the address, where the name is not enough.
func (n names) of(cluster, name, address string) string {
	if n[[2]string{cluster, name}] > 1 {
		return located(name, address)
	}
	return name
}
