package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sirupsen/logrus"

	"outrider/scripting"
	"outrider/scripting/cases"
	"outrider/scripting/record"
	"outrider/sidecar/config"
	"outrider/sidecar/rollout"
)

// WriteDecisions implements admin.Sidecar.
func (a *App) WriteDecisions(to io.Writer, id string) error {
	script := a.active.Load().route.script
	switch {
	case script == nil:
		return errors.New("there is no script: the built-in rule routes")
	case a.active.Load().config.Script.Record == 0:
		return errors.New("no decisions are recorded: script.record is 0")
	case id == "":
		return record.Write(to, script.versions.Decisions())
	}
	e, ok := script.versions.Decision(id)
	if !ok {
		return fmt.Errorf("no decision on the request %q is recorded: the last %d are kept (script.record)", id, a.active.Load().config.Script.Record)
	}
	return record.Write(to, []record.Entry{e})
}

// A Replay is what a script makes of recorded decisions.
type Replay struct {
	Script  string // the name of its file
	Version string
	Moves   record.Moves
}

// ReplayDecisions has the script in a file decide again on recorded requests, with
// the settings of a configuration. Nothing is started.
func ReplayDecisions(c *config.Config, file string, entries []record.Entry) (*Replay, error) {
	settings := scriptSettings(c)
	settings.File, settings.Tests = file, nil
	s, err := rollout.Subject(settings)
	if err != nil {
		return nil, err
	}
	fleet := cases.NewFleet(s.Clusters)
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	s.Options.Log, s.Options.Clusters, s.Options.Workers = quiet, fleet, 1
	script, err := scripting.Load(s.Source, s.Options)
	if err != nil {
		return nil, err
	}
	defer script.Close()
	r := &Replay{Script: s.Source.Name, Version: script.Version()}
	for i := range entries {
		r.Moves.Note(&entries[i], entries[i].Again(script, fleet))
	}
	return r, nil
}

// RowOf makes a case for a table of tests of a recorded decision. What could not
// be written, because only a hash of it was kept, is left out and named.
func RowOf(e *record.Entry) (row cases.Row, left []string) {
	known := func(value *string) string {
		if value == nil {
			return ""
		}
		return *value
	}
	target := cmp.Or(known(e.Read.Path), "/")
	if e.Read.QueryHidden {
		left = append(left, "req.query")
	} else if query := known(e.Read.Query); query != "" {
		target += "?" + query
	}
	if known(e.Read.Scheme) == "https" {
		target = "https://" + cmp.Or(known(e.Read.Host), "localhost") + target
	}
	row = cases.Row{
		Name: "recorded: request " + e.ID, Seed: e.Seed,
		Sketch: cases.Sketch{
			Line: cmp.Or(known(e.Read.Method), "GET") + " " + target,
			Host: known(e.Read.Host), IP: known(e.Read.IP), Listener: known(e.Read.Listener),
		},
		Expect: expectationOf(e.Decision),
	}
	if e.Read.Now {
		row.Now = e.At
	}
	row.Sketch.Headers, left = headersOf(e, left)
	for _, c := range e.Clusters {
		if c.Healthy == 0 && !c.Missing {
			row.Down = append(row.Down, c.Name)
		}
	}
	return row, left
}

func headersOf(e *record.Entry, left []string) ([]cases.Header, []string) {
	var headers []cases.Header
	for _, f := range e.Read.Headers {
		switch {
		case f.Hidden:
			left = append(left, "req.headers['"+f.Name+"']")
		case !f.Absent:
			headers = append(headers, cases.Header{Name: f.Name, Value: f.Value})
		}
	}
	var cookies []string
	for _, f := range e.Read.Cookies {
		switch {
		case f.Hidden:
			left = append(left, "req.cookies['"+f.Name+"']")
		case !f.Absent:
			cookies = append(cookies, f.Name+"="+f.Value)
		}
	}
	if cookies != nil {
		headers = append(headers, cases.Header{Name: "Cookie", Value: strings.Join(cookies, "; ")})
	}
	return headers, left
}

func expectationOf(d record.Decision) cases.Expectation {
	var want cases.Expectation
	switch {
	case d.Status != 0:
		want.Respond = &cases.Answer{Status: d.Status}
	case d.Cluster != "":
		want.Cluster = []string{d.Cluster}
	}
	if d.Rule != "" {
		want.Rule = &d.Rule
	}
	if d.Outcome != scripting.OK.String() && d.Outcome != scripting.Responded.String() {
		want.Outcome = d.Outcome
	}
	return want
}
