package health

import (
	"errors"
	"io"
	"net"
	"time"

	"outrider/sidecar/cause"
)

// failure is an error with its reason in a few words for the operator.
type failure struct {
	reason string
	err    error // nil when the reason is all there is
}

func (f failure) Error() string { return f.reason }
func (f failure) Cause() string { return f.reason }
func (f failure) Unwrap() error { return f.err }

// explained gives err its short reason; nil stays nil.
func explained(err error, allowed time.Duration) error {
	if err == nil {
		return nil
	}
	return failure{cause.Of(err, allowed), err}
}

// transport tells whether the connection failed, rather than what came over it.
func transport(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || cause.Timeout(err) {
		return true
	}
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}
