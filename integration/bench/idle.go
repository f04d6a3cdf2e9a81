package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
)

const (
	// spareDescriptors are those that a proxy needs beside its clients' connections.
	spareDescriptors = 500

	// crowdSources are the loopback addresses that connections come from: each has some 28,000 ports.
	crowdSources = 4
)

// crowd opens connections, each of which gets one answer and then rests, and reads what the proxy holds for one.
func (b *bench) crowd(ctx context.Context, p *proxy) (measurement, error) {
	pids, err := b.proc.tree(p.pid())
	if err != nil {
		return measurement{}, err
	}
	before, err := b.proc.resident(pids)
	if err != nil {
		return measurement{}, err
	}
	count := crowdSize()
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := range count {
		if err := ctx.Err(); err != nil {
			return measurement{}, context.Cause(ctx)
		}
		c, err := b.visit(p.address, net.IPv4(127, 0, 0, byte(2+i%crowdSources)))
		if err != nil {
			return measurement{}, fmt.Errorf("connection %d of %d: %w", i+1, count, err)
		}
		open = append(open, c)
	}
	after, err := b.proc.resident(pids)
	if err != nil {
		return measurement{}, err
	}
	return measurement{
		connections: count, resident: after,
		perConnection: float64(after-before) / float64(count),
	}, nil
}

// visit connects from a source address and asks once.
func (b *bench) visit(address string, source net.IP) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: source}}
	c, err := dialer.Dial("tcp4", address)
	if err != nil {
		return nil, err
	}
	if err := askOnce(c, address); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// askOnce sends a request and reads its answer.
func askOnce(c net.Conn, host string) error {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// crowdSize is how many connections this program, and a proxy that it starts, may hold.
func crowdSize() int {
	const want = idleConnections + spareDescriptors
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if limit.Cur >= want {
		return idleConnections
	}
	more := syscall.Rlimit{Cur: want, Max: max(want, limit.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) == nil {
		return idleConnections
	}
	return int(limit.Cur) - spareDescriptors // only root may raise it
}
