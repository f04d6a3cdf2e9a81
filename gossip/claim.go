// Package gossip replicates small claims among sidecars: "I see this backend
// down". It knows nothing of backends and decides nothing; it hands what peers
// claim to a Receiver, which trusts its own eyes.
//
// A claim is a register that its observer alone writes. Of two claims by the same
// observer about the same key the one with the higher Seq wins, whatever the order
// in which they come and however often. No wall clock is compared: a claim travels
// with its age, and one that is older than the TTL is dropped.
package gossip

import (
	"fmt"
	"time"
)

// TTL is how long a claim lives that is not repeated. A claim that something is
// wrong is repeated by its observer every TTL/3; Up is not, and once it is
// gone nothing that it overruled can still be young enough to come back.
const TTL = 30 * time.Second

// MaxKey is the length in bytes that a claim's key may have.
const MaxKey = 255

// Observer is a process that makes claims: a random number, new at each start.
type Observer uint64

func (o Observer) String() string { return fmt.Sprintf("%016x", uint64(o)) }

// State is what a claim says of its key. The numbers are the wire's.
type State uint8

// What a claim can say.
const (
	Up       State = 1 // it works again; takes back the other two
	Down     State = 2
	Draining State = 3 // it works, but asks for no new requests
)

func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	case Draining:
		return "draining"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

func (s State) known() bool { return s >= Up && s <= Draining }

// Claim is what an observer says of a key. What a key means is the user's affair;
// it has 1 to MaxKey bytes.
type Claim struct {
	Observer Observer
	Seq      uint64 // 1 is the observer's first; every claim of his has its own
	Key      string
	State    State
	Age      time.Duration // since it was made or repeated; transport is not counted
}

// register is the name of the place that a claim is written to.
type register struct {
	observer Observer
	key      string
}

func (c Claim) register() register { return register{c.Observer, c.Key} }
