package http1

import (
	"bytes"
	"net/http"
)

// What a client speaks that sends no HTTP/1 request.
var (
	ErrTLS = foreign(http.StatusBadRequest, "TLS",
		"this is a TLS handshake, but the listener speaks cleartext HTTP: use http://, or the port that does TLS")
	ErrHTTP2 = foreign(http.StatusHTTPVersionNotSupported, "HTTP/2",
		"this is HTTP/2 with prior knowledge, but over TLS it is agreed on in the handshake (ALPN; RFC 9113, 3.2)")
	ErrHTTP09 = foreign(http.StatusBadRequest, "HTTP/0.9",
		"this is HTTP/0.9: a request line ends with HTTP/1.1 (RFC 9112, 3)")
	ErrSOCKS = foreign(http.StatusBadRequest, "SOCKS",
		"this is a SOCKS handshake, but this is an HTTP server and no proxy for clients to choose")
	ErrPROXY = foreign(http.StatusBadRequest, "PROXY protocol",
		"this is a PROXY protocol header, and the listener expects none: write proxy_protocol: true there, or turn it off in the load balancer")
	ErrSSH = foreign(http.StatusBadRequest, "SSH",
		"this is an SSH client, but the listener speaks HTTP")
)

// What a backend speaks that sends no HTTP/1 response. The status has no meaning.
var (
	ErrTLSAnswer = foreign(0, "TLS",
		"it answers in TLS: give the cluster `tls`, or the address of a port that speaks cleartext HTTP")
	ErrHTTP2Answer  = foreign(0, "HTTP/2", "it answers in HTTP/2, without being asked to")
	ErrSSHAnswer    = foreign(0, "SSH", "it is an SSH server")
	ErrMailAnswer   = foreign(0, "SMTP or FTP", "it greets like an SMTP or FTP server")
	ErrRedisAnswer  = foreign(0, "Redis", "it answers like a Redis server")
	ErrHTTP09Answer = foreign(0, "HTTP/0.9", "it sends a page without a head, as in HTTP/0.9")
)

func foreign(status int, protocol, reason string) *Error { return &Error{status, reason, protocol} }

// signature is how what is said in a protocol begins.
type signature struct {
	begins string
	err    *Error
}

// recognise is the fault of a message that is refused with err: where it begins
// like one of a known protocol, that says more.
func recognise(buf []byte, known []signature, err error) error {
	for _, s := range known {
		if bytes.HasPrefix(buf, []byte(s.begins)) {
			return s.err
		}
	}
	return err
}

//nolint:gochecknoglobals // an immutable table
var foreignRequests = []signature{
	{"\x16", ErrTLS},
	{"PRI * HTTP/2.0\r\n", ErrHTTP2},
	{"\x04", ErrSOCKS},
	{"\x05", ErrSOCKS},
	{"PROXY TCP4 ", ErrPROXY},
	{"PROXY TCP6 ", ErrPROXY},
	{"PROXY UNKNOWN", ErrPROXY},
	{"\r\n\r\n\x00\r\nQUIT\n", ErrPROXY},
	{"SSH-", ErrSSH},
}

//nolint:gochecknoglobals // an immutable table
var foreignResponses = []signature{
	{"\x15\x03", ErrTLSAnswer}, // an alert
	{"\x16\x03", ErrTLSAnswer},
	{"SSH-", ErrSSHAnswer},
	{"220 ", ErrMailAnswer},
	{"220-", ErrMailAnswer},
	{"-ERR ", ErrRedisAnswer},
	{"<", ErrHTTP09Answer},
}

// foreignResponse is the fault of a response that is refused with err.
func foreignResponse(buf []byte, err error) error {
	if isHTTP2Frame(buf) {
		return ErrHTTP2Answer
	}
	return recognise(buf, foreignResponses, err)
}

// isHTTP2Frame tells whether buf begins with the head of a SETTINGS or GOAWAY
// frame of a connection (RFC 9113, 4.1), which is what a server says first.
func isHTTP2Frame(buf []byte) bool {
	const settings, goAway = 4, 7
	return len(buf) >= 9 && buf[0] == 0 && (buf[3] == settings || buf[3] == goAway) && bytes.Equal(buf[5:9], make([]byte, 4))
}
