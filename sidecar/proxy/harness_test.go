package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// setup is what a test may say about the sidecar that it wants.
type setup struct {
	options   proxy.Options
	settings  proxy.Settings
	forwarded proxy.Forwarded
	awaits    bool // PROXY protocol headers
	policy    cluster.Policy
	router    proxy.Router // when nil: all to one cluster of the upstreams, called "app"
	backends  []netip.AddrPort
	shutdown  time.Duration // how long exchanges may go on when the test is over
}

type option func(*setup)

// to makes upstreams the backends of the one cluster.
func to(upstreams ...*upstream) option {
	return func(s *setup) {
		for _, u := range upstreams {
			s.backends = append(s.backends, u.addr)
		}
	}
}

// sidecar is a proxy.Server at work on a port of loopback.
type sidecar struct {
	*proxy.Server
	listener *proxy.Listener
	cluster  *cluster.Cluster
	addr     string
}

// newSidecar starts a sidecar that ends with the test, which fails if anything
// of the sidecar does not.
func newSidecar(t testing.TB, options ...option) *sidecar {
	t.Helper()
	s := newSetup(options)
	s.options.Log.(*logrus.Logger).SetOutput(t.Output())
	app := newCluster("app", s.policy, s.backends...)
	if s.router == nil {
		s.router = proxy.Fixed{Cluster: app}
	}
	sc := &sidecar{Server: proxy.New(s.options, &s.settings), listener: proxy.NewListener(proxy.Terms{Name: "test", Forwarded: s.forwarded, Introduced: s.awaits, Router: s.router}), cluster: app}
	ln := listen(t)
	sc.addr = ln.Addr().String()
	if *transport == "tls" && !s.awaits { // a PROXY protocol header comes before TLS
		sc.listener = encrypting(t, sc.listener, ln)
	}

	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { sc.Run(ctx) })
	tasks.Go(func() {
		if err := sc.Serve(ln, sc.listener); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		limit, done := context.WithTimeout(context.Background(), s.shutdown)
		defer done()
		sc.Shutdown(limit)
		cancel()
		tasks.Wait()
		if sc.Clients() != 0 || sc.Active() != 0 {
			t.Errorf("after Shutdown there are %d clients and %d exchanges", sc.Clients(), sc.Active())
		}
	})
	return sc
}

// another is a listener like the sidecar's, for ln.
func (s *sidecar) another(t testing.TB, ln net.Listener) *proxy.Listener {
	if *transport == "tls" {
		return encrypting(t, s.listener, ln)
	}
	return proxy.NewListener(s.listener.Terms())
}

// encrypting is a listener like this one, that speaks TLS on ln.
func encrypting(t testing.TB, like *proxy.Listener, ln net.Listener) *proxy.Listener {
	terms := like.Terms()
	terms.TLS = overTLS.config(t, ln.Addr().String())
	return proxy.NewListener(terms)
}

// reroute has the sidecar's requests routed by another Router.
func (s *sidecar) reroute(r proxy.Router) {
	terms := s.listener.Terms()
	terms.Router = r
	s.listener.Set(terms)
}

func usualSettings() proxy.Settings {
	return proxy.Settings{
		Name: "sidecar-under-test",
		Limits: proxy.Limits{
			Connections: 1000, Head: 64 << 10, Fields: 128,
			HeadTimeout: patience, ClientIdle: patience, HalfClose: time.Second,
		},
	}
}

// newSetup is what a sidecar is like that a test says no more about.
func newSetup(options []option) setup {
	s := setup{
		options:  proxy.Options{Log: logrus.New(), Loop: newLoop()},
		settings: usualSettings(),
		policy: cluster.Policy{
			Connect: patience, Response: patience, StreamIdle: patience, UpstreamIdle: patience, Retries: 1,
		},
		shutdown: 100 * time.Millisecond,
	}
	for _, o := range options {
		o(&s)
	}
	return s
}

