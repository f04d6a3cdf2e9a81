package main

import (
	"context"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/app"
	"outrider/sidecar/watch"
)

// lookEvery is how often the configuration's files are read, whether or not the
// system tells of a change.
const lookEvery = 2 * time.Second

// followFiles has the sidecar reload whenever the files have changed that its
// configuration was read from: the file itself, certificates, tokens, secrets. The
// script's own files are followed where the script is run. What a reload did not do
// it has logged.
func followFiles(ctx context.Context, from *source, a *app.App, log logrus.FieldLogger) {
	w, err := watch.New()
	if err != nil {
		log.WithError(err).Warn("the file system does not tell of changes: a changed configuration is seen a little later")
	}
	defer w.Close()
	look := func() watch.Glance {
		read := from.lastRead()
		files := read.Files()
		w.Follow(files)
		now := watch.At(files)
		return watch.Glance{Now: now, Changed: now != read.Look(), Missing: anyMissing(files, read)}
	}
	for w.Changed(ctx, lookEvery, look) {
		_ = a.Reload(ctx)
	}
}

// anyMissing tells whether a file is not there that was.
func anyMissing(files []string, read *watch.Reads) bool {
	for _, file := range files {
		if _, err := os.Stat(file); err != nil && read.Held(file) {
			return true
		}
	}
	return false
}
