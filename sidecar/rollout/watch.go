package rollout

import (
	"context"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	pollEvery = 500 * time.Millisecond // how often the files are read, whether or not an event came
	settling  = 100 * time.Millisecond // how long files must stay as they are before they are taken up
	absence   = 2 * time.Second        // how long the script may be missing before that is told: whoever replaces it may take its time
)

// A watch tells when files have changed. Events of the file system make it fast,
// polling makes it sure: mounts from another system lose events. Directories are
// watched, not files: editors and ConfigMaps replace files.
type watch struct {
	events *fsnotify.Watcher // nil: the system gives none
	dirs   []string
}

func newWatch() (*watch, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return &watch{}, err
	}
	return &watch{events: events}, nil
}

func (w *watch) close() {
	if w.events != nil {
		_ = w.events.Close()
	}
}

// follow watches the directories of files. One that cannot be watched is polled.
func (w *watch) follow(files []string) {
	if w.events == nil {
		return
	}
	dirs := dirsOf(files)
	for _, dir := range w.dirs {
		if !slices.Contains(dirs, dir) {
			_ = w.events.Remove(dir)
		}
	}
	for _, dir := range dirs {
		_ = w.events.Add(dir) // also one watched already: it may have been replaced
	}
	w.dirs = dirs
}

// await returns when it is time to look, or when somebody rings; false when ctx is
// done.
func (w *watch) await(ctx context.Context, bell <-chan struct{}, within time.Duration) bool {
	poll := time.NewTimer(within)
	defer poll.Stop()
	var events chan fsnotify.Event
	var lost chan error
	if w.events != nil {
		events, lost = w.events.Events, w.events.Errors
	}
	select {
	case <-events:
		w.drain()
		return true
	case <-lost: //nolint:errcheck // looking finds what the events would have told
		return true
	case <-bell:
		return true
	case <-poll.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *watch) drain() {
	for {
		select {
		case <-w.events.Events:
		default:
			return
		}
	}
}

// A glance is what one look at the files has found.
type glance struct {
	now     look
	changed bool // since the last build
	missing bool // the script itself is not there
}

// patient waits until changed files have stayed the same for a moment: until then
// somebody may be writing them.
type patient struct {
	pending glance
	since   time.Time // that it was first seen; zero: nothing is pending
}

// saw takes a glance. It reports whether the files are to be taken up.
func (p *patient) saw(g glance, at time.Time) bool {
	if !g.changed {
		*p = patient{}
		return false
	}
	if p.since.IsZero() || g != p.pending {
		*p = patient{g, at}
		return false
	}
	if at.Sub(p.since) < p.time() {
		return false
	}
	*p = patient{}
	return true
}

func (p *patient) time() time.Duration {
	if p.pending.missing {
		return absence
	}
	return settling
}

// within is how soon to look again.
func (p *patient) within(at time.Time) time.Duration {
	if p.since.IsZero() {
		return pollEvery
	}
	return min(pollEvery, max(0, p.time()-at.Sub(p.since)))
}
