package cases

import (
	"cmp"
	"context"
	"fmt"

	"outrider/scripting"
)

// script runs a file of tests written in JavaScript, in a runtime of its own.
func (r *runner) script(ctx context.Context, file string, content []byte) error {
	b, err := NewBench(r.subject)
	if err != nil {
		return fmt.Errorf("the script has loaded once, and does not load again: %w", err)
	}
	defer b.Close()
	b.said.take()
	before := len(r.report.Cases)
	err = b.script.RunTests(ctx, scripting.Source{Name: file, Code: content}, stage{r.subject.Clusters}, func(t scripting.TestResult) {
		result := Result{Position: Position{file, t.Line, t.Column}, Name: t.Name, Console: b.said.take(), Took: t.Took}
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
func (stage) Request(line string, headers [][2]string, host, ip, id, listener string) (scripting.Request, error) {
	s := Sketch{Line: line, Host: host, IP: ip, ID: id, Listener: listener}
	for _, h := range headers {
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
