package rollout

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/sirupsen/logrus"

	"outrider/scripting"
	"outrider/scripting/record"
)

// A Text is what the script's own file holds.
type Text struct {
	File  string
	Hash  string // of Text, for Save
	Text  []byte
	Files []string // all that the version is made of, by absolute paths
}

// Text reads the script's own file, which may hold something else than what is
// active.
func (v *Versions) Text() (Text, error) {
	v.changing.Lock()
	t := Text{File: v.settings.File, Files: v.files}
	v.changing.Unlock()
	var err error
	if t.Text, err = os.ReadFile(t.File); err != nil {
		return t, fmt.Errorf("script.file: %w", err)
	}
	t.Hash = hashOf(t.Text)
	return t, nil
}

// A Verdict is what would become of a text, were it in the script's file.
type Verdict struct {
	Version  string // that it would be; empty where it does not even load
	Active   string // that it was compared with
	Fault    error  // why it would be refused; nil: it would become active
	Warnings []string
	Tests    int // that it met
	Moves    record.Moves
}

// Try looks at a text as Prepare looks at the files. Nothing changes.
func (v *Versions) Try(text []byte) Verdict {
	v.changing.Lock()
	settings, refused := v.settings, v.refused
	v.changing.Unlock()
	active := v.active.Load()
	verdict := Verdict{Active: active.hash}
	from, _, err := readWith(settings, text)
	if err != nil {
		verdict.Fault = err
		return verdict
	}
	heard := new(remarks)
	options := settings.scripting(from)
	options.Log, options.Clusters, options.Workers = heard.logger(), v.options.Clusters, 1
	script, err := scripting.Load(from.source(), options)
	if err != nil {
		verdict.Fault = err
		return verdict
	}
	defer script.Close()
	verdict.Version, verdict.Warnings = from.hash(), heard.all()
	draft := &version{hash: verdict.Version, script: script, settings: settings, snapshot: from}
	verdict.Moves = v.compare(draft, active)
	verdict.Tests, verdict.Fault = test(settings, from)
	switch {
	case verdict.Fault != nil:
	case refused != nil && refused.Hash == draft.hash:
		verdict.Fault = refused
	case verdict.Moves.Share() > settings.MaxMoved:
		verdict.Fault = tooManyMoves(draft.name(), &verdict.Moves, settings.MaxMoved)
	}
	return verdict
}

// ErrChanged is what Save answers when the file is not what was edited.
var ErrChanged = errors.New("the script's file has changed since it was opened here: open it again")

// Save puts a text into the script's file, and makes what the files hold then
// active. Base is the hash of the text that was edited.
func (v *Versions) Save(text []byte, base string) error {
	now, err := v.Text()
	switch {
	case err != nil:
		return err
	case now.Hash != base:
		return ErrChanged
	}
	if err := overwrite(now.File, text); err != nil {
		return fmt.Errorf("the script is not saved: %w", err)
	}
	v.changing.Lock()
	settings := v.settings
	v.changing.Unlock()
	candidate, err := v.Prepare(settings)
	if err != nil {
		return fmt.Errorf("saved, and refused, %s stays: %w", v.active.Load().hash, err)
	}
	candidate.Activate()
	return nil
}

// overwrite replaces what a file holds. A file that is a mount of its own can not be
// replaced: it is written to.
func overwrite(path string, text []byte) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	err = replaceFile(target, text)
	if errors.Is(err, syscall.EBUSY) {
		return os.WriteFile(target, text, info.Mode().Perm())
	}
	if err != nil {
		return err
	}
	return os.Chmod(target, info.Mode().Perm())
}

// remarks keep what is logged. They implement logrus.Hook.
type remarks struct {
	mu   sync.Mutex // guards kept
	kept []string
}

func (r *remarks) logger() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.AddHook(r)
	return log
}

// Levels implements logrus.Hook.
func (*remarks) Levels() []logrus.Level {
	return []logrus.Level{logrus.ErrorLevel, logrus.WarnLevel}
}

// Fire implements logrus.Hook.
func (r *remarks) Fire(e *logrus.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, e.Message)
	return nil
}

func (r *remarks) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept
}
