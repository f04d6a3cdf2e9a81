package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

func runVerb() *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the sidecar",
		Long: `Run the sidecar until SIGTERM or Ctrl-C. It then stops accepting, lets the
requests under way come to their end (shutdown.grace), and exits with 0.
SIGHUP reads configuration and script again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), &from) },
	}
	from.register(cmd)
	return cmd
}

func run(ctx context.Context, from *source) error {
	c, err := from.usable()
	if err != nil {
		return err
	}
	log := newLogger(c.Log)
	memory := keepBelowLimit(log)
	token, publish, err := newAdminToken(c.Admin)
	if err != nil {
		return err
	}
	a, err := app.New(c, app.Options{
		Log: log, Version: version(), Load: from.load, Token: token, OnOpen: publish, OnDone: app.LogRequests(log),
		Memory: memory, Stdout: os.Stdout, StdoutIsTerminal: isTerminal(os.Stdout),
	})
	if err != nil {
		return err
	}
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tasks.Go(func() { reloadOnHangup(ctx, a) })
	tasks.Go(func() { new(scavenger).run(ctx) })
	return a.Run(ctx)
}

func reloadOnHangup(ctx context.Context, a *app.App) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-hangup:
			_ = a.Reload(ctx) // it has logged what there is to say
		case <-ctx.Done():
			return
		}
	}
}

func newLogger(c config.Log) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(os.Stderr)
	if level, err := logrus.ParseLevel(c.Level); err == nil {
		log.SetLevel(level)
	}
	if c.Format == config.LogJSON || c.Format == config.LogAuto && !isTerminal(os.Stderr) {
		log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
		return log
	}
	log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000"})
	return log
}
