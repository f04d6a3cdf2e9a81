package app

import (
	"fmt"
	"sync"
	"time"

	"outrider/sidecar/health"
)

// keptChanges is how many changes of health are remembered, of all backends.
const keptChanges = 1024

// chronicle remembers what became of the backends, and when, for those who ask about
// a request later.
type chronicle struct {
	mu   sync.Mutex // guards what follows
	all  []dated    // the oldest first, once it is turned at next
	next int
}

type dated struct {
	health.Change

	at time.Time
}

func (c *chronicle) add(change health.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := dated{change, time.Now()}
	if len(c.all) < keptChanges {
		c.all = append(c.all, one)
		return
	}
	c.all[c.next] = one
	c.next = (c.next + 1) % keptChanges
}

// at is the state of a backend at a time, and what had led to it. Now is its state
// at present.
func (c *chronicle) at(key health.Key, now string, when time.Time) (state, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var before, after *dated
	for i := range c.all {
		one := &c.all[(c.next+i)%len(c.all)]
		switch {
		case one.Key != key:
		case one.at.After(when):
			if after == nil {
				after = one
			}
		default:
			before = one
		}
	}
	later := ""
	if after != nil {
		later = fmt.Sprintf("; %s later: %s", span(after.at.Sub(when)), after)
	}
	switch {
	case before != nil:
		return before.To.String(), fmt.Sprintf("%s before: %s%s", span(when.Sub(before.at)), before, later)
	case after != nil:
		return after.From.String(), "no change before" + later
	}
	return now, "no change of it is known"
}

// span is a time as one reads it.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
