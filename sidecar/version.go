package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set at build time: -ldflags "-X main.release=v1.2.3".
var release string //nolint:gochecknoglobals // the linker knows no other way

func versionVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print what was built, and from what",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "outrider %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version is the release, or the commit that this was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		return "development"
	}
	if settings["vcs.modified"] == "true" {
		return commit[:min(7, len(commit))] + "-modified"
	}
	return commit[:min(7, len(commit))]
}
