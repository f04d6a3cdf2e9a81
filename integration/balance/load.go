package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// users is how many keys the requests have.
const users = 1000

// load is what clients have seen.
type load struct {
	mu   sync.Mutex // guards took and err
	took []time.Duration
	err  error
}

func (l *load) note(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.err = err
		return
	}
	l.took = append(l.took, took)
}

// client is one connection to the sidecar.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(address string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

func (c *client) request(until time.Time) error {
	if err := c.conn.SetDeadline(until.Add(time.Minute)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.conn, "GET / HTTP/1.1\r\nHost: a\r\nUser: %d\r\n\r\n", rand.IntN(users)); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("a request is answered %s", response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// closed is what clients see that each send the next request when the last one is
// answered.
func closed(ctx context.Context, address string, clients int, span time.Duration) ([]time.Duration, error) {
	var l load
	var tasks sync.WaitGroup
	end := time.Now().Add(span)
	for range clients {
		tasks.Go(func() {
			c, err := dial(address)
			if err != nil {
				l.note(0, err)
				return
			}
			defer func() { _ = c.conn.Close() }()
			for ctx.Err() == nil && err == nil && time.Now().Before(end) {
				began := time.Now()
				err = c.request(end)
				l.note(time.Since(began), err)
			}
		})
	}
	tasks.Wait()
	return l.took, l.err
}

// open is what clients see whose requests come at a rate, whatever becomes of those
// before. A request takes from when it was to be sent: one that had to wait for
// its turn has waited.
func open(ctx context.Context, address string, rate int, span time.Duration) ([]time.Duration, error) {
	var l load
	var tasks sync.WaitGroup
	idle := make(chan *client, rate*int(span/time.Second+1)) // as many as there can be
	began := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if due.Sub(began) >= span {
			break
		}
		time.Sleep(time.Until(due))
		tasks.Go(func() {
			c, err := borrow(idle, address)
			if err == nil {
				err = c.request(due)
			}
			l.note(time.Since(due), err)
			if c != nil {
				idle <- c
			}
		})
	}
	tasks.Wait()
	for close(idle); ; {
		c, more := <-idle
		if !more {
			return l.took, l.err
		}
		_ = c.conn.Close()
	}
}

func borrow(idle chan *client, address string) (*client, error) {
	select {
	case c := <-idle:
		return c, nil
	default:
		return dial(address)
	}
}

// quantile is of values that it sorts.
func quantile[T float64 | time.Duration](values []T, p float64) T {
	slices.Sort(values)
	return values[min(len(values)-1, int(p*float64(len(values))))]
}
