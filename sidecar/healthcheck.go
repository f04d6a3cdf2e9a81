package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"outrider/sidecar/config"
	"outrider/sidecar/doctor"
)

func healthcheckVerb() *cobra.Command {
	var from source
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the sidecar on this machine whether it is ready",
		Long: `Ask the sidecar that runs here with the same configuration whether it is ready:
exit code 0 when it is, 1 otherwise. For the HEALTHCHECK of an image that has no
shell. It asks the status listener (status.listen), and needs nothing else of the
configuration: one that is broken since the start does not make the sidecar so.
A sidecar that is left with no network but lo is not healthy, whatever it says
itself (see outrider doctor).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			listen, guessed := config.StatusListen(from.given())
			err := checkReady(ctx, listen)
			if err != nil && guessed != nil {
				return fmt.Errorf("%w\nstatus.listen could not be read from the configuration:\n%w", err, guessed)
			}
			if c, faulty := from.load(); err == nil && faulty == nil {
				err = doctor.Stranded(c)
			}
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "ok")
			}
			return err
		},
	}
	from.register(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "how long to wait")
	return cmd
}

// errNotReady is the answer of a sidecar that runs.
var errNotReady = errors.New("not ready")

func checkReady(ctx context.Context, listen string) error {
	if listen == "" {
		return fmt.Errorf("there is nobody to ask: status.listen is off")
	}
	address, err := onThisMachine(listen)
	if err != nil {
		return fmt.Errorf("status.listen %q: %w", listen, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := new(http.Transport).RoundTrip(request) // by no proxy
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: is outrider running, and is status.listen the same in this configuration?", address)
	case err != nil:
		return fmt.Errorf("the sidecar does not answer on %s: %w", address, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	word := strings.TrimSpace(string(body))
	switch {
	case response.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", errNotReady, word)
	case response.StatusCode != http.StatusOK || word != "ok":
		return fmt.Errorf("what answers on %s is not outrider's status listener: is status.listen the same in this configuration?", address)
	}
	return nil
}

// onThisMachine is where to find what listens on all addresses or on one.
func onThisMachine(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
