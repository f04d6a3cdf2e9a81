package rollout

import (
	"math/rand/v2"
	"time"

	"outrider/scripting"
	"outrider/scripting/cases"
	"outrider/scripting/record"
)

// Asked is what a version decides on one request, and why.
type Asked struct {
	Script, Version string
	Decision        scripting.Decision
	Said            []string      // to its console
	Took            time.Duration // the first call in a new runtime
	Place           string        // where it returned: file:line:column; empty: it did not, or nobody wrote that
	Read            record.Entry  // what it read; hashes of credentials
}

// Ask asks a script in runtimes of its own: nothing is counted or recorded. It is
// asked twice at the same moment, the second time for the place where it returns.
func Ask(s cases.Subject, r scripting.Request, m scripting.Moment) (*Asked, error) {
	if m.Now.IsZero() {
		m.Now = time.Now()
	}
	if m.Seed == 0 {
		m.Seed = rand.Uint64() | 1
	}
	a := &Asked{Script: s.Source.Name}
	bench, err := cases.NewBench(s)
	if err != nil {
		return nil, err
	}
	defer bench.Close()
	a.Version = bench.Version()
	began := time.Now()
	a.Decision, a.Said = bench.Route(r, m)
	a.Took = time.Since(began)

	s.Options.Places = true
	placing, err := cases.NewBench(s)
	if err != nil {
		return nil, err
	}
	defer placing.Close()
	ring := record.NewRing(1)
	m.OnCall = func(n *scripting.Reading, d scripting.Decision) {
		a.Place = n.Place
		ring.Add(a.Version, n, d)
	}
	placing.Route(r, m)
	if entries := ring.Entries(); len(entries) > 0 {
		a.Read = entries[0]
	}
	return a, nil
}

// Ask asks the active version about a made-up request, with the clusters as they
// are. See the function of that name.
func (v *Versions) Ask(r scripting.Request) (*Asked, error) {
	active := v.active.Load()
	return Ask(active.snapshot.subject(active.settings), r, scripting.Moment{Clusters: v.options.Clusters})
}

// PlaceOf is where a recorded decision was returned, file:line:column. It is empty
// when the version that decided is not known any more, or decides otherwise now.
func (v *Versions) PlaceOf(e *record.Entry) string {
	from := v.find(e.Version)
	if from == nil {
		return ""
	}
	options := from.settings.scripting(from.snapshot)
	options.Log, options.Clusters, options.Workers, options.Places = new(remarks).logger(), v.options.Clusters, 1, true
	script, err := scripting.Load(from.snapshot.source(), options)
	if err != nil {
		return ""
	}
	defer script.Close()
	again := e.Again(script, v.options.Clusters)
	if again.Decision != e.Decision {
		return ""
	}
	return again.Place
}

// find is a version that is kept in memory.
func (v *Versions) find(hash string) *version {
	if active := v.active.Load(); active.hash == hash {
		return active
	}
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.previous != nil && v.previous.hash == hash {
		return v.previous
	}
	return nil
}
