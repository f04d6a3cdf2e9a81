package main

import (
	"fmt"
	"net"
	"sync"
)

// backend is a server that takes connections and says nothing: what a check by TCP
// wants. It can die and come back at its address.
type backend struct {
	address string

	mu    sync.Mutex // guards ln
	ln    net.Listener
	tasks sync.WaitGroup
}

func newBackend() (*backend, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a backend: %w", err)
	}
	b := &backend{address: ln.Addr().String()}
	b.serve(ln)
	return b, nil
}

func (b *backend) revive() error {
	ln, err := net.Listen("tcp", b.address)
	if err != nil {
		return fmt.Errorf("a backend at %s: %w", b.address, err)
	}
	b.serve(ln)
	return nil
}

func (b *backend) serve(ln net.Listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ln = ln
	b.tasks.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	})
}

// die makes its port refuse.
func (b *backend) die() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.ln.Close()
	b.tasks.Wait()
}
