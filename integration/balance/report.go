package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

func (r *report) markdown() string {
	var b strings.Builder
	o := r.options
	fmt.Fprintf(&b, "| `balance` | %d clients: requests/s | p50 | p99 | share of the slow one | %d requests/s: p50 | p99 | share of the slow one |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
		o.clients, o.rate)
	for _, balance := range balances() {
		c, q := median(r.closed[balance]), median(r.open[balance])
		fmt.Fprintf(&b, "| `%s` | %.0f | %s | %s | %.1f %% | %s | %s | %.1f %% |\n",
			balance, c.perSecond, millis(c.p50), millis(c.p99), 100*c.share, millis(q.p50), millis(q.p99), 100*q.share)
	}
	fmt.Fprintf(&b, "\n%d backends that answer %d requests at a time, in %v each, but one of them in %v. On the left each client sends its next request when the last one is answered; "+
		"on the right requests come at that rate, whatever becomes of those before, and time counts from when they were to be sent. Keys (`hash`) are those of %d users. Medians of %d rounds of %v each; %s%s.\n",
		backends, places, quick, slow, users, o.rounds, o.span, origin(), r.busy)
	return b.String()
}

// median is that of each figure.
func median(rounds []result) result {
	var perSecond, share []float64
	var p50, p99 []time.Duration
	for _, one := range rounds {
		perSecond, share = append(perSecond, one.perSecond), append(share, one.share)
		p50, p99 = append(p50, one.p50), append(p99, one.p99)
	}
	return result{quantile(perSecond, 0.5), quantile(p50, 0.5), quantile(p99, 0.5), quantile(share, 0.5)}
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// origin is where and when the figures come from.
func origin() string {
	commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	return fmt.Sprintf("commit %s, %s, %d cores for clients, sidecar and backends together", strings.TrimSpace(string(commit)), processor(), runtime.GOMAXPROCS(0))
}

// busy tells how busy the machine is already.
func busy() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	minute, _, _ := strings.Cut(string(text), " ")
	return ", with a load average of " + minute + " before it began"
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

const (
	beginMark = "<!-- measured: make balance -->\n"
	endMark   = "<!-- end -->\n"
)

// keep puts the table between the marks of a file.
func keep(file, text string) error {
	whole, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(whole), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		return fmt.Errorf("%s has no lines %q and %q to put the table between", file, strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	return os.WriteFile(file, []byte(before+beginMark+text+endMark+after), 0o644) //nolint:gosec // a file of the repository
}
