package main

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/trace"
)

// openTracer begins to trace, where the standard OTEL_* variables ask for it.
func openTracer(ctx context.Context, name string, log logrus.FieldLogger) (*trace.Tracer, error) {
	return trace.Open(context.WithoutCancel(ctx), trace.Options{Name: name, Version: version(), Env: os.Getenv, Warn: onceAMinute(func(err error) {
		log.WithError(err).Warn("spans do not reach the collector; requests go on")
	})})
}

// onceAMinute keeps quiet for a minute after each call.
func onceAMinute(warn func(error)) func(error) {
	var (
		mu   sync.Mutex // guards last
		last time.Time
	)
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if last.IsZero() || time.Since(last) >= time.Minute {
			last = time.Now()
			warn(err)
		}
	}
}