func newCluster(name string, policy cluster.Policy, backends ...netip.AddrPort) *cluster.Cluster {
	c := cluster.New(name, &policy, rand.New(rand.NewPCG(1, 2)))
	members := make([]cluster.Member, len(backends))
	for i, addr := range backends {
		members[i] = cluster.Member{Addr: addr}
	}
	c.SetMembers(members)
	return c
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// upstream is a far end that speaks raw bytes: each connection to it runs the
// script.
type upstream struct {
	t    testing.TB
	addr netip.AddrPort
	ln   net.Listener

	tasks sync.WaitGroup
	mu    sync.Mutex // guards conns and over
	conns []*far
	over  bool
}

// script is what the far end does on one connection. The connection is closed
// when it returns.
type script func(c *far)

// answers sends the same bytes as a response to every request of a connection.
func answers(raw string) script {
	return func(c *far) {
		for c.request() != nil {
			c.write(raw)
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"

func newUpstream(t testing.TB, play script) *upstream {
	t.Helper()
	ln := listen(t)
	u := &upstream{t: t, ln: ln, addr: netip.MustParseAddrPort(ln.Addr().String())}
	u.tasks.Go(func() { u.accept(play) })
	t.Cleanup(u.close)
	return u
}

func (u *upstream) accept(play script) {
	for {
		nc, err := u.ln.Accept()
		if err != nil {
			return
		}
		c := &far{raw: raw{t: u.t, nc: nc.(*net.TCPConn)}, gone: make(chan struct{})}
		c.in = bufio.NewReader(io.TeeReader(nc, c))
		if !u.remember(c) {
			c.close()
			return
		}
		u.tasks.Go(func() {
			defer c.close()
			play(c)
		})
	}
}

func (u *upstream) remember(c *far) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conns = append(u.conns, c)
	return !u.over
}

// close ends the far end, and waits for its scripts.
func (u *upstream) close() {
	_ = u.ln.Close()
	u.mu.Lock()
	u.over = true
	for _, c := range u.conns {
		c.close()
	}
	u.mu.Unlock()
	u.tasks.Wait()
}

// accepted is how many connections were made so far.
func (u *upstream) accepted() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.conns)
}

// conn is the connection that was made as the i-th, once it is there.
func (u *upstream) conn(i int) *far {
	u.t.Helper()
	until(u.t, "a connection to the upstream", func() bool { return u.accepted() > i })
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.conns[i]
}

// got is all that came over all connections, in the order of the connections.
func (u *upstream) got() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all strings.Builder
	for _, c := range u.conns {
		all.WriteString(c.got())
	}
	return all.String()
}

// requests are the whole requests that came, in the order of the connections.
func (u *upstream) requests() []*received {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []*received
	for _, c := range u.conns {
		c.mu.Lock()
		all = append(all, c.reqs...)
		c.mu.Unlock()
	}
	return all
}

// received is a request as the far end read it: its exact bytes, and what
// net/http makes of them.
type received struct {
	raw string
	*http.Request
	body string
}

// far is the far end's side of one connection.
type far struct {
	raw
	in   *bufio.Reader
	gone chan struct{} // closed by close

	mu   sync.Mutex // guards seen and reqs
	seen bytes.Buffer
	reqs []*received
}

// Write records what came.
func (c *far) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.Write(p)
}

// got is all that came so far, as far as the script has read.
func (c *far) got() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.String()
}

// request reads a whole request with net/http's parser, or returns nil when the
// connection ends instead. A request that net/http refuses fails the test.
func (c *far) request() *received {
	start := c.used()
	if _, err := c.in.Peek(1); err != nil {
		return nil
	}
	req, err := http.ReadRequest(c.in)
	if err != nil {
		c.refused(err)
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		c.refused(err)
		return nil
	}
	r := &received{Request: req, body: string(body), raw: c.got()[start:c.used()]}
	c.mu.Lock()
	c.reqs = append(c.reqs, r)
	c.mu.Unlock()
	return r
}

func (c *far) refused(err error) {
	if !isGone(err) {
		c.t.Errorf("net/http can not read what went upstream: %v\n%q", err, c.got())
	}
}

func (c *far) used() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.Len() - c.in.Buffered()
}

