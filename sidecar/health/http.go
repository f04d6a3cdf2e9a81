package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"outrider/sidecar/cause"
)

// What is read of an answer: the head (and interim heads before it), then as
// much of the body as is searched.
const (
	maxHead = 64 << 10
	maxBody = 64 << 10
)

// farewell is how long a check lets a backend finish a body that it does not
// need, so as not to cut it off with a reset.
const farewell = 100 * time.Millisecond

// HTTP is fine when GET Path answers a wanted status and, if BodyMatch is set,
// when that text appears in the first 64 KiB of the body. Redirects are not
// followed: their own status counts. Every check is a connection of its own.
type HTTP struct {
	Path         string        // with the query; empty stands for /
	Host         string        // Host header; empty stands for TLS' server name, else the address
	Header       http.Header   // further fields to send
	StatusRanges []StatusRange // wanted ones; none stands for 200-399
	BodyMatch    string        // text that the body must contain; empty asks for none
	TLS          *tls.Config   // nil checks in cleartext
	Preface      string        // sent first, before TLS, as on all connections to the backend
	HTTP2        bool          // asks over HTTP/2, not HTTP/1.1
}

// StatusRange is the statuses from From to To, both included.
type StatusRange struct {
	From, To int
}

// Check asks once.
func (c HTTP) Check(ctx context.Context, addr netip.AddrPort) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return visit(ctx, addr, c.Preface, func(conn net.Conn) error {
		if c.TLS == nil {
			return c.talk(ctx, conn, addr)
		}
		encrypted, err := encrypt(ctx, conn, c.TLS, addr, c.protocol())
		if err != nil {
			return err
		}
		return c.talk(ctx, encrypted, addr)
	})
}

// protocol is the one that is offered in a TLS handshake.
func (c HTTP) protocol() string {
	if c.HTTP2 {
		return "h2"
	}
	return "http/1.1"
}

func (c HTTP) talk(ctx context.Context, conn net.Conn, addr netip.AddrPort) error {
	request, err := c.request(addr)
	if err != nil {
		return failure{reason: "the check's own request: " + err.Error(), err: err}
	}
	if c.HTTP2 {
		answer, err := overHTTP2(ctx, conn, request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		return c.judge(answer, conn)
	}
	sent := request.Write(conn)
	answer, err := head(conn, request)
	if err != nil {
		// A backend may refuse and hang up before it has read all: its answer
		// says more than the failed write.
		return errors.Join(err, sent)
	}
	// The body is not closed: that would read it to its end, which may never
	// come. It holds nothing but conn, which the caller closes.
	return c.judge(answer, conn)
}

func (c HTTP) request(addr netip.AddrPort) (*http.Request, error) {
	host := c.Host
	if host == "" && c.TLS != nil {
		host = c.TLS.ServerName
	}
	if host == "" {
		host = addr.String()
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+addr.String()+orSlash(c.Path), http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Host = host
	request.Close = true
	request.Header.Set("User-Agent", "outrider-check")
	request.Header.Set("Accept", "*/*")
	for name, values := range c.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	return request, nil
}

func orSlash(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// head reads the final response head, past interim ones (RFC 9110, 15.2), and
// leaves its body readable up to maxBody.
func head(conn net.Conn, request *http.Request) (*http.Response, error) {
	limited := &io.LimitedReader{R: conn, N: maxHead}
	reader := bufio.NewReader(limited)
	for {
		answer, err := http.ReadResponse(reader, request)
		switch {
		case err != nil && limited.N == 0:
			return nil, failure{reason: "response head too long", err: err}
		case err != nil && !transport(err):
			return nil, failure{reason: "no HTTP answer", err: err}
		case err != nil:
			return nil, err
		case answer.StatusCode >= 200 || answer.StatusCode == http.StatusSwitchingProtocols:
			limited.N += maxBody
			return answer, nil
		}
	}
}

func (c HTTP) judge(answer *http.Response, conn net.Conn) error {
	if !c.wanted(answer.StatusCode) {
		return failure{reason: "status " + strconv.Itoa(answer.StatusCode)}
	}
	if c.BodyMatch == "" {
		_ = conn.SetReadDeadline(time.Now().Add(farewell))
		_, _ = io.CopyN(io.Discard, answer.Body, maxBody)
		return nil
	}
	found, err := find(answer.Body, c.BodyMatch, maxBody)
	if found || (err != nil && !errors.Is(err, io.EOF)) {
		return err
	}
	return failure{reason: fmt.Sprintf("body does not contain %q", cause.Clipped(c.BodyMatch, 40))}
}

func (c HTTP) wanted(status int) bool {
	if len(c.StatusRanges) == 0 {
		return 200 <= status && status <= 399
	}
	for _, r := range c.StatusRanges {
		if r.From <= status && status <= r.To {
			return true
		}
	}
	return false
}
