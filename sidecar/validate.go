package main

import (
	"context"
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
		Short: "Check configuration and script, run the script's tests, and start nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := from.usable()
			if err != nil {
				return err
			}
			return validate(cmd.Context(), cmd.OutOrStdout(), c)
		},
	}
	from.register(cmd)
	return cmd
}

func validate(ctx context.Context, out io.Writer, c *config.Config) error {
	log := logrus.New()
	log.SetOutput(out)
	log.SetFormatter(sentences{})
	if err := app.CheckScript(c, log); err != nil {
		return fmt.Errorf("the script is not usable:\n%w", err)
	}
	tested, err := app.TestScript(ctx, c)
	if err == nil {
		err = tested.Err()
	}
	if err != nil {
		return fmt.Errorf("the script does not meet script.tests:\n%w", err)
	}
	if c.Admin.TokenFile != "" {
		if _, err := configuredToken(c.Admin.TokenFile); err != nil {
			return err
		}
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
	if n := len(tested.Cases); n > 0 {
		script += ", " + count(n, "test")
	}
	fmt.Fprintf(out, "%s is fine: %s, %s, %s\n", file, count(len(c.Listen), "listener"), count(len(c.Clusters), "cluster"), script)
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// sentences writes log entries as one reads them: "warning: ...".
type sentences struct{}

// Format implements logrus.Formatter.
func (sentences) Format(e *logrus.Entry) ([]byte, error) {
	return fmt.Appendf(nil, "%s: %s\n", e.Level, e.Message), nil
}
