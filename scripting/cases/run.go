package cases

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"outrider/scripting"
)

// Run tests a script against the cases of some files, in order. A report with
// failures is no error: see [Report.Err]. An error means that there is nothing to
// report: the script does not load, or a file can not be read, is no table
// ([Faults]), or holds no case.
func Run(ctx context.Context, files []string, s Subject) (*Report, error) {
	r := &runner{subject: s, pairs: make(map[string]*pair)}
	defer r.close()
	first, err := r.pairFor(s)
	if err != nil {
		return nil, err
	}
	r.report = &Report{Script: s.Source.Name, Version: first.used.Version(), Files: slices.Clone(s.Files)}
	for _, file := range files {
		if err := r.file(ctx, file); err != nil {
			return nil, err
		}
	}
	r.cover()
	return r.report, nil
}

type runner struct {
	subject Subject
	pairs   map[string]*pair // by data and environment
	report  *Report
	reached []string // clusters, again and again
}

// A pair is a script in a runtime that serves case after case, and in one that is
// new each time.
type pair struct{ used, fresh *Bench }

// pairFor is the pair for cases with this data and this environment.
func (r *runner) pairFor(s Subject) (*pair, error) {
	key := fmt.Sprintf("%q %q", s.Options.Data, s.Options.Env) // which sorts the names
	if p := r.pairs[key]; p != nil {
		return p, nil
	}
	used, err := NewBench(s)
	if err != nil {
		return nil, err
	}
	fresh, err := NewBench(s)
	if err != nil {
		used.Close()
		return nil, err
	}
	r.pairs[key] = &pair{used, fresh}
	return r.pairs[key], nil
}

func (r *runner) close() {
	for _, p := range r.pairs {
		p.used.Close()
		p.fresh.Close()
	}
}

func (r *runner) file(ctx context.Context, file string) error {
	r.report.Files = append(r.report.Files, file)
	switch filepath.Ext(file) {
	case ".yaml", ".yml":
		return r.table(ctx, file)
	case ".js", ".mjs", ".ts", ".mts":
		return r.script(ctx, file)
	}
	return fmt.Errorf("%s: tests are in files that end in .yaml (a table), .js or .ts", file)
}

func (r *runner) table(ctx context.Context, file string) error {
	content, err := readTableFile(file)
	if err != nil {
		return err
	}
	t := readTable(file, content)
	t.checkDown(r.subject.Clusters)
	if err := t.err(); err != nil {
		return err
	}
	if len(t.rows) == 0 {
		return fmt.Errorf("%s holds no case; begin with: - { request: GET /, expect: %s }", file, anyName(r.subject.Clusters))
	}
	for i := range t.rows {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := r.row(&t.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func anyName(clusters []Cluster) string {
	if len(clusters) == 0 {
		return "one"
	}
	return clusters[0].Name
}

// readTableFile reads a table, whose size is bounded.
func readTableFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Mode().IsRegular() && info.Size() > MaxTable {
		err = fmt.Errorf("%s has %d bytes, the most is %d; make several files of it", file, info.Size(), MaxTable)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// checkDown looks whether what is down exists.
func (t *table) checkDown(clusters []Cluster) {
	for _, row := range t.rows {
		fleet := NewFleet(clusters)
		for i, what := range row.Down {
			if err := fleet.TakeDown(what); err != nil {
				t.add(row.downAt[i], "%v", err)
			}
		}
	}
}

// row decides one case, in a fresh runtime and in the used one.
func (r *runner) row(row *Row) error {
	at, err := row.moment(r.subject.Clusters)
	if err != nil {
		return err
	}
	p, err := r.pairFor(row.subject(r.subject))
	if err != nil {
		return fmt.Errorf("%s: the script does not load with this data and this environment: %w", row.At, err)
	}
	began := time.Now()
	fresh, said := p.decideFresh(row, at)
	result := Result{Position: row.At, Name: row.Title(), Console: said, Took: time.Since(began)}
	used := p.decideAgain(row, at, fresh.Outcome)
	if result.Failures = row.Expect.check(fresh); len(result.Failures) == 0 {
		result.Failures = compare(fresh, used)
	}
	r.report.Cases = append(r.report.Cases, result)
	r.reached = append(r.reached, fresh.Cluster)
	return nil
}

// moment is what surrounds the request. Two calls at it see the same.
func (row *Row) moment(clusters []Cluster) (scripting.Moment, error) {
	fleet := NewFleet(clusters)
	for _, what := range row.Down {
		if err := fleet.TakeDown(what); err != nil {
			return scripting.Moment{}, err
		}
	}
	at := scripting.Moment{Now: row.Now, Seed: row.Seed, Clusters: fleet}
	if at.Now.IsZero() {
		at.Now = time.Now()
	}
	if at.Seed == 0 {
		at.Seed = defaultSeed
	}
	return at, nil
}

const defaultSeed = 1

// subject is the script with the data and the environment of the case.
func (row *Row) subject(s Subject) Subject {
	if row.Data != nil {
		s.Options.Data, s.Options.DataName = row.Data, "data"
	}
	if row.Env != nil {
		s.Options.Env = row.Env
	}
	return s
}

// decideFresh has a runtime decide that has decided nothing yet. A call that ran
// past its deadline gets a second chance: a busy machine may have paused it.
func (p *pair) decideFresh(row *Row, at scripting.Moment) (d scripting.Decision, said []string) {
	d, said = p.fresh.RouteOnce(row.request, at)
	if d.Outcome == scripting.Timeout && row.Expect.Outcome != d.Outcome.String() {
		d, said = p.fresh.RouteOnce(row.request, at)
	}
	return d, said
}

// decideAgain has the used runtime decide, with the same second chance.
func (p *pair) decideAgain(row *Row, at scripting.Moment, fresh scripting.Outcome) scripting.Decision {
	d, _ := p.used.Route(row.request, at)
	if d.Outcome == scripting.Timeout && fresh != d.Outcome {
		d, _ = p.used.Route(row.request, at)
	}
	return d
}

// cover sums up which clusters the cases have reached.
func (r *runner) cover() {
	for _, c := range r.subject.Clusters {
		if slices.Contains(r.reached, c.Name) {
			r.report.Reached = append(r.report.Reached, c.Name)
		} else {
			r.report.Never = append(r.report.Never, c.Name)
		}
	}
}
