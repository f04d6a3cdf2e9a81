package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"outrider/sidecar/admin"
	"outrider/sidecar/config"
	"outrider/sidecar/doctor"
)

func doctorVerb() *cobra.Command {
	var from source
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong around the sidecar, and say what to change",
		Long: `Look for what is wrong around a sidecar with this configuration, where it stands:
in its container (docker compose exec ... /outrider doctor), or before it starts.

  a network namespace with nothing but lo, whose owner has restarted
  a configuration, script, data or tests mounted as a single file: edits never arrive
  a file that cannot be read: a secret, a token, certificates
  addresses to listen on that are taken, or not to be had (unless the sidecar runs)
  names that cannot be resolved, or that are one virtual address for many
  backends that cannot be reached, or close idle connections before the sidecar does
  peers whose port refuses TCP or UDP

It sends each backend one HEAD request, and waits for as long as an idle connection
is kept. Whether UDP to a peer is dropped on the way only a sidecar that runs can tell,
and is asked.

Exit code 1 when something is wrong. A note may be meant as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, places, err := config.LoadPlaces(from.given())
			if err != nil {
				return fmt.Errorf("the configuration is not usable:\n%w", err)
			}
			p := doctor.Patient{Config: c, Places: places, Patience: patience, Running: runs(cmd.Context(), c)}
			if p.Running && c.Gossip != nil {
				if p.OnlyTCP, err = from.onlyTCP(cmd.Context()); err != nil {
					fmt.Fprintf(cmd.OutOrStdout(), "note: the sidecar that runs could not be asked whether UDP reaches its peers: %v\n", err)
				}
			}
			return tellFindings(cmd.OutOrStdout(), p.Examine(cmd.Context()))
		},
	}
	from.register(cmd)
	cmd.Flags().DurationVar(&patience, "patience", 10*time.Second, "how long to watch an idle connection at most")
	return cmd
}

// runs tells whether a sidecar answers where this configuration says.
func runs(ctx context.Context, c *config.Config) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := checkReady(ctx, c.Status.Listen)
	return err == nil || errors.Is(err, errNotReady)
}

// onlyTCP asks the sidecar that runs how many pings UDP did not carry.
func (s *source) onlyTCP(ctx context.Context) (pings uint64, err error) {
	err = s.ask(ctx, func(ctx context.Context, running *admin.Client) error {
		peers, err := running.Peers(ctx)
		pings = peers.OnlyTCP
		return err
	})
	return pings, err
}

func tellFindings(out io.Writer, findings []doctor.Finding) error {
	wrong := 0
	for _, f := range findings {
		parts := []string{}
		if f.Severity == doctor.Note {
			parts = append(parts, "note")
		} else {
			wrong++
		}
		for _, part := range []string{f.Where, f.Key, f.What} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		fmt.Fprintf(out, "%s\n    %s\n", strings.Join(parts, ": "), f.Remedy)
	}
	switch wrong {
	case 0:
		fmt.Fprintln(out, "nothing wrong was found")
		return nil
	case 1:
		return errors.New("1 thing is wrong")
	}
	return fmt.Errorf("%d things are wrong", wrong)
}
