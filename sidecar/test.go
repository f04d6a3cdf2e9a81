package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"outrider/scripting/cases"
	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

// testRun is what `outrider test` was asked for.
type testRun struct {
	from   source
	files  []string
	asJSON bool
}

func testVerb() *cobra.Command {
	var t testRun
	cmd := &cobra.Command{
		Use:   "test [FILE...]",
		Short: "Test the routing script by tables of cases and by tests in JavaScript",
		Long: `Make up requests, have the script decide on them, and compare: as a table says
(.yaml) or a file of tests (.js). Clusters, deadline and on_error are those of
the configuration; nothing is started, and the health of backends is what each
case says.

Without FILE: the files in script.tests, else those beside the script that are
called like it, route.test.yaml and route.test.js for route.js. Exit code 1 when
a test fails.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			t.files = args
			return t.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	t.from.register(cmd)
	cmd.Flags().BoolVar(&t.asJSON, "json", false, "print JSON")
	return cmd
}

// run tests once.
func (t *testRun) run(ctx context.Context, out io.Writer) error {
	c, err := t.from.usable()
	if err != nil {
		return err
	}
	files, err := t.filesFor(c)
	if err != nil {
		return err
	}
	s, err := app.Subject(c)
	if err != nil {
		return err
	}
	report, err := cases.Run(ctx, files, s)
	if err != nil {
		return err
	}
	return t.tell(out, report)
}

func (t *testRun) filesFor(c *config.Config) ([]string, error) {
	if c.Script.File == "" {
		return nil, errors.New("there is no script to test: write script.file in the configuration, or give --script")
	}
	if len(t.files) > 0 {
		return t.files, nil
	}
	if len(c.Script.Tests) > 0 {
		return c.Script.Tests, nil
	}
	if beside := cases.Beside(c.Script.File); len(beside) > 0 {
		return beside, nil
	}
	stem := strings.TrimSuffix(c.Script.File, filepath.Ext(c.Script.File))
	return nil, fmt.Errorf("there are no tests: write %s.test.yaml, such as\n  - { request: GET /one/, expect: one }", stem)
}

func (t *testRun) tell(out io.Writer, report *cases.Report) error {
	write := report.WriteText
	if t.asJSON {
		write = report.WriteJSON
	}
	if err := write(out); err != nil {
		return err
	}
	if failed := report.Failed(); failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, count(len(report.Cases), "test"))
	}
	return nil
}
