package scripting

import "time"

// A Decision is the script's answer for one request. Where Outcome is an error
// kind (see [Outcome.Failed]), on_error has been applied already: either Cluster
// is set, or Cluster and Respond are both empty, which means "answer 500".
type Decision struct {
	Cluster string   // the cluster the request goes to
	Respond *Respond // or the answer to give right here
	Rule    string   // the script's own word for why, at most [MaxRule] bytes; for the log
	Outcome Outcome
	Err     error // what went wrong, with the position in the script where there is one; for the log

	// What follows goes with a Cluster. It has been checked, see [Respond].
	RequestHeaders  []HeaderEdit  // on the request to the backend
	ResponseHeaders []HeaderEdit  // on the response to the client
	Path            string        // what to ask the backend for: "/x", or "/x?y=1" to replace the query as well; "" = as received
	HashKey         string        // the same key goes to the same backend; "" = none
	Timeout         time.Duration // for the response to begin, 0 = the cluster's; may only shorten that
}

// A HeaderEdit sets a header, in the place of all of that name, or removes it:
// then Values is nil. On a response, values of Set-Cookie are added.
type HeaderEdit = struct {
	Name   string
	Values []string
}

// A Respond is an answer that the script gives itself. It has been checked: the
// status is 200 to 599, header names are tokens, values hold no controls, no
// header frames the message or belongs to the connection, and the body is at
// most [MaxBody] bytes.
type Respond struct {
	Status int
	Header [][2]string // name, value; in the order the script wrote them
	Body   string
}

// Limits on what a script may return.
const (
	MaxBody = 64 << 10 // bytes of respond.body
	MaxRule = 64       // bytes of rule
	MaxList = 1000     // names in a list of clusters, or sides of a split
	MaxEdit = 16 << 10 // bytes of all header edits, and of path and hashKey each
)

// An Outcome says how a decision came about; its String is the metric label.
type Outcome uint8

// The outcomes.
const (
	OK             Outcome = iota // the script named a known cluster
	Default                       // the script returned nothing: default_cluster
	NoRoute                       // the script returned nothing and there is no default: 404
	Fallback                      // a later cluster of a list: the ones before it have no usable backend
	Responded                     // the script answered by itself
	UnknownCluster                // the script named a cluster that does not exist
	BadReturn                     // the script returned something that is no decision
	Exception                     // the script threw
	Timeout                       // the script ran past its deadline
	Busy                          // no runtime came free in time
)

//nolint:gochecknoglobals // immutable table
var outcomeNames = [...]string{
	OK: "ok", Default: "default", NoRoute: "no_route", Fallback: "fallback", Responded: "respond",
	UnknownCluster: "unknown_cluster", BadReturn: "bad_return", Exception: "exception", Timeout: "timeout", Busy: "busy",
}

func (o Outcome) String() string {
	if int(o) >= len(outcomeNames) {
		return "invalid"
	}
	return outcomeNames[o]
}

// Failed reports whether o is an error kind, to which on_error applies.
func (o Outcome) Failed() bool { return o >= UnknownCluster }
