package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"outrider/sidecar/admin"
)

func dashboardVerb() *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Print a link to the dashboard of a running sidecar",
		Long: `The link lets one browser in, once, within an hour; the browser stays in for twelve.
In front of an admin listener that has another address for the browser, as a
published port has, put that in the place of host and port.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return from.ask(cmd.Context(), func(ctx context.Context, running *admin.Client) error {
				link, err := running.Invite(ctx)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), link)
				return nil
			})
		},
	}
	from.register(cmd)
	return cmd
}
