package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"time"

	"outrider/sidecar/config"
	"outrider/sidecar/proxyproto"
)

// keepAlive finds a backend that closes idle connections before the sidecar does: a
// request that is just being sent on one fails. It asks once, and then waits.
func (p Patient) keepAlive(ctx context.Context, c config.Cluster, b config.Backend, key string, address netip.AddrPort) []Finding {
	conn, err := dial(ctx, c, address)
	if err != nil {
		return []Finding{p.wrong(key, fmt.Sprintf("%s cannot be reached at %s: %s", b.Address(), address, reason(err)),
			"start it, or correct host and port; if it is elsewhere, see what is between (a network, a firewall)")}
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	response, err := ask(conn, in, c, b)
	if err != nil {
		return []Finding{p.wrong(key, fmt.Sprintf("%s does not answer as HTTP/1.1: %s", address, reason(err)),
			"correct the port; for TLS write https://, or tls: true in the cluster")}
	}
	ours := c.Timeouts.UpstreamIdle
	idle := "clusters." + c.Name + ".timeouts.upstream_idle"
	if response.Close {
		return []Finding{p.note(key, fmt.Sprintf("%s closes the connection after each response: every request needs a new one", address),
			"turn keep-alive on there, if this is not meant")}
	}
	if theirs, said := announced(response); said {
		return p.compare(idle, address, theirs, ours, "says that it closes")
	}
	wait := min(ours, p.Patience)
	theirs, closed := closesWithin(conn, in, wait)
	if closed {
		return p.compare(idle, address, theirs, ours, "closed")
	}
	if wait < ours {
		return []Finding{p.note(idle, fmt.Sprintf("%s kept an idle connection for %v, and was not watched for longer", address, wait),
			fmt.Sprintf("to watch it for all of upstream_idle: --patience %v", ours))}
	}
	return nil
}

// compare finds fault with a backend's time that is no longer than ours.
func (p Patient) compare(key string, address netip.AddrPort, theirs, ours time.Duration, does string) []Finding {
	if theirs > ours {
		return nil
	}
	if theirs < shortest {
		return []Finding{p.note(key, fmt.Sprintf("%s %s an idle connection after %v: hardly one is ever used again", address, does, theirs.Round(time.Millisecond)),
			"have it keep connections longer than upstream_idle, if this is not meant")}
	}
	return []Finding{p.wrong(key,
		fmt.Sprintf("%s %s an idle connection after %v, and the sidecar keeps it for %v: requests meet closed connections", address, does, theirs.Round(10*time.Millisecond), ours),
		fmt.Sprintf("write upstream_idle: %v, or have the backend keep connections longer than %v", below(theirs), ours))}
}

// shortest is the least that is worth being kept in time for.
const shortest = 200 * time.Millisecond

// below is a time that ends safely before the other: three quarters of it.
func below(d time.Duration) time.Duration {
	d = d * 3 / 4
	if d >= time.Second {
		return d.Truncate(500 * time.Millisecond)
	}
	return d.Truncate(50 * time.Millisecond)
}

func dial(ctx context.Context, c config.Cluster, address netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, max(c.Timeouts.Connect, time.Second))
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address.String())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(c.SendProxy.Version().Append(nil, proxyproto.Header{})); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if c.TLS == nil {
		return conn, nil
	}
	secure := tls.Client(conn, &tls.Config{
		ServerName: c.TLS.ServerName, RootCAs: c.TLS.Roots, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: c.TLS.InsecureSkipVerify, //nolint:gosec // as the operator has configured it
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// answerTime bounds the answer to the one request.
const answerTime = 5 * time.Second

// ask sends the one request: a HEAD, which changes nothing, for what the check asks.
func ask(conn net.Conn, in *bufio.Reader, c config.Cluster, b config.Backend) (*http.Response, error) {
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	path, host := c.Check.Path, c.Check.Host
	if path == "" {
		path = "/"
	}
	if host == "" {
		host = c.Host
	}
	if host == "" {
		host = b.Address()
	}
	if _, err := fmt.Fprintf(conn, "HEAD %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: outrider-doctor\r\n\r\n", path, host); err != nil {
		return nil, err
	}
	return http.ReadResponse(in, &http.Request{Method: http.MethodHead})
}

// announced is the time that a Keep-Alive field tells: "timeout=5, max=100".
func announced(response *http.Response) (time.Duration, bool) {
	seconds := timeout.FindStringSubmatch(response.Header.Get("Keep-Alive"))
	if seconds == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(seconds[1], 10, 16)
	return time.Duration(n) * time.Second, err == nil
}

var timeout = regexp.MustCompile(`(?i)(?:^|[,; ])timeout=([0-9]+)`)

// closesWithin waits for the other side to close; what it sends before that is its
// farewell.
func closesWithin(conn net.Conn, in *bufio.Reader, wait time.Duration) (after time.Duration, closed bool) {
	begin := time.Now()
	if err := conn.SetDeadline(begin.Add(wait)); err != nil {
		return 0, false
	}
	_, err := in.ReadByte()
	return time.Since(begin), !errors.Is(err, os.ErrDeadlineExceeded)
}
