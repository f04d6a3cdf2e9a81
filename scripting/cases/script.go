package cases

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"outrider/scripting"
	"outrider/scripting/bundle"
)

// script runs a file of tests written in JavaScript or TypeScript, in a runtime of
// its own.
func (r *runner) script(ctx context.Context, file string) error {
	tests, err := bundle.Build(file, bundle.Options{Imports: r.subject.Imports, Tests: true})
	if err != nil {
		return err
	}
	r.report.Files = append(r.report.Files, tests.Files...)
	b, err := NewBench(r.subject)
	if err != nil {
		return fmt.Errorf("the script has loaded once, and does not load again: %w", err)
	}
	defer b.Close()
	b.said.take()
	before := len(r.report.Cases)
	err = b.script.RunTests(ctx, tests.Source, stage{r.subject.Clusters}, func(t scripting.TestResult) {
		at := Position{filepath.Join(filepath.Dir(file), cmp.Or(t.File, filepath.Base(file))), t.Line, t.Column}
		result := Result{Position: at, Name: t.Name, Console: b.said.take(), Took: t.Took}
		if f := t.Failure; f != nil {
			result.Failures = []Failure{{cmp.Or(f.Check, "exception"), f.Expected, f.Got}}
		}
		r.report.Cases = append(r.report.Cases, result)
		r.reached = append(r.reached, t.Reached...)
	})
	switch {
	case err != nil:
		return err
	case len(r.report.Cases) == before:
		return fmt.Errorf("%s holds no test; begin with: test('a name', () => expect(route(request('GET /'))).toBe('%s'))", file, anyName(r.subject.Clusters))
	}
	return nil
}

// A stage makes up what tests in JavaScript ask for. It implements
// [scripting.Stage].
type stage struct{ clusters []Cluster }

// Request implements [scripting.Stage].
func (stage) Request(r scripting.Staged) (scripting.Request, error) {
	s := Sketch{Line: r.Line, Host: r.Host, IP: r.IP, ID: r.ID, Listener: r.Listener, Subject: r.Subject}
	for _, h := range r.Headers {
		s.Headers = append(s.Headers, Header{h[0], h[1]})
	}
	return NewRequest(s)
}

// Clusters implements [scripting.Stage].
func (s stage) Clusters(down []string) (scripting.Clusters, error) {
	fleet := NewFleet(s.clusters)
	for _, what := range down {
		if err := fleet.TakeDown(what); err != nil {
			return nil, err
		}
	}
	return fleet, nil
}
