package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// load is what wrk reports of one run.
type load struct {
	requests     int // answers received
	took         time.Duration
	rate         float64 // requests per second
	p50, p99     time.Duration
	p999         time.Duration // 0: not told
	socketErrors int           // connect, read, write, timeout
	badStatus    int           // neither 2xx nor 3xx
}

// aim says what wrk shall do.
type aim struct {
	url         string
	duration    time.Duration // whole seconds
	connections int
	cores       []int
	threads     int
	script      string // Lua; empty: none
	fresh       bool   // a connection for each request
}

// shoot runs wrk and reads its report.
func shoot(ctx context.Context, wrk string, a aim) (load, error) {
	arguments := []string{
		"-c", listOf(a.cores), wrk, "--latency",
		"--threads", strconv.Itoa(a.threads),
		"--connections", strconv.Itoa(a.connections),
		"--duration", strconv.Itoa(int(a.duration.Seconds())) + "s",
	}
	if a.script != "" {
		arguments = append(arguments, "--script", a.script)
	}
	if a.fresh {
		arguments = append(arguments, "--header", "Connection: close")
	}
	text, err := output(ctx, "taskset", append(arguments, a.url)...)
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w\n%s", err, text)
	}
	l, err := parseWrk(text)
	if err != nil {
		return load{}, fmt.Errorf("%w; wrk printed:\n%s", err, text)
	}
	return l, nil
}

// parseWrk reads the report that wrk 4 prints with --latency.
func parseWrk(text string) (load, error) {
	var l load
	r := wrkReader{absent: map[string]bool{"50%": true, "99%": true, "requests": true, "Requests/sec": true}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "50%":
			l.p50 = r.duration("50%", words[1])
		case len(words) == 2 && words[0] == "99%":
			l.p99 = r.duration("99%", words[1])
		case len(words) >= 4 && words[1] == "requests" && words[2] == "in":
			l.requests = r.count("requests", words[0])
			l.took = r.duration("requests", strings.TrimSuffix(words[3], ","))
		case len(words) == 2 && words[0] == "Requests/sec:":
			l.rate = r.number("Requests/sec", words[1])
		case strings.HasPrefix(strings.TrimSpace(line), "Socket errors:"):
			// Socket errors: connect 0, read 1, write 0, timeout 2
			for i := 3; i < len(words); i += 2 {
				l.socketErrors += r.count("Socket errors", strings.TrimSuffix(words[i], ","))
			}
		case strings.HasPrefix(strings.TrimSpace(line), "Non-2xx or 3xx responses:"):
			l.badStatus = r.count("Non-2xx or 3xx responses", words[len(words)-1])
		}
	}
	return l, r.fault()
}

// wrkReader converts wrk's words; it keeps the first fault and knows which figures did not come.
type wrkReader struct {
	absent map[string]bool
	err    error
}

func (r *wrkReader) duration(what, word string) time.Duration {
	d, err := time.ParseDuration(word)
	r.note(what, err)
	return d
}

func (r *wrkReader) count(what, word string) int {
	n, err := strconv.Atoi(word)
	r.note(what, err)
	return n
}

func (r *wrkReader) number(what, word string) float64 {
	f, err := strconv.ParseFloat(word, 64)
	r.note(what, err)
	return f
}

func (r *wrkReader) note(what string, err error) {
	delete(r.absent, what)
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("read %s of wrk's report: %w", what, err)
	}
}

func (r *wrkReader) fault() error {
	if r.err != nil {
		return r.err
	}
	for what := range r.absent {
		return fmt.Errorf("wrk's report has no line for %s", what)
	}
	return nil
}
