package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"outrider/scripts"
	"outrider/sidecar/config"
)

func initVerb() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Write a configuration and a routing script to start from",
		Long: `Write outrider.yaml with every key and its default, and scripts/ with a routing
script and the types that editors complete from. Files that are there already
stay as they are, unless --force is given.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			for _, f := range starterFiles() {
				told, err := write(filepath.Join(folder, f.path), f.content, force)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), told)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "next: outrider validate, then outrider run")
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite files that exist")
	return cmd
}

type starterFile struct {
	path    string
	content []byte
}

func starterFiles() []starterFile {
	return []starterFile{
		{"outrider.yaml", config.Example()},
		{"scripts/route.js", scripts.Default},
		{"scripts/outrider.d.ts", scripts.Types},
	}
}

func write(path string, content []byte, force bool) (told string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return path + " is there already: left as it is", nil
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	return path + " written", errors.Join(err, f.Close())
}
