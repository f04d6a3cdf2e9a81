package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Each backend answers so many requests at a time, and lets the others wait: a slow
// one has less to give, too.
const (
	places = 8
	quick  = 4 * time.Millisecond
	slow   = 10 * quick
)

// backend answers after a while.
type backend struct {
	address string
	took    atomic.Int64 // requests
	server  http.Server
	ended   chan error
}

func newBackend(takes time.Duration) (*backend, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a backend: %w", err)
	}
	b := &backend{address: ln.Addr().String(), ended: make(chan error, 1)}
	free := make(chan struct{}, places)
	b.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.took.Add(1)
		free <- struct{}{}
		time.Sleep(takes)
		<-free
		_, _ = io.WriteString(w, "ok")
	})
	go func() { b.ended <- b.server.Serve(ln) }()
	return b, nil
}

func (b *backend) stop() error {
	closed := b.server.Close()
	if err := <-b.ended; !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(closed, err)
	}
	return closed
}
