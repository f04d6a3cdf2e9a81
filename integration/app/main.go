// The command app is the sample app of the compose file: it says who it is, calls
// other services when it is asked to, and misbehaves on command.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

func main() {
	name := flag.String("name", "app", "what it says that it is")
	serve := flag.String("serve", ":8080", "address of the app")
	control := flag.String("control", ":8081", "address of those who tell it how to behave")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *name, *serve, *control); err != nil {
		fmt.Fprintf(os.Stderr, "app: %v\n", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, name, serve, control string) error {
	a, err := newApp(name, serve)
	if err != nil {
		return err
	}
	defer a.close()
	c, err := newControl(a, control)
	if err != nil {
		return err
	}
	defer c.close()
	fmt.Printf("%s serves %s, and is told how to behave on %s\n", name, a.address(), c.address())

	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(a.run)
	tasks.Go(c.run)
	<-ctx.Done()
	c.close()
	a.close()
	return nil
}
