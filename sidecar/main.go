// The command outrider: a sidecar proxy that stands beside an app. Each verb has
// a file of its own; what they do is in the packages below.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(execute(os.Args[1:]))
}

// execute runs one verb and gives the exit code: 0, or 1 when it could not do
// what it was asked.
func execute(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	root := command()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "outrider: %v\n", err)
		return 1
	}
	return 0
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "outrider",
		Short: "A sidecar proxy that asks your JavaScript where each request goes",
		Long: `Outrider stands beside an app. It proxies HTTP to clusters of backends, checks
their health, and asks your routing script which cluster each request belongs to.

Begin with:  outrider demo`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		runVerb(), demoVerb(), holdVerb(),
		validateVerb(), testVerb(), explainVerb(), replayVerb(),
		statusVerb(), dashboardVerb(), peersVerb(), healthVerb(), healthcheckVerb(), doctorVerb(),
		reloadVerb(), rollbackVerb(), drainVerb(), undrainVerb(),
		initVerb(), keygenVerb(), typesVerb(), schemaVerb(), versionVerb(),
	)
	return root
}
