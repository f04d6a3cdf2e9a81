package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Report is what the cases of a script have shown.
type Report struct {
	Script  string   `json:"script"`  // the name of its file
	Version string   `json:"version"` // a short hash of it
	Cases   []Result `json:"cases"`
	Reached []string `json:"reached"` // clusters that a case was sent to
	Never   []string `json:"never"`   // clusters that none was sent to
	Files   []string `json:"-"`       // that all this was read from
}

// A Result is what became of one case.
type Result struct {
	Position // of the case in its file

	Name     string        `json:"name"`
	Failures []Failure     `json:"failures,omitempty"` // none: it passed
	Console  []string      `json:"console,omitempty"`  // what the script said, "info: ..."
	Took     time.Duration `json:"took_ns"`            // with the loading of the script
}

// Failed is how many cases failed.
func (r *Report) Failed() int {
	failed := 0
	for _, c := range r.Cases {
		if c.Failures != nil {
			failed++
		}
	}
	return failed
}

// shownFailed is how many failed cases an error tells of.
const shownFailed = 3

// Err is nil when every case passed; else it names the first that did not.
func (r *Report) Err() error {
	failed := r.Failed()
	if failed == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("%d of %s failed", failed, count(len(r.Cases), "test"))}
	for _, c := range r.Cases {
		if c.Failures != nil && len(lines) <= shownFailed {
			f := c.Failures[0]
			lines = append(lines, fmt.Sprintf("%s: %s: %s: expected %s, got %s", c.Position, c.Name, f.What, f.Expected, f.Got))
		}
	}
	return errors.New(strings.Join(lines, "\n  "))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// WriteText writes the report as one reads it: the failures, and a summary.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Cases {
		if c.Failures != nil {
			c.write(&b)
		}
	}
	if failed := r.Failed(); failed > 0 {
		fmt.Fprintf(&b, "%d of %s failed", failed, count(len(r.Cases), "test"))
	} else {
		fmt.Fprintf(&b, "%s passed", count(len(r.Cases), "test"))
	}
	fmt.Fprintf(&b, ", script %s, version %s\n", r.Script, r.Version)
	fmt.Fprintf(&b, "clusters reached: %s", orNone(r.Reached))
	if len(r.Never) > 0 {
		fmt.Fprintf(&b, "; never: %s", strings.Join(r.Never, " "))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func (c *Result) write(b *strings.Builder) {
	fmt.Fprintf(b, "FAIL %s: %s\n", c.Position, c.Name)
	for _, f := range c.Failures {
		fmt.Fprintf(b, "  %s\n    expected %s\n    got      %s\n", f.What, f.Expected, f.Got)
	}
	for _, line := range c.Console {
		fmt.Fprintf(b, "  console  %s\n", line)
	}
	b.WriteByte('\n')
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	whole := *r
	whole.Cases, whole.Reached, whole.Never = notNull(r.Cases), notNull(r.Reached), notNull(r.Never)
	return encoder.Encode(whole)
}

func notNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
