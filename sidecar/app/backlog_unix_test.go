//go:build unix

package app_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"outrider/sidecar/app"
)

func TestTheBacklogBoundsWhoWaitsToBeAccepted(t *testing.T) {
	for _, row := range []struct {
		backlog  string
		attempts int
		allLetIn bool
	}{{"1", 10, false}, {"4096", 50, true}} {
		address, letIn := "", 0
		start(t, fmt.Sprintf("limits: { backlog: %s }\nclusters:\n  one:\n    backends: %s\n", row.backlog, list(newBackends(t, "one-a")...)),
			func(o *app.Options) {
				o.Listen = func(_, at string) (net.Listener, error) {
					ln, err := net.Listen("tcp", at)
					if err == nil && address == "" {
						address = ln.Addr().String()
					}
					return ln, err
				}
			},
			andOnOpen(func() error {
				for range row.attempts {
					nc, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
					if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
						return nil
					}
					if err != nil {
						return err
					}
					t.Cleanup(func() { _ = nc.Close() })
					letIn++
				}
				return nil
			}))
		if all := letIn == row.attempts; all != row.allLetIn {
			t.Errorf("backlog %s: %d of %d connections were let in before anybody accepted", row.backlog, letIn, row.attempts)
		}
	}
}
