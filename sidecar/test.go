package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"outrider/scripting/cases"
	"outrider/sidecar/app"
	"outrider/sidecar/config"
	"outrider/sidecar/watch"
)

// testRun is what `outrider test` was asked for.
type testRun struct {
	from   source
	files  []string
	asJSON bool
	watch  bool
	read   []string // the files of the last run that came to a report
	record string   // the id of a request
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
			if t.record != "" {
				return t.addRecorded(cmd.Context(), cmd.OutOrStdout())
			}
			if t.watch {
				return t.again(cmd.Context(), cmd.OutOrStdout())
			}
			return t.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	t.from.register(cmd)
	cmd.Flags().BoolVar(&t.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&t.watch, "watch", false, "test again whenever a file changes, until Ctrl-C")
	cmd.Flags().StringVar(&t.record, "record", "", "add the decision of a running sidecar on a request, by its id, to the table, and do nothing else")
	return cmd
}

// addRecorded adds a case to the first table.
func (t *testRun) addRecorded(ctx context.Context, out io.Writer) error {
	e, err := recorded(ctx, &t.from, t.record)
	if err != nil {
		return err
	}
	c, err := t.from.usable()
	if err != nil {
		return err
	}
	file, err := t.table(c)
	if err != nil {
		return err
	}
	row, left := app.RowOf(e)
	if err := cases.Append(file, row); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: added the request %s\n", file, e.ID)
	for _, what := range left {
		fmt.Fprintf(out, "  without %s, of which there is only a hash: write a value of your own\n", what)
	}
	return nil
}

// table is the file that a case is added to: the first table that there is, or the
// one beside the script that there could be.
func (t *testRun) table(c *config.Config) (string, error) {
	if c.Script.File == "" {
		return "", errors.New("there is no script to test: write script.file in the configuration, or give --script")
	}
	for _, file := range slices.Concat(t.files, c.Script.Tests, cases.BesideNames(c.Script.File)) {
		if ext := filepath.Ext(file); ext == ".yaml" || ext == ".yml" {
			return file, nil
		}
	}
	return "", errors.New("there is no table to add to: name a .yaml file")
}

// again tests now and whenever one of the files changes, until ctx is done.
func (t *testRun) again(ctx context.Context, out io.Writer) error {
	w, err := watch.New()
	if err != nil {
		return fmt.Errorf("files can not be watched: %w", err)
	}
	defer w.Close()
	for {
		files := t.watched()
		before := watch.Around(files)
		if err := t.run(ctx, out); err != nil {
			fmt.Fprintf(out, "%v\n", err)
		}
		if now := t.watched(); !slices.Equal(now, files) { // it has read more
			files, before = now, watch.Around(now)
		}
		if ctx.Err() == nil {
			fmt.Fprintf(out, "\nwaiting for a change\n")
		}
		look := func() watch.Glance {
			w.Follow(files)
			now := watch.Around(files)
			return watch.Glance{Now: now, Changed: now != before}
		}
		if !w.Changed(ctx, time.Second, look) {
			return nil
		}
	}
}

// watched are the files that the tests depend on, as far as they can be known.
func (t *testRun) watched() []string {
	files := slices.Concat(t.files, t.read)
	c, err := t.from.load()
	if err != nil { // it may be the configuration that has to change
		return append(files, cmp.Or(t.from.file, "outrider.yaml"))
	}
	if c.File != "" {
		files = append(files, c.File)
	}
	if c.Script.Data != "" {
		files = append(files, c.Script.Data)
	}
	if c.Script.File != "" {
		files = append(files, c.Script.File)
		files = append(files, cases.BesideNames(c.Script.File)...)
	}
	return append(files, c.Script.Tests...)
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
	t.read = report.Files
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
