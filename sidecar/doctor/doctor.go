// Package doctor looks at what surrounds a sidecar, for what keeps it from working:
// its network namespace, its files, its ports, the names and backends that it is
// configured with, and the way to its peers. It changes nothing.
package doctor

import (
	"context"
	"net"
	"sync"
	"time"

	"outrider/sidecar/config"
)

// Finding is one thing that was found, and the line to change.
type Finding struct {
	Severity Severity
	Where    string // file, line and column, or a variable; "" when nothing written is at fault
	Key      string // what is at fault there, such as clusters.one.backends[0]; may be ""
	What     string // what is wrong
	Remedy   string // what to do
}

// Severity tells what is wrong from what is worth knowing.
type Severity uint8

// Wrong keeps the sidecar from working as it is meant to. A Note may be meant so, or
// could not be looked at in the time that there was.
const (
	Wrong Severity = iota
	Note
)

// Patient is what is examined: a configuration, where it stands.
type Patient struct {
	Config *config.Config
	Places config.Places
	// Running tells that a sidecar runs with this configuration: its ports are taken.
	Running bool
	// OnlyTCP is how many pings of peers UDP did not carry and TCP did, as that
	// sidecar has counted.
	OnlyTCP uint64
	// Patience is how long to wait for one answer or one connection at most.
	Patience time.Duration
}

// Lookup asks for names; *net.Resolver is one.
type Lookup interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupAddr(ctx context.Context, address string) ([]string, error)
}

// Examine looks at everything at once, and tells what it found in the same order
// each time. It takes up to the patient's patience, and a few seconds.
func (p Patient) Examine(ctx context.Context) []Finding {
	if err := Stranded(p.Config); err != nil {
		// Whatever else fails, fails because of this.
		return append(p.mounts(), Finding{What: err.Error(), Remedy: strandedRemedy})
	}
	looks := []func(context.Context) []Finding{
		func(context.Context) []Finding { return p.mounts() },
		p.ports,
		func(ctx context.Context) []Finding { return p.backends(ctx, net.DefaultResolver) },
		func(ctx context.Context) []Finding { return p.peers(ctx, net.DefaultResolver) },
	}
	return inParallel(ctx, looks)
}

// inParallel is what all looks find, in their order.
func inParallel(ctx context.Context, looks []func(context.Context) []Finding) []Finding {
	found := make([][]Finding, len(looks))
	var under sync.WaitGroup
	for i, look := range looks {
		under.Go(func() { found[i] = look(ctx) })
	}
	under.Wait()
	var all []Finding
	for _, findings := range found {
		all = append(all, findings...)
	}
	return all
}

// wrong is a finding about a key.
func (p Patient) wrong(key, what, remedy string) Finding {
	return Finding{Wrong, p.Places.Of(key), key, what, remedy}
}

func (p Patient) note(key, what, remedy string) Finding {
	return Finding{Note, p.Places.Of(key), key, what, remedy}
}
