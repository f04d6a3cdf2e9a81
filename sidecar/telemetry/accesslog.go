package telemetry

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
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
	options AccessOptions
	ring    *ring
	sample  uint64 // of 1<<32
	out     io.Writer
	file    *os.File // that is out, when the log opened it

	asleep atomic.Bool   // Run waits for a line
	wake   chan struct{} // tells it of one
	hurry  chan struct{} // tells it that the ring fills up

	counts AccessCounts
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
	return &AccessLog{
		options: o, ring: newRing(ringLines), sample: uint64(o.Sample * (1 << 32)),
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
	}
}

// Open opens the file.
func (l *AccessLog) Open() error {
	if l.options.File == "-" {
		l.out = l.options.Stdout
		return nil
	}
	f, err := os.OpenFile(l.options.File, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("log.access.file can not be appended to: %w; choose another file, or \"-\" for standard output", err)
	}
	l.out, l.file = f, f
	return nil
}

// Close closes the file, if Open has opened one and nothing runs any more.
func (l *AccessLog) Close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

// Counts are what became of the lines so far.
func (l *AccessLog) Counts() *AccessCounts { return &l.counts }

// Wants tells whether the exchange is to be logged. A sample is drawn anew each
// time.
func (l *AccessLog) Wants(e *Exchange) bool {
	if e.failed() {
		return true
	}
	return l.options.All && (l.sample >= 1<<32 || uint64(rand.Uint32()) < l.sample)
}

// Write logs an exchange that has just ended. It does not block.
func (l *AccessLog) Write(e *Exchange) {
	slot, at := l.ring.claim()
	if slot == nil {
		l.counts.Dropped.Add(1)
		return
	}
	if l.options.Text {
		slot.line = appendText(slot.room(), e, time.Now())
	} else {
		slot.line = appendJSON(slot.room(), e, time.Now())
	}
	l.ring.publish(slot, at)
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		l.wake <- struct{}{} // there is room: only this one may send
	}
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