// readUntil reads on until what was read since the last call ends with end.
func (c *far) readUntil(end string) string {
	var b []byte
	for !bytes.HasSuffix(b, []byte(end)) {
		next, err := c.in.ReadByte()
		if err != nil {
			c.t.Errorf("upstream: waiting for %q: %v after %q", end, err, b)
			break
		}
		b = append(b, next)
	}
	return string(b)
}

// awaitClose reads until the other side ends the connection, and tells how:
// io.EOF for a clean end.
func (c *far) awaitClose() error {
	_, err := io.Copy(io.Discard, c.in)
	if err == nil {
		err = io.EOF
	}
	return err
}

func (c *far) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.gone:
	default:
		close(c.gone)
		c.raw.close()
	}
}

// raw is one end of a connection.
type raw struct {
	t  testing.TB
	nc halfCloser
}

// write sends bytes. What the other end thinks of them is for the test to find
// out by reading.
func (r *raw) write(s string) { _, _ = io.WriteString(r.nc, s) }

// fin ends the sending side; over TLS by the alert that says so.
func (r *raw) fin() { _ = r.nc.CloseWrite() }

// reset ends the connection with a RST.
func (r *raw) reset() {
	under := net.Conn(r.nc)
	if secure, ok := under.(*tls.Conn); ok {
		under = secure.NetConn()
	}
	_ = under.(*net.TCPConn).SetLinger(0)
	_ = under.Close()
}

func (r *raw) close() { _ = r.nc.Close() }

// client is a client that speaks raw bytes.
type client struct {
	raw
	in *bufio.Reader
}

// dialRaw connects to addr until the test ends.
func dialRaw(t testing.TB, addr string) *client {
	t.Helper()
	nc := mustDial(t, addr)
	c := &client{raw: raw{t, nc}, in: bufio.NewReader(nc)}
	t.Cleanup(c.close)
	return c
}

func (c *client) send(s string) *client {
	c.write(s)
	return c
}

func (c *client) patient() { _ = c.nc.SetReadDeadline(time.Now().Add(patience)) }

// expect reads exactly want.
func (c *client) expect(want string) {
	c.t.Helper()
	c.patient()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.in, got)
	if string(got[:n]) != want {
		c.t.Fatalf("client got %q (%v), want %q", got[:n], err, want)
	}
}

// head reads a head, up to and with its empty line.
func (c *client) head() string {
	c.t.Helper()
	c.patient()
	var b []byte
	for !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		next, err := c.in.ReadByte()
		if err != nil {
			c.t.Fatalf("client: waiting for a head: %v after %q", err, b)
		}
		b = append(b, next)
	}
	return string(b)
}

// answer is a response as net/http reads it.
type answer struct {
	*http.Response
	body string
	err  error // what the body ended with, when that was not its proper end
}

// response reads a whole response with net/http's parser.
func (c *client) response() *answer {
	c.t.Helper()
	return c.responseTo(http.MethodGet)
}

// responseTo reads the response to a request with this method.
func (c *client) responseTo(method string) *answer {
	c.t.Helper()
	c.patient()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("client: waiting for a response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	return &answer{Response: resp, body: string(body), err: err}
}

// rest reads to the end of the connection, and tells how it ended: nil for a
// clean end.
func (c *client) rest() (string, error) {
	c.t.Helper()
	c.patient()
	b, err := io.ReadAll(c.in)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		c.t.Fatalf("client: the connection does not end; it brought %q", b)
	}
	return string(b), err
}

// expectEnd wants the connection to end without another byte.
func (c *client) expectEnd() {
	c.t.Helper()
	if rest, err := c.rest(); rest != "" || err != nil {
		c.t.Fatalf("client got %q and then %v, want a clean end", rest, err)
	}
}

// exchange sends a request on a connection of its own and reads the response.
func (s *sidecar) exchange(t testing.TB, request string) *answer {
	t.Helper()
	method, _, _ := strings.Cut(request, " ")
	return dialRaw(t, s.addr).send(request).responseTo(method)
}

func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// until waits for what has to come true.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(patience); !is(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// lengthOf frames a body.
func lengthOf(body string) string {
	return "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}
