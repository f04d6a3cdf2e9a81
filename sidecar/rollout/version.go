package rollout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"outrider/scripting"
)

// A version is one state of the script's files, built and ready to route.
type version struct {
	hash     string
	script   *scripting.Script
	settings Settings
	snapshot snapshot
	since    time.Time // when it became active
	kept     bool      // in the state directory; guarded by Versions.changing

	trial       atomic.Pointer[trial]   // nil: it is trusted
	before      atomic.Pointer[version] // decides in its place while it is on trial
	quarantined atomic.Bool             // its calls do not end; it is not asked any more
	counts      [scripting.Busy + 1]atomic.Uint64
}

// A snapshot is what a version is made of.
type snapshot struct {
	Name string    `json:"name"` // of the script's file
	Code []byte    `json:"code"`
	Kept time.Time `json:"kept"`
}

// maxStuck is how many calls of a version may be stuck in built-ins that do not
// end. Each one holds a core.
const maxStuck = 4

func (s *version) name() string { return s.snapshot.Name }

func (s *version) route(r scripting.Request) scripting.Decision {
	if s.quarantined.Load() {
		return s.fail(scripting.Busy, errQuarantined)
	}
	d := s.script.Route(r)
	s.counts[d.Outcome].Add(1)
	return d
}

var errQuarantined = errors.New("the script is not asked any more: too many of its calls did not end")

// fail counts a call that failed for the outside's reasons, and applies on_error.
func (s *version) fail(o scripting.Outcome, err error) scripting.Decision {
	s.counts[o].Add(1)
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
	v.files = []string{s.File}
	v.seen = lookAt(v.files)
	code, err := os.ReadFile(s.File)
	if err != nil {
		return nil, fmt.Errorf("script.file: %w", err)
	}
	return v.load(s, snapshot{Name: filepath.Base(s.File), Code: code})
}

func (v *Versions) load(s Settings, from snapshot) (*version, error) {
	hash := hashOf(from.Code)
	if v.refused != nil && v.refused.Hash == hash {
		return nil, v.refused
	}
	options := scripting.Options{
		Log: v.log, Clusters: v.options.Clusters, Timeout: s.Timeout, OnError: s.OnError, DefaultCluster: s.DefaultCluster,
	}
	if v.records != nil {
		options.OnCall = func(n *scripting.Reading, d scripting.Decision) { v.records.Add(hash, n, d) }
	}
	script, err := scripting.Load(scripting.Source{Name: from.Name, Code: from.Code}, options)
	if err != nil {
		return nil, err
	}
	return &version{hash: hash, script: script, settings: s, snapshot: from}, nil
}
