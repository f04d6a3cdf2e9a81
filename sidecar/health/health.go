// Package health finds out which backends can be used.
//
// A Monitor checks every target at its interval and also takes note of what
// requests ran into. One bad result is a piece of evidence; `fall` of them in a
// row make a backend Down, `rise` good checks in a row bring it back. Only what
// this process saw itself decides. What peers claim tells it where to look, now
// ([Monitor.Hear]): it raises doubt until a check of our own has looked, and counts
// as one piece of evidence beside one of ours.
//
// A check does not show everything: a stopped process still accepts connections.
// So requests can take a backend out by themselves, for a time that no check
// shortens ([Passive]). Then it is on trial: one request at a time, and the first
// result brings it back or keeps it out for twice as long.
package health

import (
	"fmt"
	"net/netip"
	"time"
)

// Key names a backend: the same address in two clusters is two backends.
type Key struct {
	Cluster string
	Addr    netip.AddrPort
}

// State is the verdict on a backend.
type State uint8

// A backend is Up until evidence says otherwise. Suspects can be used when
// nothing better is left.
const (
	Up State = iota
	Suspect
	Down
	Trial    // can be used by one request at a time: its result is the verdict
	Draining // works, and asks for no new requests
)

func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Suspect:
		return "suspect"
	case Down:
		return "down"
	case Trial:
		return "trial"
	case Draining:
		return "draining"
	}
	return "unknown"
}

// Source is where evidence comes from.
type Source uint8

// Evidence is seen by a check of ours or by a request that we sent on.
const (
	FromCheck Source = iota
	FromTraffic
)

func (s Source) String() string {
	switch s {
	case FromCheck:
		return "check"
	case FromTraffic:
		return "traffic"
	}
	return "unknown"
}

// Evidence is one thing that we saw of a backend. The reason of a bad one is
// short and readable: "refused", "timeout after 1s", "status 500".
type Evidence struct {
	OK     bool
	Source Source
	Kind   Kind // of what traffic ran into
	Reason string
}

// Change is a new verdict.
type Change struct {
	Key
	Name     string
	From, To State
	Reason   string        // what led to it: "2x timeout after 1s", "web-2 says down"; for a recovery often empty
	After    time.Duration // how long the target was in From; for one that is Up again after a trial, how long it was not
}

// String is the line for the log: "app-b:8080 out: 2x timeout after 1s", and
// later "app-b:8080 back after 14.2s".
func (c Change) String() string {
	switch c.To {
	case Down:
		return c.Name + " out: " + c.Reason
	case Suspect:
		return c.Name + " suspect: " + c.Reason
	case Draining:
		return c.Name + " draining: " + c.Reason
	case Trial:
		return fmt.Sprintf("%s on trial after %s", c.Name, rounded(c.After))
	}
	line := fmt.Sprintf("%s back after %s", c.Name, rounded(c.After))
	if c.Reason != "" {
		line += ": " + c.Reason
	}
	return line
}

// rounded drops the digits that nobody reads.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// Status is what is known of a target, for display.
type Status struct {
	Key
	Name      string
	State     State
	Since     time.Time // when the target got into this state
	Reason    string    // of the last bad evidence; empty if there never was one
	Until     time.Time // when a target that requests alone took out is tried again; else zero
	Source    Source    // of the last bad evidence
	LastCheck time.Time // when the last check ended; zero before the first
	LastLocal string    // why the last check could not be made here; empty if it could
	Streak    Streak

	Place     Place     // where claims about it belong; the zero value: nothing is shared
	Claims    []Claim   // of peers, the latest first
	Contested bool      // some say that it is down, and a check of ours has found it well
	DeafUntil time.Time // when claims that it is down count again; may be over
	Claimed   bool      // we tell our peers that it is down
}
