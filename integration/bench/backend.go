package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// backend is the running C program of the folder backend: two servers in one process, "one" and "two".
type backend struct {
	*process
	one, two  string // host:port
	bodyBytes int

	ask     *os.File // a byte written here ...
	tell    *os.File // ... is answered here with the counters
	answers *bufio.Reader
}

// counts are the requests that each of the two servers received.
type counts struct{ one, two int }

func (c counts) since(earlier counts) counts {
	return counts{one: c.one - earlier.one, two: c.two - earlier.two}
}

// startBackend runs it; each request ends with its emptyLines-th empty line.
func startBackend(path string, bodyBytes, emptyLines int, cores []int) (*backend, error) {
	stdin, ask, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the backend: %w", err)
	}
	defer stdin.Close()
	tell, stdout, err := os.Pipe()
	if err != nil {
		ask.Close()
		return nil, fmt.Errorf("start the backend: %w", err)
	}
	defer stdout.Close()

	b := &backend{bodyBytes: bodyBytes, ask: ask, tell: tell, answers: bufio.NewReader(tell)}
	b.process, err = start(launch{
		name: "backend", path: path, arguments: []string{strconv.Itoa(bodyBytes), strconv.Itoa(emptyLines)}, cores: cores,
		log: filepath.Join(filepath.Dir(path), "backend.log"), stdin: stdin, stdout: stdout,
	})
	if err != nil {
		ask.Close()
		tell.Close()
		return nil, err
	}
	if err := b.readPorts(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *backend) close() {
	_ = b.stop()
	b.ask.Close()
	b.tell.Close()
}

// body is what the server of that name answers every request with.
func (b *backend) body(name string) string {
	return name + strings.Repeat(".", b.bodyBytes-len(name))
}

func (b *backend) readPorts() error {
	for _, server := range []struct {
		name    string
		address *string
	}{{"one", &b.one}, {"two", &b.two}} {
		var port int
		if err := b.scan(server.name+" %d\n", &port); err != nil {
			return fmt.Errorf("learn the backend's ports: %w%s", err, b.lastWords())
		}
		*server.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return nil
}

// counts asks how many requests were received so far.
func (b *backend) counts() (counts, error) {
	if _, err := b.ask.Write([]byte{'\n'}); err != nil {
		return counts{}, fmt.Errorf("ask the backend for its counters: %w", err)
	}
	var c counts
	if err := b.scan("one %d two %d\n", &c.one, &c.two); err != nil {
		return counts{}, fmt.Errorf("ask the backend for its counters: %w", err)
	}
	return c, nil
}

func (b *backend) scan(format string, values ...any) error {
	if err := b.tell.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	line, err := b.answers.ReadString('\n')
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(line, format, values...); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	return nil
}

// settled returns the counters once they stand still: requests that were under way when the load ended
// arrive a moment later.
func (b *backend) settled(ctx context.Context) (counts, error) {
	last, err := b.counts()
	if err != nil {
		return counts{}, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return counts{}, context.Cause(ctx)
		case <-tick.C:
		}
		now, err := b.counts()
		if err != nil {
			return counts{}, err
		}
		if now == last {
			return now, nil
		}
		last = now
	}
}
