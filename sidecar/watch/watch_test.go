package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"outrider/sidecar/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// readings are the files of a folder as they were read.
func readings(t *testing.T, files ...string) *watch.Reads {
	t.Helper()
	r := new(watch.Reads)
	for _, file := range files {
		_, _ = r.ReadFile(file)
	}
	return r
}

func TestAChangeIsToldHoweverAFileIsReplaced(t *testing.T) {
	for name, how := range map[string]struct {
		poll    time.Duration // an hour: the system has to tell
		replace func(file string)
	}{
		"written in place": {time.Hour, func(file string) { must(t, os.WriteFile(file, []byte("new"), 0o600)) }},
		"renamed": {time.Hour, func(file string) {
			must(t, os.WriteFile(file+"~", []byte("new"), 0o600))
			must(t, os.Rename(file+"~", file))
		}},
		"removed":                 {time.Hour, func(file string) { must(t, os.Remove(file)) }},
		"swapped by a link":       {time.Hour, func(file string) { publish(t, filepath.Dir(file), "..2", "new") }},
		"where nobody is told it": {10 * time.Millisecond, func(file string) { must(t, os.WriteFile(file, []byte("new"), 0o600)) }},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, "file")
			publish(t, folder, "..1", "old")
			must(t, os.Symlink(filepath.Join("..data", "file"), file))
			if name != "swapped by a link" {
				must(t, os.Remove(file))
				must(t, os.WriteFile(file, []byte("old"), 0o600))
			}
			read := readings(t, file, filepath.Join(folder, "never there"))
			w, err := watch.New()
			must(t, err)
			defer w.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			w.Follow(read.Files())
			if watch.At(read.Files()) != read.Look() {
				t.Fatal("what was read is something else than what is there")
			}
			how.replace(file)
			if !w.Changed(ctx, how.poll, func() watch.Glance {
				now := watch.At(read.Files())
				return watch.Glance{Now: now, Changed: now != read.Look()}
			}) {
				t.Fatal("nothing was told")
			}
		})
	}
}

// publish puts a file where Kubernetes puts one of a ConfigMap.
func publish(t *testing.T, folder, version, text string) {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(folder, version), 0o700))
	must(t, os.WriteFile(filepath.Join(folder, version, "file"), []byte(text), 0o600))
	must(t, os.Symlink(version, filepath.Join(folder, "..data_tmp")))
	must(t, os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
}

func TestWhatComesAndGoesIsNoChange(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	must(t, os.WriteFile(file, []byte("old"), 0o600))
	read := readings(t, file)
	must(t, os.WriteFile(file, []byte("new"), 0o600))
	if watch.At(read.Files()) == read.Look() {
		t.Error("another content looks the same")
	}
	must(t, os.WriteFile(file, []byte("old"), 0o600))
	must(t, os.WriteFile(filepath.Join(folder, "beside"), nil, 0o600))
	if watch.At(read.Files()) != read.Look() {
		t.Error("the old content, written anew, is a change")
	}
	if !read.Held(file) || read.Held(filepath.Join(folder, "other")) {
		t.Error("what was read is not told right")
	}
}

func TestAFileIsTakenUpWhenItRests(t *testing.T) {
	p := watch.Patient{Poll: time.Second}
	at := time.Now()
	changed, missing := watch.Glance{Now: watch.At(nil), Changed: true}, watch.Glance{Now: watch.At([]string{"/nowhere"}), Changed: true, Missing: true}
	for i, step := range []struct {
		glance watch.Glance
		later  time.Duration
		want   bool
	}{
		{watch.Glance{}, 0, false},
		{changed, 0, false},
		{changed, 50 * time.Millisecond, false},
		{missing, 100 * time.Millisecond, false}, // something else
		{missing, time.Second, false},
		{missing, 2100 * time.Millisecond, true},
		{changed, 2200 * time.Millisecond, false},
		{changed, 2300 * time.Millisecond, true},
	} {
		if got := p.Saw(step.glance, at.Add(step.later)); got != step.want {
			t.Errorf("step %d: taken up is %v", i, got)
		}
	}
}
