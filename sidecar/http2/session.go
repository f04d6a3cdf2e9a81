package http2

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// Session is a connection to a backend that speaks HTTP/2.
type Session struct {
	conn   *http.ClientConn
	heard  *hearing
	scheme string
	local  net.Addr
	remote net.Addr
	limits http1.Limits
	used   atomic.Bool
}

// RefusedError is a request of which the backend has said that it did nothing about
// it (RFC 9113, 8.7): it can be sent again.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "the stream was refused: " + e.Err.Error() }

func (e *RefusedError) Unwrap() error { return e.Err }

// ProtocolError is a backend that does not keep to the rules of HTTP/2.
type ProtocolError struct{ Err error }

func (e *ProtocolError) Error() string { return e.Err.Error() }

func (e *ProtocolError) Unwrap() error { return e.Err }

// ErrHTTP1 is a backend that answers in HTTP/1.
var ErrHTTP1 = errors.New("it answers in HTTP/1.1: set `protocol: h1`")

// NewSession begins to speak HTTP/2 on nc, which belongs to it from then on. The
// requests that it carries have this scheme; unused for idle it closes. limits are
// for the heads of requests.
func NewSession(nc net.Conn, scheme string, idle time.Duration, limits http1.Limits) (*Session, error) {
	heard := &hearing{Conn: nc}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // TLS, where there is any, is below
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return heard, nil },
		Protocols:          protocols,
		DisableCompression: true,
		IdleConnTimeout:    idle,
		HTTP2:              &http.HTTP2Config{MaxReceiveBufferPerConnection: 4 << 20, MaxReceiveBufferPerStream: 1 << 20},

		MaxResponseHeaderBytes: int64(limits.Head),
	}
	conn, err := transport.NewClientConn(context.Background(), "http", nc.RemoteAddr().String())
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return &Session{conn: conn, heard: heard, scheme: scheme, local: nc.LocalAddr(), remote: nc.RemoteAddr(), limits: limits}, nil
}

// Open opens a stream, and gives the connection of one exchange over it. reused: it
// is not the session's first. Not ok: it takes no further one, now or ever.
func (s *Session) Open() (far *stream.End, reused, ok bool) {
	if s.conn.Err() != nil || s.conn.Reserve() != nil {
		return nil, false, false
	}
	near, far := stream.Pair(s.local, s.remote)
	reused = s.used.Swap(true)
	go s.carry(near)
	return far, reused, true
}

// Ended tells that it can not be used any more.
func (s *Session) Ended() bool { return s.conn.Err() != nil }

// Refused tells why the session takes no request, once that is so.
func (s *Session) Refused() error {
	if s.heard.http1.Load() {
		return &ProtocolError{ErrHTTP1}
	}
	return errNoStream
}

var errNoStream = errors.New("the backend ended the connection of HTTP/2 at once")

// Retire closes it as soon as nothing is under way. Nothing may be opened any more.
func (s *Session) Retire() {
	s.conn.SetStateHook(func(c *http.ClientConn) {
		if c.InFlight() == 0 {
			go func() { _ = c.Close() }()
		}
	})
	if s.conn.InFlight() == 0 {
		_ = s.conn.Close()
	}
}

// carry carries out the exchange that comes over near.
func (s *Session) carry(near *stream.End) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	near.OnLeft(cancel)
	request, err := s.read(near)
	if err != nil {
		s.conn.Release()
		near.Abort(err)
		return
	}
	request = request.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			interim, err := appendInterim(nil, status, http.Header(header))
			if err == nil {
				_, err = near.Write(interim)
			}
			return err
		},
	}))
	response, err := s.conn.RoundTrip(request)
	if err != nil {
		near.Abort(s.meaning(err))
		return
	}
	defer response.Body.Close()
	head, chunked, err := appendResponse(make([]byte, 0, 1<<10), response, request.Method == http.MethodHead)
	if err != nil {
		near.Abort(&ProtocolError{err})
		return
	}
	if _, err := near.Write(head); err != nil {
		return
	}
	if err := writeBody(near, response.Body, chunked, func() http.Header { return response.Trailer }); err != nil {
		near.Abort(s.meaning(err))
		return
	}
	_ = near.CloseWrite() // the request's body may still be on its way: the exchange closes
	<-ctx.Done()
	_ = near.Close()
}

