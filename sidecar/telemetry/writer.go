package telemetry

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/sirupsen/logrus"
)

// writer empties the ring of an AccessLog into its file, by a goroutine of its
// own: a write may block for ever, and somebody has to tell of that.
type writer struct {
	log  *AccessLog
	give chan []byte
	back chan written

	spare   []byte    // memory for the next batch
	err     error     // of the last write that failed
	warned  time.Time // last
	dropped uint64    // as of then
	failed  uint64    // as of then
	stuck   bool      // a write has not returned, and is not waited for
}

// written is a batch that was given back, and what became of it.
type written struct {
	batch []byte
	err   error
}

const (
	batchBytes = 64 << 10
	warnEvery  = time.Minute
	lastWait   = time.Second
)

func newWriter(l *AccessLog) *writer {
	w := &writer{log: l, give: make(chan []byte), back: make(chan written, 1)}
	go w.run()
	return w
}

// run writes the batches that it is given. It ends with give, or, blocked in a
// write, with the process.
func (w *writer) run() {
	defer close(w.back)
	var out *output
	for batch := range w.give {
		out = w.log.take(out)
		w.back <- written{batch, w.write(batch, out)}
	}
	w.log.take(out)
}

// take is the output for what is written next. It closes the one before where that
// is another one.
func (l *AccessLog) take(before *output) *output {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != before {
		before.close()
		l.out.taken = true
	}
	return l.out
}

// write writes a batch of lines. A last line that has no end is ended first.
func (w *writer) write(batch []byte, out *output) (err error) {
	if len(batch) == 0 {
		return nil
	}
	if out.torn {
		_, err = io.WriteString(out.to, "\n")
	}
	n := 0
	if err == nil {
		n, err = out.to.Write(batch)
		out.torn = n > 0 && batch[n-1] != '\n'
	}
	w.log.counts.Written.Add(lines(batch[:n]))
	w.log.counts.Failed.Add(lines(batch[n:]))
	return err
}

func lines(batch []byte) uint64 { return uint64(bytes.Count(batch, []byte{'\n'})) }

// flush writes all that is there, and has the output changed, if need be, where that
// is nothing. It reports false when it has given up on a write that does not return,
// which it does only when ctx is done.
func (w *writer) flush(ctx context.Context) bool {
	for {
		w.give <- w.log.ring.drain(w.spare[:0], batchBytes)
		if !w.await(ctx) {
			w.stuck = true
			return false
		}
		if w.log.ring.empty() {
			return true
		}
	}
}

func (w *writer) await(ctx context.Context) bool {
	look := time.NewTicker(lastWait)
	defer look.Stop()
	for {
		select {
		case done := <-w.back:
			w.spare = done.batch
			if done.err != nil {
				w.err = done.err
			}
			w.warn()
			return true
		case <-look.C:
			w.warn()
			if ctx.Err() != nil {
				return false
			}
		}
	}
}

// warn tells of lines that were lost, once in a while.
func (w *writer) warn() {
	dropped, failed := w.log.counts.Dropped.Load(), w.log.counts.Failed.Load()
	lost := dropped != w.dropped || failed != w.failed
	if !lost || !w.warned.IsZero() && time.Since(w.warned) < warnEvery {
		return
	}
	options := w.log.options.Load()
	entry := options.Log.WithFields(logrus.Fields{
		"file": options.File, "too_fast": dropped - w.dropped, "failed": failed - w.failed,
	})
	if failed != w.failed {
		entry = entry.WithError(w.err)
	}
	entry.Warn("the access log loses lines; requests go on")
	w.warned, w.dropped, w.failed = time.Now(), dropped, failed
}

// end waits for the goroutine, unless that is stuck.
func (w *writer) end() {
	close(w.give)
	if !w.stuck {
		<-w.back
	}
}
