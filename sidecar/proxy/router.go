package proxy

import (
	"time"

	"outrider/sidecar/cluster"
)

// Router says where a request goes.
type Router interface {
	// Route is called on the exchange's own task, by many tasks at once. The
	// request is valid until Route returns.
	Route(*Request) Decision
	// Limit is how long Route may take. When it takes longer, the exchange goes
	// on without it, with what Overdue says, and whatever Route returns is
	// dropped; Request.InTime tells. Zero: Route never blocks, and nobody
	// watches it.
	Limit() time.Duration
	// Overdue decides in the place of a Route that did not return. It must not
	// block.
	Overdue() Decision
}

// Decision is where a request goes: to a cluster, to an answer given here, or
// nowhere, which is a fault. Exactly one of the three is set.
type Decision struct {
	Cluster *cluster.Cluster
	Respond *Respond
	Fault   *Fault
	Timeout time.Duration // from the decision to the response's head, tries and all; 0: the policy's timeouts alone
	Outcome string        // a word for the log; empty when the cluster says it all
	Rule    string        // for the log: which part of the router decided; may be empty
	Version string        // for the log: which version of the router; may be empty

	// What follows goes with a Cluster.
	RequestHeaders  []HeaderEdit // on the request to the backend, behind all that the proxy does to it
	ResponseHeaders []HeaderEdit // on the response to the client
	Path            string       // what to ask the backend for: "/x", or "/x?y=1" to replace the query as well; empty: as received
	HashKey         string       // requests with the same one go to the same backend; empty: the backends take turns
}

// HeaderEdit sets a field, in the place of all of that name, or removes it: then
// Values is nil. On a response, Set-Cookie is added to what the backend sets.
// Names and values are such as a message can hold; framing and hop-by-hop fields,
// Via, and the removal of Host are not for a router.
type HeaderEdit = struct {
	Name   string
	Values []string
}

// Respond is an answer given without asking a backend.
type Respond struct {
	Status int
	Header [][2]string // names and values; framing and hop-by-hop fields are refused
	Body   string
}

// Fixed sends every request to one cluster.
type Fixed struct{ Cluster *cluster.Cluster }

// Route implements Router.
func (f Fixed) Route(*Request) Decision { return Decision{Cluster: f.Cluster} }

// Limit implements Router.
func (Fixed) Limit() time.Duration { return 0 }

// Overdue implements Router.
func (f Fixed) Overdue() Decision { return Decision{Cluster: f.Cluster} }
