package telemetry

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func (r *ring) put(line string) bool {
	s, at := r.claim()
	if s == nil {
		return false
	}
	s.line = append(s.line[:0], line...)
	r.publish(s, at)
	return true
}

// The ring is a queue of bounded length: a slice is the model.
func TestTheRingIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, model := newRing(4), []string(nil)
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "put") {
				line := fmt.Sprintln(i, strings.Repeat("x", rapid.SampledFrom([]int{0, keptLine}).Draw(t, "length")))
				if took := r.put(line); took != (len(model) < 4) {
					t.Fatalf("took the line: %v, with %d lines inside", took, len(model))
				} else if took {
					model = append(model, line)
				}
				continue
			}
			want := strings.Join(model, "")
			if got := r.drain(nil, 1<<20); string(got) != want || !r.empty() {
				t.Fatalf("drained %q, want %q", got, want)
			}
			model = nil
		}
	})
}

func TestTheRingDrainsOnlyWhatIsPublished(t *testing.T) {
	r := newRing(4)
	first, at := r.claim()
	r.put("second\n")
	if got := r.drain(nil, 100); len(got) != 0 || !r.empty() {
		t.Errorf("drained %q before the first line was there", got)
	}
	first.line = append(first.line, "first\n"...)
	r.publish(first, at)
	if got := r.drain(nil, 100); string(got) != "first\nsecond\n" {
		t.Errorf("drained %q", got)
	}
}

func TestTheRingLosesNothingThatItTook(t *testing.T) {
	const writers, each = 4, 5000
	r := newRing(64)
	var took atomic.Int64
	var tasks sync.WaitGroup
	for w := range writers {
		tasks.Go(func() {
			for i := range each {
				if r.put(fmt.Sprintf("%d %d\n", w, i)) {
					took.Add(1)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { tasks.Wait(); close(done) }()
	var all []byte
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		all = r.drain(all, 1<<30)
	}
	lines := slices.Collect(bytes.Lines(all))
	if int64(len(lines)) != took.Load() {
		t.Errorf("%d lines came out, %d were taken", len(lines), took.Load())
	}
	last := [writers]int{}
	for i := range last {
		last[i] = -1
	}
	for _, line := range lines {
		who, number, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		w, _ := strconv.Atoi(who)
		n, err := strconv.Atoi(number)
		if err != nil || n <= last[w] {
			t.Fatalf("line %q comes after %d", line, last[w])
		}
		last[w] = n
	}
}
