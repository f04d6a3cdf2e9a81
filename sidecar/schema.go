package main

import (
	"github.com/spf13/cobra"

	"outrider/scripting/cases"
	"outrider/sidecar/config"
)

func schemaVerb() *cobra.Command {
	var tests bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, or of tables of tests, for editors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := config.Schema()
			if tests {
				text = cases.Schema()
			}
			_, err := cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&tests, "tests", false, "of tables of tests, route.test.yaml")
	return cmd
}
