package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"outrider/sidecar/admin"
	"outrider/sidecar/demo"
)

func demoVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show it all: sample backends, two clusters, the sidecar, a script to edit",
		Long: `Start four sample backends, two clusters and a sidecar in this process, on
loopback (inside a container: on all interfaces), and show each request with the
backend that it went to. In a clone it runs scripts/default.js, elsewhere
./route.js, which it writes if it is not there; where it may not, it writes one
into a temporary folder, and says so.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context()) },
	}
}

func runDemo(ctx context.Context) error {
	token := admin.NewToken()
	err := demo.Run(ctx, demo.Options{
		Out: os.Stdout, Colours: isTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "",
		Host: demoHost(), Version: version(), Token: token, Ports: demo.DefaultPorts(),
	})
	if err == nil {
		fmt.Println("stopped.")
	}
	return err
}

// demoHost is loopback, but in a container all interfaces: ports are published
// to them.
func demoHost() string {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return "0.0.0.0"
		}
	}
	return "127.0.0.1"
}
