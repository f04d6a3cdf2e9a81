package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// proxy is a contender that runs.
type proxy struct {
	*process
	address string // host:port
}

// freeAddress returns a loopback address that nobody listens on. Another program could take it before the
// proxy does; then the proxy says so and the run ends.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// ready returns when the proxy accepts connections.
func (p *proxy) ready(ctx context.Context) error {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("nothing accepts connections on %s after %v", p.address, limit))
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp4", p.address); err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.ended:
			return errors.New("it never accepted a connection")
		case <-tick.C:
		}
	}
}

// check sends a few requests through the proxy: each must come back whole, from the right backend, and must
// have been sent to it once. The floor decides nothing and is asked only for what is meant for one.
func (b *bench) check(ctx context.Context, e entry, p *proxy) error {
	before, err := b.backend.settled(ctx)
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // it is ours
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}

	var sent counts
	for _, path := range []string{"/one/", "/one/a?b=c", "/", "/two/", "/one", "/onerous/"} {
		name, count := "two", &sent.two
		if strings.HasPrefix(path, "/one/") {
			name, count = "one", &sent.one
		}
		if name == "two" && e.floor {
			continue
		}
		if err := expect(ctx, client, b.url(p, path), b.upload(), b.backend.body(name)); err != nil {
			return err
		}
		*count++
	}
	after, err := b.backend.settled(ctx)
	if err != nil {
		return err
	}
	if got := after.since(before); got != sent {
		return fmt.Errorf("check: sent %d requests for one and %d for two, the backends counted %d and %d", sent.one, sent.two, got.one, got.two)
	}
	return nil
}

// expect asks for url, with a POST when there is something to upload, and compares status and body.
func expect(ctx context.Context, client *http.Client, url, upload, body string) error {
	method := http.MethodGet
	if upload != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(upload))
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("check: read the body of %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("check: %s answers %s, not 200: %.200q", url, response.Status, got)
	}
	if string(got) != body {
		return fmt.Errorf("check: %s answers %d bytes %.200q, not the %d bytes %.200q", url, len(got), got, len(body), body)
	}
	return nil
}

// agree compares what the load generator received with what the backends counted. When the load ends, each
// connection may have a request under way that was counted and never answered; and on a busy machine the last
// requests of the warm-up may be counted only after the measurement began.
func agree(l load, counted counts, connections int) error {
	switch {
	case l.socketErrors > 0:
		return fmt.Errorf("wrk met %d socket errors", l.socketErrors)
	case l.badStatus > 0:
		return fmt.Errorf("wrk received %d answers with a status other than 2xx and 3xx", l.badStatus)
	case l.requests == 0:
		return errors.New("wrk received no answer")
	case counted.two > 0:
		return fmt.Errorf("backend two received %d requests that were meant for one", counted.two)
	case counted.one < l.requests, counted.one > l.requests+2*connections:
		return fmt.Errorf("wrk received %d answers, the backend counted %d requests: more than the %d connections explain",
			l.requests, counted.one, connections)
	}
	return nil
}
