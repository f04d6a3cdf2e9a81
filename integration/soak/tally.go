package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// tally counts what happened, and tells at once what must not.
type tally struct {
	out   io.Writer
	wrong atomic.Int64

	mu     sync.Mutex // guards what follows, and out
	counts map[string]int
}

func newTally(out io.Writer) *tally { return &tally{out: out, counts: make(map[string]int)} }

func (t *tally) count(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what]++
}

func (t *tally) accuse(format string, args ...any) {
	t.wrong.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%s wrong: %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

func (t *tally) write() {
	t.mu.Lock()
	defer t.mu.Unlock()
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(table, "%d\t %s\n", t.counts[what], what)
	}
	_ = table.Flush()
}
