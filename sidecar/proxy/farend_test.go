package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

// at makes addresses the backends of the one cluster.
func at(addrs ...netip.AddrPort) option {
	return func(s *setup) { s.backends = append(s.backends, addrs...) }
}

// policy changes how requests are sent to the one cluster.
func policy(change func(*cluster.Policy)) option {
	return func(s *setup) { change(&s.policy) }
}

func retries(n int) option { return policy(func(p *cluster.Policy) { p.Retries = n }) }

// logged hands out what the sidecar writes to its log.
func logged() (*logtest.Hook, option) {
	hook := new(logtest.Hook)
	return hook, func(s *setup) { s.options.Log.(*logrus.Logger).AddHook(hook) }
}

// failures are what a sidecar tells of its backends.
type failures struct {
	mu       sync.Mutex // guards both
	backends []*cluster.Backend
	errs     []error
}

func (f *failures) option() option {
	return func(s *setup) {
		s.options.OnFailure = func(b *cluster.Backend, failed proxy.Failure) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.backends, f.errs = append(f.backends, b), append(f.errs, failed.Err)
		}
	}
}

func (f *failures) all() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.errs)
}

// distinct is how many backends were told of.
func (f *failures) distinct() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := make(map[*cluster.Backend]bool)
	for _, b := range f.backends {
		seen[b] = true
	}
	return len(seen)
}

// refusing is an address that refuses connections, and is nobody else's, until
// the test is over: it is bound, and nobody listens.
func refusing(t testing.TB) netip.AddrPort {
	t.Helper()
	_, addr := bound(t)
	return addr
}

func bound(t testing.TB) (fd int, addr netip.AddrPort) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	loopback := [4]byte{127, 0, 0, 1}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4(loopback), uint16(name.(*syscall.SockaddrInet4).Port))
}

// deaf is an address that does not answer to connections: its backlog is full.
func deaf(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, addr := bound(t)
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 256 {
		nc, err := net.DialTimeout("tcp", addr.String(), 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
	t.Fatal("the backlog does not fill up")
	return addr
}

// serving is a far end that speaks HTTP by net/http.
func serving(t testing.TB, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return addressOf(s)
}

func addressOf(s *httptest.Server) netip.AddrPort {
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// browse is a client that speaks HTTP by net/http, on connections of its own.
func browse(t testing.TB) *http.Client {
	transport := &http.Transport{ExpectContinueTimeout: patience, DialContext: dialling("http/1.1")}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// within bounds what a test does by its patience.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

// ask sends a request on a connection of its own, reads the response, and waits
// until the exchange is over with the backend too.
func (s *sidecar) ask(t testing.TB, request string) *answer {
	t.Helper()
	a := s.exchange(t, request)
	s.rest(t)
	return a
}

// rest waits until no exchange is under way.
func (s *sidecar) rest(t testing.TB) {
	t.Helper()
	until(t, "the end of the exchange", func() bool { return s.Active() == 0 })
}

// drain reads n bytes that nobody wants to see.
func (c *far) drain(n int64) {
	buffered := min(n, int64(c.in.Buffered()))
	_, _ = io.CopyN(io.Discard, c.in, buffered)
	_, _ = io.CopyN(io.Discard, c.nc, n-buffered)
}

// expectGone wants the connection to end.
func (c *far) expectGone() {
	c.t.Helper()
	select {
	case <-c.gone:
	case <-time.After(patience):
		c.t.Fatal("the sidecar does not end its connection to the upstream")
	}
}

// await waits for the test's signal, or the end of the test.
func (c *far) await(signal <-chan struct{}) {
	select {
	case <-signal:
	case <-c.gone:
	}
}

// newWaiting is an upstream that reads a request on each connection, and answers once
// it is told to.
func newWaiting(t testing.TB, answer <-chan struct{}) *upstream {
	return newUpstream(t, func(c *far) {
		c.request()
		c.await(answer)
		c.write(ok)
		_ = c.awaitClose()
	})
}
