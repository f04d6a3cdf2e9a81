package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"outrider/scripts"
	"outrider/sidecar/config"
)

func initVerb() *cobra.Command {
	var force bool
	var a attachment
	cmd := &cobra.Command{
		Use:   "init [FOLDER] | init --compose SERVICE:PORT",
		Short: "Write a configuration and a routing script to start from",
		Long: `Write outrider.yaml with every key and its default, and scripts/ with a routing
script, its tests, the types that editors complete from, and a guide. Files that
are there already stay as they are, unless --force is given.

With --compose, put a sidecar beside a service of your compose file instead: write
an override file, which compose reads by itself, and a folder outrider/SERVICE with
configuration and script. Requests to the published port then go through the
sidecar to PORT, on which the app listens in its container; what the app asks at
http://127.0.0.1:6188 the script decides on. Delete the override file to detach.`,
		Example: `  outrider init
  outrider init --compose shop:3000
  outrider init --compose shop:3000 --compose orders:8080 -f deploy/compose.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(a.targets) > 0 {
				if len(args) > 0 {
					return fmt.Errorf("%q: with --compose everything is written beside the compose file, which -f names", args[0])
				}
				a.force = force
				return attachTo(cmd.OutOrStdout(), a)
			}
			if a.file != "" || a.output != "" || a.legacy {
				return errors.New("-f, --output and --compose-v1 belong to --compose SERVICE:PORT")
			}
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			return writeStarter(cmd.OutOrStdout(), folder, force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite files that exist; with --compose, the override file alone")
	cmd.Flags().StringArrayVar(&a.targets, "compose", nil, "put a sidecar beside this SERVICE:PORT of a compose file; can be repeated")
	cmd.Flags().StringVarP(&a.file, "file", "f", "", "the compose file (default: the one that compose finds)")
	cmd.Flags().StringVarP(&a.output, "output", "o", "", "the override file (default: the one that belongs to the compose file)")
	cmd.Flags().BoolVar(&a.legacy, "compose-v1", false, "for docker-compose 1.x")
	return cmd
}

func writeStarter(out io.Writer, folder string, force bool) error {
	files, err := starterFiles()
	if err != nil {
		return err
	}
	if err := writeAll(out, folder, files, force); err != nil {
		return err
	}
	fmt.Fprint(out, "\nnext:\n")
	if folder != "." {
		fmt.Fprintf(out, "  cd %s\n", folder)
	}
	fmt.Fprint(out, `  edit outrider.yaml        your backends belong under clusters; those there are examples
  edit scripts/route.js     where each request goes; route.test.yaml says what has to come out
  outrider test             try it, or: outrider explain GET /one/x
  outrider validate
  outrider run
`)
	return nil
}

// writeAll writes files below a folder, and tells of each. Those that are there stay,
// without force.
func writeAll(out io.Writer, folder string, files []starterFile, force bool) error {
	for _, f := range files {
		told, err := write(filepath.Join(folder, f.path), f.content, force)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, told)
	}
	return nil
}

type starterFile struct {
	path    string
	content []byte
}

// starter is a routing script like the built-in rule, ready to be edited, with what
// stands beside it.
//
//go:embed starter
var starter embed.FS

func starterFiles() ([]starterFile, error) {
	guide, err := scripts.Files.ReadFile("README.md")
	if err != nil {
		return nil, err
	}
	files := []starterFile{{"outrider.yaml", starterConfig()}}
	for _, name := range []string{"route.js", "route.test.yaml", "jsconfig.json"} {
		content, err := starter.ReadFile("starter/" + name)
		if err != nil {
			return nil, err
		}
		files = append(files, starterFile{"scripts/" + name, content})
	}
	return append(files, starterFile{"scripts/outrider.d.ts", scripts.Types}, starterFile{"scripts/README.md", guide}), nil
}

// starterConfig is the example with its script switched on: the one beside it is
// there to be edited.
func starterConfig() []byte {
	return bytes.Replace(config.Example(), []byte("  #file: scripts/route.js "), []byte("  file: scripts/route.js  "), 1)
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
