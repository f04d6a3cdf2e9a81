package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stage is everything of the demo but the sidecar: its ports, the sample
// backends, and the way to make them fail.
type stage struct {
	requests, admin, status, control *seat
	backends                         []*backend
}

// seat is a port that is taken, until somebody listens on it.
type seat struct {
	net  net.Listener
	busy int // the port that was wanted and not free; 0 = none
}

func (s *seat) address() string { return s.net.Addr().String() }

func (s *seat) port() int { return s.net.Addr().(*net.TCPAddr).Port }

// take takes the port, or another one when that is busy.
func take(host string, port int) (*seat, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err == nil {
		return &seat{net: ln}, nil
	}
	ln, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("no free port on %s: %w", host, err)
	}
	return &seat{net: ln, busy: port}, nil
}

func newStage(o Options, out io.Writer) (*stage, error) {
	s := &stage{}
	const loopback = "127.0.0.1"
	for _, want := range []struct {
		seat **seat
		host string
		port int
	}{
		{&s.requests, o.Host, o.Ports.Requests},
		{&s.admin, loopback, o.Ports.Admin}, // never for others: it can change things
		{&s.status, o.Host, o.Ports.Status},
		{&s.control, o.Host, o.Ports.Control},
	} {
		taken, err := take(want.host, want.port)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		*want.seat = taken
		if taken.busy != 0 {
			fmt.Fprintf(out, "port %d is in use by somebody else: taking %d instead\n", taken.busy, taken.port())
		}
	}
	for i, name := range []string{"one-a", "one-b", "two-a", "two-b"} {
		taken, err := take(loopback, o.Ports.Backends[i])
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.backends = append(s.backends, newBackend(name, taken.net))
	}
	return s, nil
}

// listen gives the sidecar the listeners that were taken for it.
func (s *stage) listen(address string) (net.Listener, error) {
	for _, taken := range []*seat{s.requests, s.admin, s.status} {
		if taken.address() == address {
			return taken.net, nil
		}
	}
	return net.Listen("tcp", address)
}

// run serves the sample backends, and those who want them to fail.
func (s *stage) run(ctx context.Context) {
	var parts sync.WaitGroup
	defer parts.Wait()
	for _, b := range s.backends {
		b.revive()
	}
	control := &http.Server{Handler: http.HandlerFunc(s.serveControl), ReadHeaderTimeout: 5 * time.Second}
	parts.Go(func() { _ = control.Serve(s.control.net) })
	<-ctx.Done()
	_ = control.Close()
	for _, b := range s.backends {
		b.kill()
	}
}

func (s *stage) close() error {
	for _, taken := range []*seat{s.requests, s.admin, s.status, s.control} {
		if taken != nil {
			_ = taken.net.Close()
		}
	}
	for _, b := range s.backends {
		b.kill()
	}
	return nil
}

// serveControl does /kill/NAME, /slow/NAME and /revive/NAME.
func (s *stage) serveControl(w http.ResponseWriter, r *http.Request) {
	verb, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	b := s.find(name)
	if b == nil {
		http.Error(w, "try /kill/one-a, /slow/one-a or /revive/one-a; the backends are one-a, one-b, two-a, two-b", http.StatusNotFound)
		return
	}
	switch verb {
	case "kill":
		b.kill()
	case "slow":
		b.slow()
	case "revive":
		b.revive()
	default:
		http.Error(w, "try kill, slow or revive", http.StatusNotFound)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", name, b.mood())
}

func (s *stage) find(name string) *backend {
	for _, b := range s.backends {
		if b.name == name {
			return b
		}
	}
	return nil
}

func (s *stage) introduce(out io.Writer, script string, written bool) {
	port, control := s.requests.port(), s.control.port()
	verb := "edit it now"
	if written {
		verb = "written for you; edit it now"
	}
	fmt.Fprintf(out, `
  Outrider demo: two clusters of two sample backends, and a sidecar in front.

    curl localhost:%[1]d/one/hello        goes to cluster one
    curl localhost:%[1]d/two/hello        goes to cluster two, as everything else

    %[3]s   is the script that decides: %[4]s,
                           a saved change is active within a second

    curl localhost:%[2]d/kill/one-a       one-a dies: requests go on, to one-b
    curl localhost:%[2]d/slow/two-a       two-a takes two seconds for everything
    curl localhost:%[2]d/revive/one-a     and back

    curl localhost:%[5]d/readyz           is it ready?
    curl localhost:%[6]d/status           all that it knows, as JSON

  Ctrl-C ends it. Each request shows here with the backend that it went to:

`, port, control, script, verb, s.status.port(), s.admin.port())
}
