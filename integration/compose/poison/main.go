// Command poison is a peer that lies: it says of every address that it is given, in
// every way there is, that it is down, that it drains, that it is up again, and so on
// until it is ended. The fault tests run it among sidecars.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/gossip"
	"outrider/sidecar/health"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "poison:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("poison", flag.ContinueOnError)
	join := flags.String("join", "outrider:6191", "a peer")
	file := flags.String("key", "", "the file with the secret, one key in it")
	every := flags.Duration("every", 20*time.Millisecond, "between two lies about everything")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	victims, err := addresses(flags.Args())
	if err != nil {
		return err
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	mesh, err := gossip.New(gossip.Options{
		Name: "poison", Bind: netip.MustParseAddrPort("0.0.0.0:6191"), Join: []string{*join}, Keys: [][]byte{key},
		Log: logrus.New(), Rand: rand.New(rand.NewPCG(rand.Uint64(), 1)),
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- mesh.Run(ctx) }()
	lie := time.NewTicker(*every)
	defer lie.Stop()
	for i := 0; ; i++ {
		select {
		case <-lie.C:
			if err := lies(mesh, victims, i); err != nil {
				return err
			}
		case err := <-ended:
			return err
		}
	}
}

func addresses(arguments []string) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, argument := range arguments {
		a, err := netip.ParseAddrPort(argument)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return nil, errors.New("name the addresses to lie about")
	}
	return all, nil
}

// lies says the i-th thing about all.
func lies(mesh *gossip.Mesh, victims []netip.AddrPort, i int) error {
	for _, v := range victims {
		for _, kind := range []health.ClaimKind{health.ByTCP, health.ByTLS, health.ByHTTP, health.ByTraffic, health.ByOwner} {
			state := []gossip.State{gossip.Down, gossip.Draining, gossip.Down, gossip.Up}[i%4]
			s := health.Subject{Place: health.Place{Addr: v}, Kind: kind}
			if err := mesh.Publish(s.Key(), state); err != nil {
				return err
			}
		}
	}
	return nil
}
