package proxy

import (
	"fmt"
	"net/http"
	"time"

	"outrider/sidecar/cause"
	"outrider/sidecar/http1"
)

// Fault is why a request got no answer from a backend.
type Fault struct {
	Status int    // what the client is answered; 0: nobody is there to be answered
	Type   string // the proxy error type of RFC 9209, 2.3
	Detail string // a sentence for the one who reads the answer; never a secret
	Err    error  // the cause, for the log alone
	// RetryAfter tells the client to come back in a second.
	RetryAfter bool
	// Severed: nothing more can be understood on the client's connection.
	Severed bool
}

func (f *Fault) Error() string {
	if f.Err != nil {
		return fmt.Sprintf("%s: %v", f.Detail, f.Err)
	}
	return f.Detail
}

func (f *Fault) Unwrap() error { return f.Err }

// clientGone is the fault of a client that is not there any more.
func clientGone(err error) *Fault {
	return &Fault{Type: "connection_terminated", Detail: "the client is gone", Err: err, Severed: true}
}

// badRequest is the fault of a request that breaks HTTP's rules.
func badRequest(err *http1.Error) *Fault {
	return &Fault{Status: err.Status, Type: "http_request_error", Detail: err.Reason, Severed: true}
}

func requestTimeout() *Fault {
	return &Fault{
		Status: http.StatusRequestTimeout, Type: "http_request_error", Severed: true,
		Detail: "the request did not arrive in time",
	}
}

func loopDetected(via string) *Fault {
	return &Fault{
		Status: http.StatusLoopDetected, Type: "proxy_loop_detected",
		Detail: "this request has passed " + via + " before: a cluster leads back to this sidecar",
	}
}

func noBackend(name string, total int) *Fault {
	return &Fault{
		Status: noneUsable.status(), Type: "destination_unavailable", RetryAfter: true,
		Detail: fmt.Sprintf("cluster %s has no usable backend (0 of %d)", name, total),
	}
}

func backendsFull(name string, limit int) *Fault {
	return &Fault{
		Status: allFull.status(), Type: "connection_limit_reached", RetryAfter: true,
		Detail: fmt.Sprintf("every backend of cluster %s has all the requests that it may have at a time (max_in_flight: %d, or one on trial)", name, limit),
	}
}

func connectFailed(name string, err error) *Fault {
	return &Fault{
		Status: dialTrouble(err).status(), Type: connectErrorType(err), Err: err,
		Detail: fmt.Sprintf("no connection to a backend of cluster %s: %s", name, cause.Of(err, 0)),
	}
}

// timeoutOver is the fault of a request whose own timeout is over.
func timeoutOver(timeout time.Duration) *Fault {
	return &Fault{
		Status: overdue.status(), Type: "http_response_timeout",
		Detail: fmt.Sprintf("no answer within %v, the timeout of this request", timeout),
	}
}

func responseTimeout(name string, err error) *Fault {
	return &Fault{
		Status: slowToAnswer.status(), Type: "http_response_timeout", Err: err,
		Detail: fmt.Sprintf("a backend of cluster %s did not answer in time", name),
	}
}

func responseCut(name string, err error) *Fault {
	return &Fault{
		Status: cutShort.status(), Type: "http_response_incomplete", Err: err,
		Detail: fmt.Sprintf("a backend of cluster %s ended the connection before its answer was complete", name),
	}
}

// badResponse is the fault of a backend that does not keep to HTTP. The reason
// is one of a few fixed sentences: nothing that the backend has sent is repeated.
func badResponse(name string, reason error) *Fault {
	return &Fault{
		Status: malformed.status(), Type: "http_protocol_error", Err: reason,
		Detail: fmt.Sprintf("a backend of cluster %s broke HTTP's rules: %v", name, reason),
	}
}
