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
	return &cobra.Command{
		Use:   "types [FOLDER]",
		Short: "Write outrider.d.ts, the types of routing scripts, for editors",
		Long: `Write outrider.d.ts, from which editors and type checkers know what a routing
script can use. The one that is there is replaced: call it after an update.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			return writeTypes(cmd.OutOrStdout(), filepath.Join(folder, "outrider.d.ts"))
		},
	}
}

func writeTypes(out io.Writer, path string) error {
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, scripts.Types) {
		fmt.Fprintf(out, "%s is up to date\n", path)
		return nil
	}
	told, err := write(path, scripts.Types, true)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, told)
	return nil
}
