package cause_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"outrider/sidecar/cause"
)

func TestACauseIsAFewWordsForAnOperator(t *testing.T) {
	late, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	var d net.Dialer
	_, tooLate := d.DialContext(late, "tcp", "127.0.0.1:1")
	rows := []struct {
		err     error
		allowed time.Duration
		want    string
	}{
		{nil, 0, ""},
		{refused(t), 0, "refused"},
		{tooLate, 0, "timeout"},
		{tooLate, time.Second, "timeout after 1s"},
		{syscall.ETIMEDOUT, 1500 * time.Millisecond, "timeout after 1.5s"},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, 0, "reset"},
		{syscall.EPIPE, 0, "reset"},
		{io.EOF, 0, "closed without a full answer"},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, 0, "host unreachable"},
		{&net.OpError{Op: "dial", Err: syscall.ENETUNREACH}, 0, "network unreachable"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, 0, "too many open files"},
		{errors.New("a fault\nof two lines"), 0, "a fault of two lines"},
		{fmt.Errorf("wrapped: %w", known{}), time.Second, "what it knows itself"},
	}
	for _, row := range rows {
		if got := cause.Of(row.err, row.allowed); got != row.want {
			t.Errorf("the cause of %v is %q, want %q", row.err, got, row.want)
		}
	}
}

// known is an error that knows its cause.
type known struct{}

func (known) Error() string { return "long" }
func (known) Cause() string { return "what it knows itself" }

func refused(t *testing.T) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	_, err = net.Dial("tcp", ln.Addr().String())
	return err
}

func TestOurOwnTroubleIsLocal(t *testing.T) {
	for _, err := range []error{
		context.Canceled, net.ErrClosed, fmt.Errorf("dial: %w", os.NewSyscallError("socket", syscall.EMFILE)),
		syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOSPC,
	} {
		if !cause.Local(err) {
			t.Errorf("%v is not local", err)
		}
	}
	for _, err := range []error{context.DeadlineExceeded, syscall.ECONNREFUSED, io.EOF, errors.New("other")} {
		if cause.Local(err) {
			t.Errorf("%v is local", err)
		}
	}
}

func TestALongTextIsClipped(t *testing.T) {
	if got := cause.Clipped(strings.Repeat("ä", 10), 5); got != "ää..." {
		t.Errorf("got %q", got)
	}
}
