package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"outrider/sidecar/proxy"
)

// console lets several write whole lines.
type console struct {
	colours bool
	mu      sync.Mutex // guards out
	out     io.Writer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

// paint colours text, where that is wanted.
func (c *console) paint(code, text string) string {
	if !c.colours {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Colours of the terminal.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	grey   = "90"
	bold   = "1"
)

// clock is how the time stands at the begin of each line.
const clock = "15:04:05"

// teller tells of each request, without holding it up: when the terminal is
// slower than the requests, some are not told.
type teller struct {
	console *console
	names   map[string]string // of the sample backends, by address
	lines   chan string
	untold  atomic.Uint64
}

func newTeller(c *console, names map[string]string) *teller {
	return &teller{console: c, names: names, lines: make(chan string, 256)}
}

// of is who tells of the requests to a sidecar.
func (t *teller) of(sidecar string) func(*proxy.Summary) {
	return func(s *proxy.Summary) { t.request(sidecar, s) }
}

func (t *teller) request(sidecar string, s *proxy.Summary) {
	if len(t.lines) == cap(t.lines) {
		t.untold.Add(1)
		return
	}
	select {
	case t.lines <- t.line(sidecar, s):
	default:
		t.untold.Add(1)
	}
}

func (t *teller) line(sidecar string, s *proxy.Summary) string {
	where := "answered here"
	if s.Backend != nil {
		where = fmt.Sprintf("%s -> %s %s", s.Cluster.Name(), t.names[s.Backend.Name()], s.Backend.Name())
	} else if s.Cluster != nil {
		where = s.Cluster.Name() + " -> nobody"
	}
	code := green
	if s.Status >= 500 {
		code = red
	} else if s.Status >= 400 {
		code = yellow
	}
	line := fmt.Sprintf("%s %s %-6s %-24s %-30s %s %7.1f ms", time.Now().Format(clock), sidecar, printable(s.Request.Method()),
		printable(s.Request.Path()), where, t.console.paint(code, fmt.Sprint(s.Status)), float64(s.Duration.Microseconds())/1000)
	if s.Retries > 0 {
		line += "  after " + count(s.Retries, "retry", "retries")
	}
	if s.Outcome != "" {
		line += "  script: " + s.Outcome
	}
	if s.Fault != nil {
		line += "  " + t.console.paint(red, s.Fault.Detail)
	}
	return line + "\n"
}

// printable keeps hostile bytes off the terminal.
func printable(s string) string {
	if len(s) > 60 {
		s = s[:57] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u009b' || r == '\ufffd' {
			return '?'
		}
		return r
	}, s)
}

func count[N int | uint64](n N, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func (t *teller) run(ctx context.Context) {
	for {
		select {
		case line := <-t.lines:
			if n := t.untold.Swap(0); n > 0 {
				line += fmt.Sprintf("         ... and %d more requests, too fast to show\n", n)
			}
			_, _ = io.WriteString(t.console, line)
		case <-ctx.Done():
			return
		}
	}
}
