package telemetry

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func textOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOtherOptionsAreInForceWhenTheyAreApplied(t *testing.T) {
	folder := t.TempDir()
	first, second := filepath.Join(folder, "first"), filepath.Join(folder, "second")
	l := run(t, AccessOptions{File: first})
	_, undo, err := l.Prepare(AccessOptions{All: true, Sample: 1, Text: true, File: second})
	if err != nil {
		t.Fatal(err)
	}
	if undo(); l.Wants(good()) {
		t.Error("options that were dropped are in force")
	}
	apply, _, err := l.Prepare(AccessOptions{All: true, Sample: 1, Text: true, File: second})
	if err != nil {
		t.Fatal(err)
	}
	l.Write(good())
	until(t, "the line in the first file", func() bool { return textOf(t, first) != "" })
	if apply(); !l.Wants(good()) {
		t.Error("options that were applied are not in force")
	}
	l.Write(good())
	until(t, "the line in the second file", func() bool { return strings.Contains(textOf(t, second), `" 200 `) })
	if _, _, err := l.Prepare(AccessOptions{File: folder}); err == nil || !strings.Contains(err.Error(), "log.access.file can not be appended to") {
		t.Errorf("a folder as file: %v", err)
	}
}

// Whoever rotates moves the file away, and waits until nobody writes to it.
func TestRotationLosesNoLineAndLetsTheOldFileGo(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "access.log")
	l := run(t, AccessOptions{All: true, Sample: 1, File: file})
	var writers sync.WaitGroup
	const each, rotations = 2000, 20
	for range 4 {
		writers.Go(func() {
			for range each {
				for n := l.Counts().Dropped.Load(); ; n = l.Counts().Dropped.Load() {
					if l.Write(good()); l.Counts().Dropped.Load() == n {
						break
					}
				}
			}
		})
	}
	for i := range rotations {
		if err := os.Rename(file, filepath.Join(folder, strings.Repeat("x", i+1))); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		until(t, "a new file", func() bool { _, err := os.Stat(file); return err == nil })
	}
	writers.Wait()
	until(t, "the old file to be let go", func() bool { return !isOpen(rotations) })
	l.end()
	all, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var lines int
	for _, one := range all {
		lines += strings.Count(textOf(t, one), "\n")
	}
	if want := int(l.Counts().Written.Load()); lines != want || lines < 4*each || len(all) != rotations+1 {
		t.Errorf("%d files hold %d lines, want %d", len(all), lines, want)
	}
}

// isOpen tells whether this process has a file open that was moved away, where the
// system tells.
func isOpen(moved int) bool {
	descriptors, _ := filepath.Glob("/proc/self/fd/*")
	for _, d := range descriptors {
		target, err := os.Readlink(d)
		if err == nil && strings.HasPrefix(target, os.TempDir()) && strings.Trim(filepath.Base(target), "x") == "" && len(filepath.Base(target)) <= moved {
			return true
		}
	}
	return false
}
