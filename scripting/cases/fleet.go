package cases

import (
	"fmt"
	"slices"
	"strings"

	"outrider/scripting"
)

// A Cluster is a cluster as the configuration has it.
type Cluster struct {
	Name     string
	Backends []string // host:port, as written, in order
}

// A Fleet is the clusters with simulated health: every backend is usable until it
// is taken down. It implements [scripting.Clusters]. It is not changed while a
// script may look at it.
type Fleet struct {
	clusters []Cluster
	down     map[string]map[string]bool // by cluster and backend
}

// NewFleet is a fleet in which all is well.
func NewFleet(clusters []Cluster) *Fleet {
	return &Fleet{clusters: clusters, down: make(map[string]map[string]bool)}
}

// TakeDown takes down what it is told to: "one", or a single backend of it,
// "one/10.0.0.7:80". It is an error when there is none of that name.
func (f *Fleet) TakeDown(what string) error {
	name, backend, single := strings.Cut(what, "/")
	c := f.find(name)
	if c == nil {
		return fmt.Errorf("there is no cluster %q%s", name, scripting.DidYouMean(name, f.Names()))
	}
	if single && !slices.Contains(c.Backends, backend) {
		return fmt.Errorf("cluster %s has no backend %q%s; it has %s", name, backend,
			scripting.DidYouMean(backend, c.Backends), strings.Join(c.Backends, ", "))
	}
	if f.down[name] == nil {
		f.down[name] = make(map[string]bool)
	}
	for _, b := range c.Backends {
		if !single || b == backend {
			f.down[name][b] = true
		}
	}
	return nil
}

func (f *Fleet) find(name string) *Cluster {
	i := slices.IndexFunc(f.clusters, func(c Cluster) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &f.clusters[i]
}

// Names implements [scripting.Clusters].
func (f *Fleet) Names() []string {
	names := make([]string, 0, len(f.clusters))
	for _, c := range f.clusters {
		names = append(names, c.Name)
	}
	return names
}

// Health implements [scripting.Clusters].
func (f *Fleet) Health(name string) (healthy, total int, ok bool) {
	c := f.find(name)
	if c == nil {
		return 0, 0, false
	}
	return len(c.Backends) - len(f.down[name]), len(c.Backends), true
}

// IsDown tells whether a backend was taken down.
func (f *Fleet) IsDown(cluster, backend string) bool { return f.down[cluster][backend] }
