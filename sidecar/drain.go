package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"outrider/sidecar/admin"
)

func drainVerb() *cobra.Command {
	var from source
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Ask the peers to send no new requests to the app beside this sidecar",
		Long: `The peers stop choosing the app's address for new requests within a moment, unless
no other backend is left. It ends by ` + "`outrider undrain`" + `, or with the sidecar.
With --wait the command returns that much later: then the requests of before have
had time to end, and the app can be stopped.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return from.ask(cmd.Context(), func(ctx context.Context, running *admin.Client) error {
				s, err := running.Drain(ctx, false)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "draining: %d peers are told\n", s.Peers)
				return pause(cmd.Context(), wait)
			})
		},
	}
	from.register(cmd)
	cmd.Flags().DurationVar(&wait, "wait", 0, "return so much later")
	return cmd
}

// pause returns after a while, or with an error when ctx is done before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func undrainVerb() *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:   "undrain",
		Short: "Take a drain back",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return from.ask(cmd.Context(), func(ctx context.Context, running *admin.Client) error {
				s, err := running.Drain(ctx, true)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "no longer draining: %d peers are told\n", s.Peers)
				return nil
			})
		},
	}
	from.register(cmd)
	return cmd
}
