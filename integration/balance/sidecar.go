package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

// backends is how many there are; the first is slow.
const backends = 5

// stage is a sidecar with its backends.
type stage struct {
	backends []*backend
	address  string // of the sidecar
	ended    chan error
	leave    context.CancelFunc
}

func newStage(ctx context.Context, balance string) (*stage, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &stage{leave: cancel, ended: make(chan error, 1)}
	for i := range backends {
		takes := quick
		if i == 0 {
			takes = slow
		}
		b, err := newBackend(takes)
		if err != nil {
			return nil, err
		}
		s.backends = append(s.backends, b)
	}
	c, err := config.Load(config.Source{Hostname: "balance", Env: []string{"OUTRIDER_CONFIG=" + s.configuration(balance)}})
	if err != nil {
		return nil, err
	}
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	opened := make(chan struct{})
	sidecar, err := app.New(c, app.Options{Log: silent, OnOpen: func() error { close(opened); return nil }})
	if err != nil {
		return nil, err
	}
	go func() { s.ended <- sidecar.Run(ctx) }()
	select {
	case <-opened:
		s.address = sidecar.Addresses()[0]
		return s, nil
	case err := <-s.ended:
		return nil, err
	}
}

func (s *stage) configuration(balance string) string {
	var list []string
	for _, b := range s.backends {
		list = append(list, strconv.Quote(b.address))
	}
	key := ""
	if balance == "hash" {
		key = ", hash_key: header:User"
	}
	return fmt.Sprintf(`name: balance
listen: "127.0.0.1:0"
status: { listen: "" }
admin: { listen: "" }
log: { access: { mode: off } }
shutdown: { grace: 1s }
clusters: { one: { backends: [%s], balance: %s%s, check: { interval: 1h }, timeouts: { connect: 10s } } }
`, strings.Join(list, ", "), balance, key)
}

// share is the part of the requests that the slow backend got.
func (s *stage) share() float64 {
	all := 0.0
	for _, b := range s.backends {
		all += float64(b.took.Load())
	}
	return float64(s.backends[0].took.Load()) / max(all, 1)
}

func (s *stage) stop() error {
	s.leave()
	err := <-s.ended
	for _, b := range s.backends {
		if failed := b.stop(); err == nil {
			err = failed
		}
	}
	return err
}
