package app

import (
	"context"

	"outrider/scripting/cases"
	"outrider/sidecar/config"
	"outrider/sidecar/rollout"
)

// Subject is the script of a configuration as it is tested: with the clusters, the
// deadline and the error policy that it has in production.
func Subject(c *config.Config) (cases.Subject, error) { return rollout.Subject(scriptSettings(c)) }

func clustersOf(c *config.Config) []cases.Cluster {
	var all []cases.Cluster
	for _, cl := range c.Clusters {
		made := cases.Cluster{Name: cl.Name}
		for _, b := range cl.Backends {
			made.Backends = append(made.Backends, b.Address())
		}
		all = append(all, made)
	}
	return all
}

// TestScript runs the tests that a configuration names. Without any the report is
// empty.
func TestScript(ctx context.Context, c *config.Config) (*cases.Report, error) {
	if len(c.Script.Tests) == 0 {
		return new(cases.Report), nil
	}
	s, err := Subject(c)
	if err != nil {
		return nil, err
	}
	return cases.Run(ctx, c.Script.Tests, s)
}
