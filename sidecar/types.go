package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"outrider/scripts"
)

func typesVerb() *cobra.Command {
	var testing bool
	cmd := &cobra.Command{
		Use:   "types [FOLDER]",
		Short: "Write outrider.d.ts, the types of routing scripts, for editors",
		Long: `Write outrider.d.ts, from which editors and type checkers know what a routing
script can use; with --testing also testing.js, for tests by another runner than
outrider test. What is there is replaced: call it after an update.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			if err := refresh(cmd.OutOrStdout(), filepath.Join(folder, "outrider.d.ts"), scripts.Types); err != nil || !testing {
				return err
			}
			return refresh(cmd.OutOrStdout(), filepath.Join(folder, "testing.js"), scripts.Testing)
		},
	}
	cmd.Flags().BoolVar(&testing, "testing", false, "write testing.js, too")
	return cmd
}

// refresh makes a file of ours hold what this version has.
func refresh(out io.Writer, path string, content []byte) error {
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, content) {
		fmt.Fprintf(out, "%s is up to date\n", path)
		return nil
	}
	told, err := write(path, content, true)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, told)
	return nil
}
