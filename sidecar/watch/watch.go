// Package watch tells when files have changed and come to rest, however they are
// replaced: written in place, by an editor that renames, by Kubernetes that swaps a
// link, on a mount that tells nothing.
package watch

import (
	"context"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	settling = 100 * time.Millisecond // how long files must stay as they are before they are taken up
	absence  = 2 * time.Second        // how long a file may be missing before that is told: whoever replaces it may take its time
)

// A Watch tells when files have changed. Events of the file system make it fast,
// polling makes it sure: mounts from another system lose events. Directories are
// watched, not files: editors and ConfigMaps replace files.
type Watch struct {
	events *fsnotify.Watcher // nil: the system gives none
	dirs   []string
}

// New makes a Watch. An error says why it will only poll, which it does all the same.
func New() (*Watch, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return &Watch{}, err
	}
	return &Watch{events: events}, nil
}

// Close ends it.
func (w *Watch) Close() {
	if w.events != nil {
		_ = w.events.Close()
	}
}

// Follow watches the directories of files. One that cannot be watched is polled.
func (w *Watch) Follow(files []string) {
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

// Await returns when it is time to look, or when somebody rings; false when ctx is
// done.
func (w *Watch) Await(ctx context.Context, bell <-chan struct{}, within time.Duration) bool {
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

func (w *Watch) drain() {
	for {
		select {
		case <-w.events.Events:
		default:
			return
		}
	}
}

// A Glance is what one look at the files has found.
type Glance struct {
	Now     Look
	Changed bool // since they were taken up
	Missing bool // the one that matters most is not there
}

// Patient waits until changed files have stayed the same for a moment: until then
// somebody may be writing them.
type Patient struct {
	// Poll is how often to look, whether or not an event has come.
	Poll time.Duration

	pending Glance
	since   time.Time // that it was first seen; zero: nothing is pending
}

// Saw takes a glance. It reports whether the files are to be taken up.
func (p *Patient) Saw(g Glance, at time.Time) bool {
	if !g.Changed {
		p.forget()
		return false
	}
	if p.since.IsZero() || g != p.pending {
		p.pending, p.since = g, at
		return false
	}
	if at.Sub(p.since) < p.time() {
		return false
	}
	p.forget()
	return true
}

func (p *Patient) forget() { p.pending, p.since = Glance{}, time.Time{} }

func (p *Patient) time() time.Duration {
	if p.pending.Missing {
		return absence
	}
	return settling
}

// Within is how soon to look again.
func (p *Patient) Within(at time.Time) time.Duration {
	if p.since.IsZero() {
		return p.Poll
	}
	return min(p.Poll, max(0, p.time()-at.Sub(p.since)))
}

// Changed returns when look says that something has changed and is at rest; false when
// ctx is done.
func (w *Watch) Changed(ctx context.Context, poll time.Duration, look func() Glance) bool {
	p := Patient{Poll: poll}
	for w.Await(ctx, nil, p.Within(time.Now())) {
		if p.Saw(look(), time.Now()) {
			return true
		}
	}
	return false
}
