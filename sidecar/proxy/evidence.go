package proxy

import (
	"strconv"

	"outrider/sidecar/cluster"
)

// Failure is what a try ran into that speaks against the backend.
type Failure struct {
	Kind FailureKind
	Err  error // the cause; see package cause for what to call it
}

// FailureKind sorts the failures of a backend.
type FailureKind uint8

// The kinds of failures.
const (
	FailedConnect FailureKind = iota // no connection, or no TLS on it
	FailedTimeout                    // no response head in time
	FailedReset                      // the connection ended inside an exchange
	FailedStatus                     // a response that the policy counts as a failure
)

// kind is what a trouble says about the backend; not ok: nothing.
func (t trouble) kind() (k FailureKind, ok bool) {
	switch t {
	case refused, unreachable, slowToConnect, handshakeFailed:
		return FailedConnect, true
	case slowToAnswer:
		return FailedTimeout, true
	case ended, cutShort:
		return FailedReset, true
	}
	return 0, false
}

// blame tells of a failure that is the backend's.
func (x *exchange) blame(b *cluster.Backend, f failure, err error) {
	kind, ok := f.trouble.kind()
	if told := x.server.options.OnFailure; told != nil && ok && !f.stale() {
		told(b, Failure{kind, err})
	}
}

// judge looks at the head of a response: whether it counts as a failure, and
// whether it ends the backend's trial.
func (x *exchange) judge(b *cluster.Backend) {
	options := &x.server.options
	switch {
	case x.policy.Outliers.Has(x.resp.Status):
		if options.OnFailure != nil {
			options.OnFailure(b, Failure{FailedStatus, statusError(x.resp.Status)})
		}
	case b.State() == cluster.Trial && options.OnSuccess != nil:
		options.OnSuccess(b)
	}
}

// statusError is the status of a response that counts as a failure.
type statusError int

func (s statusError) Error() string { return "status " + strconv.Itoa(int(s)) }

// Cause is what package cause calls it.
func (s statusError) Cause() string { return s.Error() }
