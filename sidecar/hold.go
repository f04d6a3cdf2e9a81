package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func holdVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "hold",
		Short: "Do nothing, well: own the network that an app and its sidecar share",
		Long: `Wait for SIGTERM or Ctrl-C, then exit with 0 at once. Containers that share one
network lose it for good when the one that owns it restarts. So let a container
own it that never has to: app and sidecar join it (in compose: network_mode:
"service:NAME") and come and go as they like. As process 1 it also takes note of
the end of processes that have nobody else to do so.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.OutOrStdout(), "holding until SIGTERM")
			hold(cmd.Context())
			return nil
		},
	}
}

// hold waits until ctx is done, and reaps what the kernel makes a child of this
// process meanwhile.
func hold(ctx context.Context) {
	ended, stop := notifyOfEnds()
	defer stop()
	for {
		reap() // first: some may have ended before we were told
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}
