package gossip

// Reason is why something that came from the network was not taken.
type Reason string

// All reasons. The first group is about packets, which change nothing at all;
// the second about single claims in one that was read.
const (
	Undecryptable  Reason = "undecryptable"   // another key, or none
	ForeignLabel   Reason = "foreign label"   // another network's
	Malformed      Reason = "malformed"       // truncated, or not ours
	Oversized      Reason = "oversized"       // more than a store can hold
	UnknownVersion Reason = "unknown version" // of the protocol
	UnknownType    Reason = "unknown type"    // of message
	Overload       Reason = "overload"        // more came than could be read

	UnknownObserver Reason = "unknown observer" // no member has it
	Expired         Reason = "expired"          // older than the TTL
	Ahead           Reason = "ahead"            // Seq far above its observer's
	Behind          Reason = "behind"           // Seq far below: a replay
	Forged          Reason = "forged"           // in our own name
)
