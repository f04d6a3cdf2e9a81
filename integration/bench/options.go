package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// options are what the command line asks for.
type options struct {
	rounds      int
	duration    time.Duration // of one measurement; wrk takes whole seconds
	connections int
	workers     int // cores, and worker processes or threads, of every proxy
	contenders  []contender
	out         string
}

func parseOptions(arguments []string, messages io.Writer) (options, error) {
	known := contenders()
	var o options
	var names string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(messages)
	flags.IntVar(&o.rounds, "rounds", 5, "how often each contender is measured")
	flags.DurationVar(&o.duration, "duration", 5*time.Second, "length of one measurement, whole seconds")
	flags.IntVar(&o.connections, "connections", 32, "connections of the load generator")
	flags.IntVar(&o.workers, "workers", 1, "cores, and workers, that each proxy gets")
	flags.StringVar(&names, "contenders", strings.Join(namesOf(known), ","), "whom to measure, in this order")
	flags.StringVar(&o.out, "out", "", "also write the table to this `file`")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not a flag; bench takes flags only", flags.Arg(0))
	}
	var err error
	if o.contenders, err = choose(known, names); err != nil {
		return o, err
	}
	return o, o.validate()
}

func (o options) validate() error {
	switch {
	case o.rounds < 1:
		return fmt.Errorf("-rounds is %d: at least 1", o.rounds)
	case o.duration < time.Second || o.duration%time.Second != 0:
		return fmt.Errorf("-duration is %v: whole seconds, at least 1s", o.duration)
	case o.workers < 1:
		return fmt.Errorf("-workers is %d: at least 1", o.workers)
	case o.connections < o.workers:
		return fmt.Errorf("-connections is %d: at least one per worker (%d)", o.connections, o.workers)
	}
	return nil
}

// choose returns the contenders of a comma-separated list of names, in its order.
func choose(known []contender, names string) ([]contender, error) {
	var chosen []contender
	taken := make(map[string]bool)
	for name := range strings.SplitSeq(names, ",") {
		c, ok := named(known, name)
		if !ok {
			return nil, fmt.Errorf("-contenders: %q is not known; there are %s", name, strings.Join(namesOf(known), ", "))
		}
		if taken[name] {
			return nil, fmt.Errorf("-contenders: %s is named twice", name)
		}
		taken[name] = true
		chosen = append(chosen, c)
	}
	return chosen, nil
}

func named(known []contender, name string) (contender, bool) {
	for _, c := range known {
		if c.name == name {
			return c, true
		}
	}
	return contender{}, false
}

func namesOf(all []contender) []string {
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}
