package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options are what the command line asks for.
type options struct {
	rounds    int
	duration  time.Duration // of one measurement; wrk takes whole seconds
	scenarios []scenario
	out       string // file; empty: none
	chart     string // file; empty: none
}

func parseOptions(arguments []string, messages io.Writer) (options, error) {
	var o options
	var scenarioList, names string
	var quick bool
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(messages)
	flags.IntVar(&o.rounds, "rounds", 3, "how often each contender is measured")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "length of one measurement, whole seconds")
	flags.BoolVar(&quick, "quick", false, "one round of one second each")
	flags.StringVar(&scenarioList, "scenario", strings.Join(scenarioNames(scenarios()), ","), "what to measure, in this order")
	flags.StringVar(&names, "contenders", "", "whom to measure; default: all that the scenario has")
	flags.StringVar(&o.out, "out", "", "also write the tables to this `file`")
	flags.StringVar(&o.chart, "chart", "", "draw the first scenario into this `file`, as SVG")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not a flag; bench takes flags only", flags.Arg(0))
	}
	if quick {
		o.rounds, o.duration = 1, time.Second
	}
	var err error
	if o.scenarios, err = chooseScenarios(scenarios(), scenarioList); err != nil {
		return o, err
	}
	if err := o.only(names); err != nil {
		return o, err
	}
	return o, o.validate()
}

// only leaves the named contenders in each scenario; an empty list leaves all.
func (o *options) only(names string) error {
	if names == "" {
		return nil
	}
	var wanted []string
	for name := range strings.SplitSeq(names, ",") {
		if slices.Contains(wanted, name) {
			return fmt.Errorf("-contenders: %s is named twice", name)
		}
		wanted = append(wanted, name)
	}
	if err := known(wanted); err != nil {
		return err
	}
	for i := range o.scenarios {
		o.scenarios[i].only(wanted)
		if len(o.scenarios[i].contenders) == 0 {
			return fmt.Errorf("-contenders: scenario %s has none of them", o.scenarios[i].name)
		}
	}
	return nil
}

// known refuses names that no contender has.
func known(names []string) error {
	all := append(namesOf(contenders()), namesOf(variants())...)
	for _, name := range names {
		if !slices.Contains(all, name) {
			return fmt.Errorf("-contenders: %q is not known; there are %s", name, strings.Join(all, ", "))
		}
	}
	return nil
}

func (o options) validate() error {
	switch {
	case o.rounds < 1:
		return fmt.Errorf("-rounds is %d: at least 1", o.rounds)
	case o.duration < time.Second || o.duration%time.Second != 0:
		return fmt.Errorf("-duration is %v: whole seconds, at least 1s", o.duration)
	}
	return nil
}

func namesOf(all []contender) []string {
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}
