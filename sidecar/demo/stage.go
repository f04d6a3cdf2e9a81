package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
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
			s.close()
			return nil, err
		}
		*want.seat = taken
		if taken.busy != 0 {
			fmt.Fprintf(out, "port %d is in use: taking %d instead\n", taken.busy, taken.port())
		}
	}
	for i, name := range []string{"one-a", "one-b", "two-a", "two-b"} {
		taken, err := take(loopback, o.Ports.Backends[i])
		if err != nil {
			s.close()
			return nil, err
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

// run serves the sample backends, and those who want them to fail, until ctx is
// done.
func (s *stage) run(ctx context.Context) {
	var parts sync.WaitGroup
	for _, b := range s.backends {
		b.revive()
	}
	control := newServer(http.HandlerFunc(s.serveControl), &parts)
	parts.Go(func() { _ = control.Serve(s.control.net) })
	<-ctx.Done()
	_ = control.Close()
	parts.Wait() // nobody revives a backend any more
	for _, b := range s.backends {
		b.end()
	}
}

func (s *stage) close() {
	for _, taken := range []*seat{s.requests, s.admin, s.status, s.control} {
		if taken != nil {
			_ = taken.net.Close()
		}
	}
	for _, b := range s.backends {
		b.end()
	}
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

// names are those of the sample backends, by address.
func (s *stage) names() map[string]string {
	names := make(map[string]string)
	for _, b := range s.backends {
		names[b.address()] = b.name
	}
	return names
}

func (s *stage) introduce(out *console, script script) {
	decides := "decides where each request goes:"
	if script.written {
		decides = "was written for you, and decides where each request goes:"
	}
	if script.elsewhere != nil {
		fmt.Fprintf(out, "the script is in a temporary folder: %v\n", script.elsewhere)
	}
	row := func(left, right string) string {
		return fmt.Sprintf("    %s  %s\n", out.paint(bold, fmt.Sprintf("%-36s", left)), right)
	}
	url := func(of *seat, path string) string { return fmt.Sprintf("curl localhost:%d%s", of.port(), path) }

	fmt.Fprint(out, "\n  Outrider demo: a sidecar in front of two clusters of two sample backends.\n",
		"\n  In another terminal, send it requests:\n",
		row(url(s.requests, "/one/hello"), "goes to cluster one"),
		row(url(s.requests, "/two/hello"), "everything else goes to cluster two"),
		"\n  Change the rule:\n",
		row("edit "+script.path, decides),
		row("", "save a change, and it is active within a second"),
		"\n  Break something:\n",
		row(url(s.control, "/kill/one-a"), "one-a is dead; one-b serves all, no request fails"),
		row(url(s.control, "/slow/two-a"), "two-a takes 2 s for everything: its checks time out"),
		row(url(s.control, "/revive/one-a"), "and back, as fast as before"),
		"\n  Look inside:\n",
		row(url(s.status, "/readyz"), "is it ready?"),
		row(url(s.status, "/metrics"), "counters and latencies, for Prometheus"),
		row(url(s.admin, "/status"), "all that it knows, as JSON"),
		"\n  Ctrl-C ends it. Below: each request with the backend that it went to, and what changes.\n\n")
}
