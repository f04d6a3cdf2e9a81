package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

func balances() []string { return []string{"round_robin", "least_requests", "random_two", "hash"} }

// result is one measurement.
type result struct {
	perSecond float64
	p50, p99  time.Duration
	share     float64 // of the slow backend
}

type report struct {
	options      options
	busy         string              // how busy the machine was before; may be empty
	closed, open map[string][]result // by balance, one for each round
}

// measure goes through all ways to balance in each round, so that what else the machine
// does meets all of them.
func measure(ctx context.Context, o options, progress io.Writer) (*report, error) {
	r := &report{options: o, busy: busy(), closed: map[string][]result{}, open: map[string][]result{}}
	for round := range o.rounds {
		for _, balance := range balances() {
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, o.rounds, balance)
			one, err := once(ctx, balance, o.span, func(address string) ([]time.Duration, error) { return closed(ctx, address, o.clients, o.span) })
			if err != nil {
				return nil, fmt.Errorf("%s, %d clients: %w", balance, o.clients, err)
			}
			r.closed[balance] = append(r.closed[balance], one)
			one, err = once(ctx, balance, o.span, func(address string) ([]time.Duration, error) { return open(ctx, address, o.rate, o.span) })
			if err != nil {
				return nil, fmt.Errorf("%s, %d requests a second: %w", balance, o.rate, err)
			}
			r.open[balance] = append(r.open[balance], one)
		}
	}
	return r, ctx.Err()
}

// once loads a new sidecar with new backends.
func once(ctx context.Context, balance string, span time.Duration, clients func(address string) ([]time.Duration, error)) (result, error) {
	s, err := newStage(ctx, balance)
	if err != nil {
		return result{}, err
	}
	took, err := clients(s.address)
	if stopped := s.stop(); err == nil {
		err = stopped
	}
	if err == nil && len(took) == 0 {
		err = ctx.Err()
	}
	if err != nil {
		return result{}, err
	}
	return result{
		perSecond: float64(len(took)) / span.Seconds(),
		p50:       quantile(took, 0.5), p99: quantile(took, 0.99), share: s.share(),
	}, nil
}