// read reads the head of the request, and makes its body of what follows.
func (s *Session) read(near *stream.End) (*http.Request, error) {
	from := bufio.NewReaderSize(near, 2*http1.MaxPending)
	var parsed http1.Request
	var head []byte
	for {
		more, err := from.ReadSlice('\n')
		head = append(head, more...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		switch done, err := parsed.Parse(head, http1.Limits{Head: s.limits.Head + ownFields, Fields: s.limits.Fields + ownFields}); {
		case err != nil:
			return nil, err
		case done:
			return s.request(&parsed, head, from, near), nil
		}
	}
}

// ownFields is what a proxy's own fields add to a head at most, in bytes.
const ownFields = 16 << 10

func (s *Session) request(parsed *http1.Request, head []byte, rest *bufio.Reader, near *stream.End) *http.Request {
	authority := string(parsed.Authority.Of(head))
	target := string(parsed.Target.Of(head))
	r := &http.Request{
		Method: string(parsed.Method.Of(head)),
		// net/http takes what it asks for, byte for byte, from behind the host.
		URL:    &url.URL{Scheme: s.scheme, Host: authority, Opaque: "//" + authority + target},
		Header: make(http.Header, len(parsed.Fields)), Host: authority,
		Proto: "HTTP/2.0", ProtoMajor: 2,
	}
	for _, f := range parsed.Fields {
		name, value := http.CanonicalHeaderKey(string(f.Name.Of(head))), string(f.Value.Of(head))
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade":
		case "Trailer":
			for announced := range strings.SplitSeq(value, ",") {
				if r.Trailer == nil {
					r.Trailer = make(http.Header)
				}
				r.Trailer[http.CanonicalHeaderKey(strings.TrimSpace(announced))] = nil
			}
		default:
			r.Header[name] = append(r.Header[name], value)
		}
	}
	if _, told := r.Header["User-Agent"]; !told {
		r.Header["User-Agent"] = []string{""} // or net/http tells its own
	}
	framing := parsed.Body()
	body := &requestBody{near: near, from: rest, trailer: r.Trailer}
	body.state.Start(framing)
	switch framing.Kind {
	case http1.None:
		r.Body = http.NoBody
	case http1.Length:
		r.Body, r.ContentLength = body, framing.Length
	default:
		r.Body, r.ContentLength = body, -1
	}
	return r
}

// requestBody is the body of a request as it comes from the engine.
type requestBody struct {
	near    *stream.End
	from    *bufio.Reader // over near
	state   http1.Body
	trailer http.Header // filled in at the end
	rest    []byte      // data that was taken, in from's buffer
	used    int         // what of that buffer is used up once rest is
}

func (b *requestBody) Read(p []byte) (int, error) {
	for {
		if len(b.rest) > 0 {
			n := copy(p, b.rest)
			b.rest = b.rest[n:]
			return n, nil
		}
		_, _ = b.from.Discard(b.used)
		b.used = 0
		if b.state.Done() {
			return 0, io.EOF
		}
		if err := b.more(); err != nil {
			return 0, err
		}
	}
}

// more takes the next piece. What is not whole yet, such as a trailer section, waits
// in from's buffer for what follows.
func (b *requestBody) more() error {
	for want := 1; ; want = b.from.Buffered() + 1 {
		if _, err := b.from.Peek(want); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		pending, _ := b.from.Peek(b.from.Buffered())
		data, n, err := b.state.Next(pending)
		switch {
		case err != nil:
			return err
		case n == 0:
			continue
		}
		for _, f := range b.state.Trailer {
			name := http.CanonicalHeaderKey(string(f.Name.Of(pending)))
			if _, announced := b.trailer[name]; announced && b.state.Done() {
				b.trailer[name] = append(b.trailer[name], string(f.Value.Of(pending)))
			}
		}
		b.rest, b.used = data, n
		return nil
	}
}

// Close is called when the backend takes no more of it. It may have answered.
func (b *requestBody) Close() error {
	b.near.CloseRead()
	return nil
}

// streamError has the shape of an error of net/http's that is not exported: it lets
// itself be seen as one of another package's
// (https://pkg.go.dev/golang.org/x/net/http2#StreamError).
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("stream error %d", e.Code) }

// Codes of RFC 9113, 7.
const (
	protocolError = 1
	refusedStream = 7
)

// hearing is a connection that notices what it is first told in.
type hearing struct {
	net.Conn
	began bool // Read's own
	http1 atomic.Bool
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if !h.began && n > 0 {
		h.began = true
		h.http1.Store(bytes.HasPrefix(p[:n], []byte("HTTP/")))
	}
	return n, err
}

// meaning tells what an error of net/http means to who sent a request.
func (s *Session) meaning(err error) error {
	var reset streamError
	text := err.Error()
	switch {
	case s.heard.http1.Load():
		return &ProtocolError{ErrHTTP1}
	case errors.As(err, &reset) && reset.Code == refusedStream, slices.ContainsFunc(untouched(), func(says string) bool { return strings.Contains(text, says) }):
		return &RefusedError{err}
	case errors.As(err, &reset) && reset.Code == protocolError && reset.Cause != nil:
		return &ProtocolError{err}
	}
	return err
}

// untouched are the errors of net/http, none of which is exported, for a request that
// no backend has looked at.
func untouched() []string {
	return []string{
		"Transport received Server's graceful shutdown GOAWAY", // and the stream is none of those that it still carries out
		"client conn not usable",
		"client conn could not be established",
	}
}
