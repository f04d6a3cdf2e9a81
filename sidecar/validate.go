package main

import (
	"fmt"
	"io"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

func validateVerb() *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check configuration and script, and start nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := from.load()
			if err != nil {
				return err
			}
			return validate(cmd.OutOrStdout(), c)
		},
	}
	from.register(cmd)
	return cmd
}

func validate(out io.Writer, c *config.Config) error {
	log := logrus.New()
	log.SetOutput(out)
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableColors: true})
	if err := app.CheckScript(c, log); err != nil {
		return err
	}
	for _, note := range c.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	file := c.File
	if file == "" {
		file = "the environment's configuration"
	}
	script := "the built-in rule"
	if c.Script.File != "" {
		script = "script " + c.Script.File
	}
	fmt.Fprintf(out, "%s is fine: %d listeners, %d clusters, %s\n", file, len(c.Listen), len(c.Clusters), script)
	return nil
}
