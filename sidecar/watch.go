package main

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settling is how long files must rest before they are looked at: who saves one
// may write it in pieces, or save several.
const settling = 100 * time.Millisecond

// A watch tells when one of some files changes. It watches their folders, since
// editors replace files.
type watch struct {
	events *fsnotify.Watcher
	files  []string
}

func newWatch() (*watch, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &watch{events: events}, nil
}

func (w *watch) close() { _ = w.events.Close() }

// follow says which files matter from now on. They need not be there.
func (w *watch) follow(files []string) error {
	w.files = nil
	for _, file := range files {
		w.files = append(w.files, filepath.Clean(file))
		if err := w.events.Add(filepath.Dir(file)); err != nil {
			return err
		}
	}
	return nil
}

// await returns when files have changed and come to rest; false when ctx is done.
func (w *watch) await(ctx context.Context) bool {
	rest := time.NewTimer(settling)
	defer rest.Stop()
	rest.Stop() // until something has changed
	for {
		select {
		case event := <-w.events.Events:
			if event.Op != fsnotify.Chmod && slices.Contains(w.files, filepath.Clean(event.Name)) {
				rest.Reset(settling)
			}
		case <-w.events.Errors: //nolint:errcheck // events were lost: whatever they told of is looked at
			rest.Reset(settling)
		case <-rest.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}
