package telemetry

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// AccessOptions are what an AccessLog is made of.
type AccessOptions struct {
	// All logs every exchange, or of those that went well a share of Sample, 0 to
	// 1. Else only the ones that did not go well are logged.
	All    bool
	Sample float64
	Text   bool // lines in the manner of Apache, not JSON

	// File is appended to; "-" stands for Stdout.
	File   string
	Stdout io.Writer

	Log logrus.FieldLogger // for the log's own trouble
}

// AccessLog writes a line for each exchange. It never holds an exchange up: when
// its file takes no more, lines are dropped and counted.
type AccessLog struct {
	options atomic.Pointer[AccessOptions]
	ring    *ring

	mu  sync.Mutex // guards out
	out *output    // that the lines from now on go to

	asleep atomic.Bool   // Run waits for a line
	wake   chan struct{} // tells it of one
	hurry  chan struct{} // tells it that the ring fills up

	counts AccessCounts
}

// output is where lines go.
type output struct {
	to    io.Writer
	file  *os.File // that is to, when the log has opened it
	taken bool     // the writer closes it; guarded by the log's mu
	torn  bool     // its last line has no end; the writer's own
}

func (o *output) close() {
	if o != nil && o.file != nil {
		_ = o.file.Close()
	}
}

// AccessCounts are what became of the lines.
type AccessCounts struct {
	Written atomic.Uint64
	Dropped atomic.Uint64 // the writer did not keep up
	Failed  atomic.Uint64 // the file could not be written
}

const (
	ringLines  = 4096
	hurryAfter = ringLines / 4
)

// NewAccessLog makes an AccessLog. Nothing is written before Open and Run.
func NewAccessLog(o AccessOptions) *AccessLog {
	l := &AccessLog{ring: newRing(ringLines), wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
	l.options.Store(&o)
	return l
}

// Open opens the file.
func (l *AccessLog) Open() error {
	out, err := openOutput(l.options.Load())
	if err == nil {
		l.lead(out)
	}
	return err
}

func openOutput(o *AccessOptions) (*output, error) {
	if o.File == "-" {
		return &output{to: o.Stdout}, nil
	}
	f, err := os.OpenFile(o.File, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log.access.file can not be appended to: %w; choose another file, or \"-\" for standard output", err)
	}
	return &output{to: f, file: f}, nil
}

// lead has the lines go to another output from now on. The one before is closed
// when nothing is being written to it any more.
func (l *AccessLog) lead(to *output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != nil && !l.out.taken {
		l.out.close()
	}
	l.out = to
	l.rouse()
}

// rouse wakes Run up, if it sleeps.
func (l *AccessLog) rouse() {
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		l.wake <- struct{}{} // there is room: only this one may send
	}
}

// Prepare opens the file of other options, where it is another one. They are in
// force from apply on, and undo drops them; one of the two is to be called. Log and
// Stdout stay as they are.
func (l *AccessLog) Prepare(o AccessOptions) (apply, undo func(), err error) {
	now := l.options.Load()
	o.Log, o.Stdout = now.Log, now.Stdout
	if o.File == now.File {
		return func() { l.options.Store(&o) }, func() {}, nil
	}
	out, err := openOutput(&o)
	if err != nil {
		return nil, nil, err
	}
	return func() {
		l.options.Store(&o)
		l.lead(out)
	}, out.close, nil
}

// Reopen opens the file anew: whoever rotates logs has moved it away. On an error
// the lines go where they went.
func (l *AccessLog) Reopen() error {
	out, err := openOutput(l.options.Load())
	if err == nil {
		l.lead(out)
	}
	return err
}

// Close closes the file. Nothing runs any more.
func (l *AccessLog) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.close()
}

// Counts are what became of the lines so far.
func (l *AccessLog) Counts() *AccessCounts { return &l.counts }

// Wants tells whether the exchange is to be logged. A sample is drawn anew each
// time.
func (l *AccessLog) Wants(e *Exchange) bool {
	if e.failed() {
		return true
	}
	o := l.options.Load()
	return o.All && (o.Sample >= 1 || float64(rand.Uint32()) < o.Sample*(1<<32))
}

// Write logs an exchange that has just ended. It does not block.
func (l *AccessLog) Write(e *Exchange) {
	slot, at := l.ring.claim()
	if slot == nil {
		l.counts.Dropped.Add(1)
		return
	}
	if l.options.Load().Text {
		slot.line = appendText(slot.room(), e, time.Now())
	} else {
		slot.line = appendJSON(slot.room(), e, time.Now())
	}
	l.ring.publish(slot, at)
	l.rouse()
	if at%hurryAfter == hurryAfter-1 {
		select {
		case l.hurry <- struct{}{}:
		default:
		}
	}
}

// flushEvery is how long a line may wait for others to be written with.
const flushEvery = 200 * time.Millisecond

// Run writes what is logged, until ctx is done and everything is written. When
// the file takes nothing any more it waits no longer than a second for that.
func (l *AccessLog) Run(ctx context.Context) {
	w := newWriter(l)
	defer w.end()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for l.awaitLine(ctx) {
		pause.Reset(flushEvery)
		select {
		case <-pause.C:
		case <-l.hurry:
		case <-ctx.Done():
		}
		if !w.flush(ctx) {
			return
		}
	}
}

// awaitLine sleeps until there is a line. It reports false when ctx is done and
// there is none.
func (l *AccessLog) awaitLine(ctx context.Context) bool {
	if !l.ring.empty() {
		return true
	}
	l.asleep.Store(true)
	if !l.ring.empty() && l.asleep.CompareAndSwap(true, false) {
		return true
	}
	select {
	case <-l.wake:
		return true
	case <-ctx.Done():
		return !l.ring.empty()
	}
}
