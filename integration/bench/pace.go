package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"time"
)

// findPace sets the rate of this round: half of what the slowest contender can.
func (b *bench) findPace(ctx context.Context) error {
	slowest := math.Inf(1)
	for _, e := range b.entries {
		err := b.turn(ctx, e, func(p *proxy) error {
			l, err := b.load(ctx, p, time.Second)
			slowest = min(slowest, l.rate)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: find what it can: %w", e.name, err)
		}
	}
	b.pace = slowest / 2
	b.say("%.0f requests/s is half of what the slowest can", b.pace)
	return nil
}

// keepPace sends requests at the round's rate. It uses four times the connections of the closed loop, so that a
// request rarely waits for one.
func (b *bench) keepPace(ctx context.Context, p *proxy) (measurement, error) {
	return b.meter(ctx, p, func() (load, error) {
		return b.ownLoad(ctx, "pace", p.address, target, strconv.Itoa(b.bodyBytes), strconv.FormatFloat(b.pace, 'f', 0, 64),
			strconv.Itoa(int(b.duration.Seconds())), strconv.Itoa(4*b.connections))
	})
}

// converse sends messages over WebSocket, on each connection the next one when the last one's echo has come.
func (b *bench) converse(ctx context.Context, p *proxy) (measurement, error) {
	return b.meter(ctx, p, func() (load, error) {
		return b.ownLoad(ctx, "echo", p.address, echoTarget, strconv.Itoa(int(b.duration.Seconds())), strconv.Itoa(b.connections))
	})
}

// ownLoad runs one of the load generators of this folder.
func (b *bench) ownLoad(ctx context.Context, name string, arguments ...string) (load, error) {
	command := append([]string{"-c", listOf(b.layout.load), filepath.Join(b.dir, name)}, arguments...)
	text, err := output(ctx, "taskset", command...)
	if err != nil {
		return load{}, fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	return parsePace(text)
}

// parsePace reads the line that the programs of the folders pace and echo print.
func parsePace(text string) (load, error) {
	var l load
	var took, p50, p99, p999 int64
	_, err := fmt.Sscanf(text, "requests %d bad %d took %d p50 %d p99 %d p999 %d\n",
		&l.requests, &l.badStatus, &took, &p50, &p99, &p999)
	if err != nil {
		return load{}, fmt.Errorf("read the line of pace %q: %w", text, err)
	}
	l.took = time.Duration(took) * time.Microsecond
	l.p50 = time.Duration(p50) * time.Microsecond
	l.p99 = time.Duration(p99) * time.Microsecond
	l.p999 = time.Duration(p999) * time.Microsecond
	l.rate = float64(l.requests) / l.took.Seconds()
	return l, nil
}
