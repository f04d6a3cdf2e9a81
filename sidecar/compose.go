package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"outrider/scripts"
	"outrider/sidecar/attach"
)

// attachment is what init --compose is to do.
type attachment struct {
	targets []string // SERVICE:PORT
	file    string   // the compose file; "" looks for it
	output  string   // the override file; "" stands beside the compose file
	legacy  bool     // for docker-compose 1.x
	force   bool     // overwrite the override file
}

// composeFiles are the names that compose looks for, in its order.
func composeFiles() []string {
	return []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
}

// overrideFiles are the names of override files that compose reads by itself. It
// takes one, or refuses two.
func overrideFiles() []string {
	return []string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"}
}

// attachTo writes the override file, and what the sidecars start with, into a
// folder outrider beside the compose file.
func attachTo(out io.Writer, a attachment) error {
	var targets []attach.Target
	for _, text := range a.targets {
		t, err := attach.ParseTarget(text)
		if err != nil {
			return fmt.Errorf("--compose %w", err)
		}
		targets = append(targets, t)
	}
	file, err := a.composeFile()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("the compose file: %w", err)
	}
	output := a.output
	if output == "" {
		output = overrideOf(file)
	}
	if err := a.free(output); err != nil {
		return err
	}
	override, err := attach.Make(file, text, targets, attach.Options{Legacy: a.legacy, Folder: "./outrider"})
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := writeBeside(out, filepath.Join(filepath.Dir(file), "outrider", t.Service), t); err != nil {
			return err
		}
	}
	// Last: from now on compose reads it.
	told, err := write(output, override.Text, a.force)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, told)
	for _, note := range override.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	a.tellToAttach(out, file, output, targets)
	return nil
}

func (a attachment) composeFile() (string, error) {
	if a.file != "" {
		return a.file, nil
	}
	for _, name := range composeFiles() {
		if _, err := os.Stat(name); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("there is no compose file here (%s): name it by -f", strings.Join(composeFiles(), ", "))
}

// overrideOf is the override file that belongs to a compose file.
func overrideOf(file string) string {
	extension := filepath.Ext(file)
	return strings.TrimSuffix(file, extension) + ".override" + extension
}

// free tells who has the place of the override file already.
func (a attachment) free(output string) error {
	taken := []string{output}
	if isFoundByCompose(output) {
		taken = nil
		for _, name := range overrideFiles() {
			taken = append(taken, filepath.Join(filepath.Dir(output), name))
		}
	}
	for _, path := range taken {
		_, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), a.force && path == output:
		case err != nil:
			return err
		case path == output:
			return fmt.Errorf("%s is there already, and is left as it is: --force overwrites it, --output FILE writes another, to be given to compose by -f", path)
		default:
			return fmt.Errorf("%s is there already, and compose reads one such file only: --output FILE writes another, to be given to compose by -f", path)
		}
	}
	return nil
}

func isFoundByCompose(override string) bool {
	return slices.Contains(overrideFiles(), filepath.Base(override))
}

// writeBeside writes what the sidecar of a service starts with. What is there
// already stays: it may have been edited.
func writeBeside(out io.Writer, folder string, t attach.Target) error {
	files, err := filesBeside(t)
	if err != nil {
		return err
	}
	return writeAll(out, folder, files, false)
}

func filesBeside(t attach.Target) ([]starterFile, error) {
	page, err := template.ParseFS(starter, "starter/beside/outrider.yaml")
	if err != nil {
		return nil, err
	}
	var configuration bytes.Buffer
	if err := page.Execute(&configuration, map[string]any{"Service": t.Service, "Port": t.Port, "In": attach.In, "Out": attach.Out}); err != nil {
		return nil, err
	}
	files := []starterFile{{"outrider.yaml", configuration.Bytes()}}
	for _, f := range []struct{ name, from string }{
		{"route.js", "starter/beside/route.js"}, {"route.test.yaml", "starter/beside/route.test.yaml"}, {"jsconfig.json", "starter/jsconfig.json"},
	} {
		content, err := starter.ReadFile(f.from)
		if err != nil {
			return nil, err
		}
		files = append(files, starterFile{"scripts/" + f.name, content})
	}
	guide, err := scripts.Files.ReadFile("README.md")
	return append(files, starterFile{"scripts/outrider.d.ts", scripts.Types}, starterFile{"scripts/README.md", guide}), err
}

// tellToAttach tells the commands that attach and detach.
func (a attachment) tellToAttach(out io.Writer, file, output string, targets []attach.Target) {
	compose := "docker compose"
	if a.legacy {
		compose = "docker-compose"
	}
	attached, detached := compose, compose
	if file != filepath.Base(file) || !slices.Contains(composeFiles(), file) {
		detached += " -f " + file
	}
	if detached != compose || !isFoundByCompose(output) {
		attached += " -f " + file + " -f " + output
	}
	var services []string
	for _, t := range targets {
		services = append(services, t.Service)
	}
	fmt.Fprintf(out, `
next, with an image called outrider (or OUTRIDER_IMAGE=...):
  %s stop %s      its ports and names move
  %s up -d
to detach, delete %s, and:
  %s up -d --remove-orphans
`, attached, strings.Join(services, " "), attached, output, detached)
}
