package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// stage is everything of the demo: the ports, the sidecars, the sample backends,
// and the way to make them fail.
type stage struct {
	out      *console
	sidecars []*sidecar
	control  *seat
	backends []*backend
	witness  *witness
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

func newStage(o Options, out *console) (*stage, error) {
	s := &stage{out: out, witness: newWitness()}
	if err := s.takeAll(o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

const loopback = "127.0.0.1"

func (s *stage) takeAll(o Options) error {
	for i := range o.Ports.Requests {
		one := newSidecar(fmt.Sprintf("demo-%d", i+1))
		s.sidecars = append(s.sidecars, one)
		if err := s.take(&one.requests, o.Host, o.Ports.Requests[i]); err != nil {
			return err
		}
		// Never for others: it can change things.
		if err := s.take(&one.admin, loopback, o.Ports.Admin[i]); err != nil {
			return err
		}
	}
	err := s.take(&s.sidecars[0].status, o.Host, o.Ports.Status)
	err = errors.Join(err, s.take(&s.control, o.Host, o.Ports.Control))
	for i, name := range []string{"one-a", "one-b", "two-a", "two-b"} {
		var taken *seat
		if err := s.take(&taken, loopback, o.Ports.Backends[i]); err != nil {
			return err
		}
		s.backends = append(s.backends, newBackend(name, taken.net))
	}
	return err
}

// take takes a port, or another one when that is busy, and says so.
func (s *stage) take(into **seat, host string, port int) error {
	taken, err := take(host, port)
	if err != nil {
		return err
	}
	*into = taken
	if taken.busy != 0 {
		fmt.Fprintf(s.out, "port %d is in use: taking %d instead\n", taken.busy, taken.port())
	}
	return nil
}

// awaitEnd waits until ctx is done and every sidecar has ended, or for the first one
// that ends by itself.
func (s *stage) awaitEnd(ctx context.Context) error {
	var errs []error
	for _, one := range s.sidecars {
		err := <-one.ended
		if errs = append(errs, err); ctx.Err() == nil {
			break
		}
	}
	return errors.Join(errs...)
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
	seats := []*seat{s.control}
	for _, one := range s.sidecars {
		seats = append(seats, one.requests, one.admin, one.status)
	}
	for _, taken := range seats {
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
		s.witness.broke(b.address())
		b.kill()
	case "slow":
		s.witness.broke(b.address())
		b.slow()
	case "revive":
		s.witness.mended(b.address())
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

func (s *stage) introduce(script script) {
	out := s.out
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
	first := s.sidecars[0]
	url := func(of *seat, path string) string { return fmt.Sprintf("curl localhost:%d%s", of.port(), path) }

	dashboard := "the dashboard, for a browser; the link lets one in, once"
	if !first.requests.net.Addr().(*net.TCPAddr).IP.IsLoopback() {
		dashboard += ", within this container"
	}

	fmt.Fprint(out, "\n  Outrider demo: three sidecars that gossip, in front of two clusters of two sample backends.\n",
		"\n  In another terminal, send it requests:\n",
		row(url(first.requests, "/one/hello"), "goes to cluster one"),
		row(url(first.requests, "/two/hello"), "everything else goes to cluster two"),
		row("", fmt.Sprintf("the others listen on %d and %d", s.sidecars[1].requests.port(), s.sidecars[2].requests.port())),
		"\n  Change the rule:\n",
		row("edit "+script.path, decides),
		row("", "save a change, and it is active within a second"),
		"\n  Break something:\n",
		row(url(s.control, "/kill/one-a"), "one-a is dead: one sidecar sees it, all turn away within milliseconds, no request fails"),
		row(url(s.control, "/slow/two-a"), "two-a takes 2 s for everything: its checks time out"),
		row(url(s.control, "/revive/one-a"), "and back, as fast as before"),
		"\n  Look inside:\n",
		row(first.app.Dashboard(), ""), row("", dashboard),
		row(url(first.status, "/readyz"), "is it ready?"),
		row(url(first.status, "/metrics"), "counters and latencies, for Prometheus"),
		row(url(first.admin, "/status"), "all that it knows, as JSON"),
		row(url(first.admin, "/health"), "each backend: what this sidecar saw, and what its peers say"),
		row(url(first.admin, "/peers"), "who they are"),
		"\n  Ctrl-C ends it. Below: each request with the backend that it went to, and what changes.\n\n")
}
