// Command spread measures how fast sidecars turn away from a backend that dies, and
// what their gossip costs: whole sidecars in this process, over a network in memory
// with delay, loss and cuts, and over UDP on loopback. It prints a Markdown table, and
// puts it into gossip/README.md with a plot beside it.
//
//	go run ./integration/spread -sizes 3,10 -rounds 5
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"outrider/integration/command"
)

func main() { command.Main("spread", run) }

type options struct {
	sizes  []int
	rounds int    // for three sidecars; fewer for more of them
	into   string // the file with the marks; empty: print alone
}

func parse(arguments []string, to io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("spread", flag.ContinueOnError)
	flags.SetOutput(to)
	sizes := flags.String("sizes", "3,10,50,200", "numbers of sidecars, with commas")
	flags.IntVar(&o.rounds, "rounds", 40, "deaths to measure with three sidecars; with more of them fewer, but five at least")
	flags.StringVar(&o.into, "into", "", "file whose part between the marks is replaced, with spread.svg beside it; empty: print alone")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 2 || n > 1000 {
			return o, fmt.Errorf("-sizes %s: %q is not a number from 2 to 1000", *sizes, text)
		}
		o.sizes = append(o.sizes, n)
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: at least 1", o.rounds)
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
	text := r.markdown(describeMachine())
	if _, err := io.WriteString(out, text); err != nil || o.into == "" {
		return err
	}
	return r.keep(o.into, text)
}
