package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// running is an AccessLog at work.
type running struct {
	*AccessLog
	end      func() // ends it, and waits
	warnings *logtest.Hook
}

func run(t *testing.T, o AccessOptions) *running {
	t.Helper()
	logger := logrus.New()
	logger.SetOutput(t.Output())
	o.Log = logger
	l := &running{AccessLog: NewAccessLog(o), warnings: logtest.NewLocal(logger)}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var task sync.WaitGroup
	task.Go(func() { l.Run(ctx) })
	l.end = sync.OnceFunc(func() {
		cancel()
		task.Wait()
		l.Close()
	})
	t.Cleanup(l.end)
	return l
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(patience); !is(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func good() *Exchange { return &Exchange{Client: "10.0.0.9", Status: 200, End: Done} }

func TestLinesAreWrittenSoonAndAllOfThemAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := run(t, AccessOptions{All: true, Sample: 1, File: path})
	l.Write(good())
	read := func() string { text, _ := os.ReadFile(path); return string(text) }
	until(t, "the first line", func() bool { return strings.Count(read(), "\n") == 2 })
	const more = 3000
	for range more {
		l.Write(good())
	}
	l.end()
	if text := read(); strings.Count(text, "\n") != 2+more || !strings.HasPrefix(text, "before\n{") {
		t.Errorf("%d lines: %.200s", strings.Count(text, "\n"), text)
	}
	if n := l.Counts().Written.Load(); n != 1+more {
		t.Errorf("%d lines are counted", n)
	}
}

func TestTheFileIsForItsOwnerAndGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	run(t, AccessOptions{File: path})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

func TestAFileThatCanNotBeOpenedIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "access.log")
	err := NewAccessLog(AccessOptions{File: path}).Open()
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "log.access.file") {
		t.Errorf("Open says %v", err)
	}
}

func TestAWriterThatBlocksHoldsNobodyUp(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	l := run(t, AccessOptions{Stdout: w, File: "-", All: true, Sample: 1})
	written := 0
	until(t, "lost lines", func() bool {
		for range ringLines {
			l.Write(full())
		}
		written += ringLines
		return l.Counts().Dropped.Load() > 0
	})
	until(t, "a warning", func() bool { return len(l.warnings.AllEntries()) > 0 })
	if e := l.warnings.LastEntry(); e.Level != logrus.WarnLevel || !strings.Contains(e.Message, "access log") || e.Data["too_fast"] == uint64(0) {
		t.Errorf("warned %v %v", e.Message, e.Data)
	}
	ended := make(chan struct{})
	go func() { l.end(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the log does not end, though its writer is given up")
	}
	if n := len(l.warnings.AllEntries()); n != 1 {
		t.Errorf("%d warnings within a minute", n)
	}
}

func TestAFullDiskIsWarnedOfOnceAndCounted(t *testing.T) {
	l := run(t, AccessOptions{All: true, Sample: 1, File: "/dev/full"})
	for n := range uint64(3) {
		l.Write(good())
		until(t, "a failed line", func() bool { return l.Counts().Failed.Load() == n+1 })
	}
	until(t, "a warning", func() bool { return len(l.warnings.AllEntries()) > 0 })
	e := l.warnings.LastEntry()
	if err, _ := e.Data[logrus.ErrorKey].(error); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("warned %v %v", e.Message, e.Data)
	}
	l.end()
	if n := len(l.warnings.AllEntries()); n != 1 || l.Counts().Written.Load() != 0 {
		t.Errorf("%d warnings, %d lines written", n, l.Counts().Written.Load())
	}
}

// shortWriter takes only a part of its first write.
type shortWriter struct {
	mu    sync.Mutex // guards what follows
	text  bytes.Buffer
	short bool
}

func (w *shortWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.short {
		w.short = true
		w.text.Write(p[:10])
		return 10, errors.New("no room")
	}
	return w.text.Write(p)
}

func TestALineThatWasCutDoesNotSpoilTheNext(t *testing.T) {
	w := &shortWriter{}
	l := run(t, AccessOptions{All: true, Sample: 1, File: "-", Stdout: w})
	l.Write(good())
	until(t, "the cut line", func() bool { return l.Counts().Failed.Load() == 1 })
	l.Write(good())
	l.end()
	lines := strings.Split(w.text.String(), "\n")
	if len(lines) != 3 || len(lines[0]) != 10 || !json.Valid([]byte(lines[1])) || lines[2] != "" {
		t.Errorf("wrote %q", lines)
	}
}

func TestTheModeSaysWhatIsLogged(t *testing.T) {
	ok, late := good(), &Exchange{Status: 503, End: Done}
	refused := &Exchange{Status: 404, End: "proxy/route", Error: "http_request_denied"}
	cut := &Exchange{Status: 200, End: "backend/answer", Error: "http_response_incomplete"}
	notFound := &Exchange{Status: 404, End: Done} // the backend's answer
	gone := &Exchange{End: "client/tunnel", Status: 101}
	for _, row := range []struct {
		options AccessOptions
		wants   []*Exchange
		not     []*Exchange
	}{
		{AccessOptions{}, []*Exchange{late, refused, cut, gone}, []*Exchange{ok, notFound}},
		{AccessOptions{All: true, Sample: 1}, []*Exchange{late, refused, cut, gone, ok, notFound}, nil},
		{AccessOptions{All: true, Sample: 0}, []*Exchange{late, refused, cut, gone}, []*Exchange{ok, notFound}},
	} {
		l := NewAccessLog(row.options)
		for i, e := range append(row.wants, row.not...) {
			if l.Wants(e) != (i < len(row.wants)) {
				t.Errorf("%+v wants %+v: %v", row.options, e, i >= len(row.wants))
			}
		}
	}
}

func TestASampleIsAShare(t *testing.T) {
	l, n := NewAccessLog(AccessOptions{All: true, Sample: 0.25}), 0
	for range 40000 {
		if l.Wants(good()) {
			n++
		}
	}
	if n < 9000 || n > 11000 {
		t.Errorf("%d of 40000 are a quarter", n)
	}
}

func TestWritingALineAllocatesNothing(t *testing.T) {
	for _, text := range []bool{false, true} {
		l, e := NewAccessLog(AccessOptions{All: true, Text: text}), full()
		var drained []byte
		write := func() {
			l.Write(e)
			drained = l.ring.drain(drained[:0], batchBytes)
		}
		for range ringLines { // each slot gets its memory
			write()
		}
		if n := testing.AllocsPerRun(1000, write); n != 0 || len(drained) == 0 {
			t.Errorf("text %v: %v allocations for %q", text, n, drained)
		}
	}
}

func BenchmarkWants(b *testing.B) {
	l, e := NewAccessLog(AccessOptions{All: true, Sample: 0.01}), good()
	for b.Loop() {
		l.Wants(e)
	}
}

func BenchmarkWriteJSON(b *testing.B) { benchmarkWrite(b, AccessOptions{}) }

func BenchmarkWriteText(b *testing.B) { benchmarkWrite(b, AccessOptions{Text: true}) }

func benchmarkWrite(b *testing.B, o AccessOptions) {
	l, e := NewAccessLog(o), full()
	var drained []byte
	b.ReportAllocs()
	for b.Loop() {
		l.Write(e)
		drained = l.ring.drain(drained[:0], batchBytes)
	}
}
