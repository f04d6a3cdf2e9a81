package rollout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"outrider/scripting"
	"outrider/scripting/bundle"
	"outrider/scripting/cases"
	"outrider/sidecar/watch"
)

// A version is one state of the script's files, built and ready to route.
type version struct {
	hash     string
	script   *scripting.Script
	settings Settings
	snapshot snapshot
	since    time.Time // when it became active
	tests    int       // that it has met
	kept     bool      // in the state directory; guarded by Versions.changing

	trial       atomic.Pointer[trial]   // nil: it is trusted
	before      atomic.Pointer[version] // decides in its place while it is on trial
	quarantined atomic.Bool             // its calls do not end; it is not asked any more
	counts      [scripting.Busy + 1]atomic.Uint64
}

// A snapshot is what a version is made of.
type snapshot struct {
	Name  string    `json:"name"`          // of the script's file
	Code  []byte    `json:"code"`          // in one piece
	Map   []byte    `json:"map,omitempty"` // leads back to the files; see scripting.Source
	Data  []byte    `json:"data,omitempty"`
	Tests [][]byte  `json:"tests,omitempty"`
	Kept  time.Time `json:"kept"`
}

// maxStuck is how many calls of a version may be stuck in built-ins that do not
// end. Each one holds a core.
const maxStuck = 4

func (s *version) name() string { return s.snapshot.Name }

func (s *version) route(r scripting.Request) scripting.Decision {
	if s.quarantined.Load() {
		return s.fail(scripting.Busy, errQuarantined)
	}
	return s.script.Route(r)
}

func (s *version) decided(d scripting.Decision) Decision {
	return Decision{Decision: d, Version: s.hash, by: s}
}

var errQuarantined = errors.New("the script is not asked any more: too many of its calls did not end")

// fail is a call that failed for the outside's reasons; it applies on_error.
func (s *version) fail(o scripting.Outcome, err error) scripting.Decision {
	d := scripting.Decision{Outcome: o, Err: err}
	if s.settings.OnError != "fail" {
		d.Cluster = s.settings.OnError
	}
	return d
}

// errorRate is the share of failed calls since the version became active.
func (s *version) errorRate() float64 {
	var calls, failed uint64
	for i := range s.counts {
		n := s.counts[i].Load()
		calls += n
		if toBlame(scripting.Outcome(i)) {
			failed += n
		}
	}
	if calls == 0 {
		return 0
	}
	return float64(failed) / float64(calls)
}

func (s *version) outcomes() map[string]uint64 {
	all := make(map[string]uint64)
	for i := range s.counts {
		if n := s.counts[i].Load(); n > 0 {
			all[scripting.Outcome(i).String()] = n
		}
	}
	return all
}

func (s *version) isStuck() bool { return s.script.Stuck() > maxStuck }

// build makes a version of what the files hold now. The caller holds changing.
func (v *Versions) build(s Settings) (*version, error) {
	from, err := v.read(s)
	if err != nil {
		return nil, err
	}
	next, err := v.load(s, from)
	if err != nil {
		return nil, err
	}
	if next.tests, err = test(s, from); err != nil {
		v.retire(next)
		return nil, err
	}
	return next, nil
}

// read is what the files hold now. What they held a moment before is noted as seen,
// so that a change meanwhile is one.
func (v *Versions) read(s Settings) (from snapshot, err error) {
	for range 3 {
		v.seen = watch.Around(v.files)
		var files []string
		if from, files, err = read(s); slices.Equal(files, v.files) {
			break
		}
		v.files = files // which have not been looked at before
	}
	return from, err
}

// read is what the files hold now, and which files those are; these are told even
// where they hold nothing of use.
func read(s Settings) (from snapshot, files []string, err error) { return readWith(s, nil) }

// readWith is read, with a text in the place of what the script's own file holds;
// nil: with that.
func readWith(s Settings, text []byte) (from snapshot, files []string, err error) {
	b, err := bundle.Build(s.File, bundle.Options{Imports: s.Imports, Text: text})
	files = append(b.Files, s.files()...)
	if err != nil {
		if _, ofScript := errors.AsType[*scripting.LoadError](err); !ofScript {
			err = fmt.Errorf("script.file: %w", err)
		}
		return from, files, err
	}
	from = snapshot{Name: b.Source.Name, Code: b.Source.Code, Map: b.Source.Map}
	if s.Data != "" {
		if from.Data, err = os.ReadFile(s.Data); err != nil {
			return from, files, fmt.Errorf("script.data: %w", err)
		}
	}
	for _, file := range s.Tests {
		text, err := os.ReadFile(file)
		if err != nil {
			return from, files, fmt.Errorf("script.tests: %w", err)
		}
		from.Tests = append(from.Tests, text)
	}
	return from, files, nil
}

func (v *Versions) load(s Settings, from snapshot) (*version, error) {
	hash := from.hash()
	if v.refused != nil && v.refused.Hash == hash {
		return nil, v.refused
	}
	options := s.scripting(from)
	options.Log, options.Clusters = v.log, v.options.Clusters
	if s.Record > 0 {
		options.OnCall = func(n *scripting.Reading, d scripting.Decision) { v.note(hash, n, d) }
	}
	script, err := scripting.Load(from.source(), options)
	if err != nil {
		return nil, err
	}
	return &version{hash: hash, script: script, settings: s, snapshot: from}, nil
}

// scripting are the settings that matter to a script by itself.
func (s Settings) scripting(from snapshot) scripting.Options {
	return scripting.Options{
		Timeout: s.Timeout, OnError: s.OnError, DefaultCluster: s.DefaultCluster,
		Version: from.hash(), Data: from.Data, DataName: filepath.Base(s.Data), Env: s.Env, Backtracking: s.Backtracking,
	}
}

// files are those that are given by name, beside the script's own.
func (s Settings) files() []string {
	files := slices.Clone(s.Tests)
	if s.Data != "" {
		files = append(files, s.Data)
	}
	return files
}

func (from snapshot) source() scripting.Source {
	return scripting.Source{Name: from.Name, Code: from.Code, Map: from.Map}
}

func (from snapshot) hash() string {
	return hashOf(append([][]byte{from.Code, from.Data}, from.Tests...)...)
}

func (from snapshot) subject(s Settings) cases.Subject {
	return cases.Subject{Source: from.source(), Options: s.scripting(from), Clusters: s.Clusters, Imports: s.Imports}
}

// Subject is the script that the files hold now, for those who test it or ask it
// beside a sidecar: with the settings that it would run with, and the version that
// it would be.
func Subject(s Settings) (cases.Subject, error) {
	from, files, err := read(s)
	subject := from.subject(s)
	subject.Files = files
	return subject, err
}

// testsTake is how long the tests of a version may take.
const testsTake = 30 * time.Second

// test has a version meet its cases. It returns how many there are.
func test(s Settings, from snapshot) (int, error) {
	if len(s.Tests) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), testsTake, fmt.Errorf("script.tests: they take longer than %v", testsTake))
	defer cancel()
	report, err := cases.Run(ctx, s.Tests, from.subject(s))
	if err != nil {
		return 0, err
	}
	return len(report.Cases), report.Err()
}
