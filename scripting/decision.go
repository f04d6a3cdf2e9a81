package scripting

// A Decision is the script's answer for one request. Where Outcome is an error
// kind (see [Outcome.Failed]), on_error has been applied already: either Cluster
// is set, or Cluster and Respond are both empty, which means "answer 500".
type Decision struct {
	Cluster string   // the cluster the request goes to
	Respond *Respond // or the answer to give right here
	Rule    string   // the script's own word for why, at most [MaxRule] bytes; for the log
	Outcome Outcome
	Err     error // what went wrong, with the position in the script where there is one; for the log
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
	MaxList = 1000     // names in a list of clusters
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
