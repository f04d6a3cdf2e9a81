package main

import (
	"context"
	"fmt"
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
SIGHUP reads configuration and script again; SIGUSR1 opens the file of the
access log anew, for who rotates it.`,
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
	sockets, err := passedSockets()
	if err != nil {
		return err
	}
	tracer, err := openTracer(ctx, c.Name, log)
	if err != nil {
		return err
	}
	defer tracer.Close()
	memory := keepBelowLimit(log)
	var a *app.App
	a, err = app.New(c, app.Options{
		Log: log, SetLog: func(c config.Log) { setLog(log, c) }, Requests: log, Version: version(), Load: from.load, Token: new(adminToken).of,
		Tracer: tracer, Sockets: sockets, OnStage: func(s app.Stage) { tellSystemd(s, log) }, Memory: memory, Stdout: os.Stdout, StdoutIsTerminal: isTerminal(os.Stdout),
		OnOpen: func() error { showDashboard(a); return nil },
	})
	if err != nil {
		return err
	}
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	heard := listenForSignals() // before anybody is told that we are there
	tasks.Go(func() { heard.obey(ctx, a) })
	tasks.Go(func() { followFiles(ctx, from, a, log) })
	tasks.Go(func() { new(scavenger).run(ctx) })
	return a.Run(ctx)
}

// showDashboard prints a link to the dashboard, where somebody sees it who may have it.
func showDashboard(a *app.App) {
	if !isTerminal(os.Stdout) {
		return
	}
	if link := a.Dashboard(); link != "" {
		fmt.Printf("dashboard  %s\n           (lets one browser in, within an hour; `outrider dashboard` makes another link)\n", link)
	}
}

// signals are those that ask for something: SIGHUP, and where there is one SIGUSR1.
type signals struct{ hangup, rotated chan os.Signal }

// listenForSignals has them ask from now on: before, they end the process.
func listenForSignals() signals {
	s := signals{make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(s.hangup, syscall.SIGHUP)
	notifyRotated(s.rotated)
	return s
}

// obey does what the signals ask for, until ctx is done. What that did not do it has
// logged.
func (s signals) obey(ctx context.Context, a *app.App) {
	defer signal.Stop(s.hangup)
	defer signal.Stop(s.rotated)
	for {
		select {
		case <-s.hangup:
			_ = a.Reload(ctx)
		case <-s.rotated:
			_ = a.ReopenLogs()
		case <-ctx.Done():
			return
		}
	}
}

func newLogger(c config.Log) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(os.Stderr)
	setLog(log, c)
	return log
}

// setLog has the log write what its configuration says, and how.
func setLog(log *logrus.Logger, c config.Log) {
	if level, err := logrus.ParseLevel(c.Level); err == nil {
		log.SetLevel(level)
	}
	if c.Format == config.LogJSON || c.Format == config.LogAuto && !isTerminal(os.Stderr) {
		log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
		return
	}
	log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000"})
}
