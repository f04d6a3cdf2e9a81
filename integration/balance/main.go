// Command balance measures what one slow backend of several does to requests, with each
// way to balance: a whole sidecar in this process, over loopback. It prints a Markdown
// table, and puts it into sidecar/cluster/README.md.
//
//	go run ./integration/balance -rounds 1 -span 1s
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"time"

	"outrider/integration/command"
)

func main() { command.Main("balance", run) }

type options struct {
	rounds  int
	span    time.Duration // of one measurement
	clients int
	rate    int    // requests a second
	into    string // the file with the marks; empty: print alone
}

func parse(arguments []string, to io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("balance", flag.ContinueOnError)
	flags.SetOutput(to)
	flags.IntVar(&o.rounds, "rounds", 5, "rounds; each measures everything once, and the table has the medians")
	flags.DurationVar(&o.span, "span", 4*time.Second, "how long one measurement takes")
	flags.IntVar(&o.clients, "clients", 64, "clients that each send the next request when the last one is answered")
	flags.IntVar(&o.rate, "rate", 1200, "requests a second that come whatever becomes of those before")
	flags.StringVar(&o.into, "into", "", "file whose part between the marks is replaced; empty: print alone")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.clients < 1 || o.rate < 1 || o.span < 100*time.Millisecond {
		return o, errors.New("rounds, clients and rate are at least 1, and the span 100ms")
	}
	return o, nil
}

func run(ctx context.Context, arguments []string, out, progress io.Writer) error {
	o, err := parse(arguments, progress)
	if err != nil {
		return err
	}
	r, err := measure(ctx, o, progress)
	if err != nil {
		return err
	}
	text := r.markdown()
	if _, err := io.WriteString(out, text); err != nil || o.into == "" {
		return err
	}
	return keep(o.into, text)
}
