package http1

import "net/http"

// Error is a message that breaks the grammar or a limit.
type Error struct {
	// Status is what a server answers to a request with this fault. For a
	// fault in a response it has no meaning: a gateway answers 502.
	Status int
	// Reason names the fault for the person who sent the message.
	Reason string
	// Protocol is what the message looks like, where that is not HTTP/1.
	Protocol string
}

func (e *Error) Error() string { return e.Reason }

func bad(reason string) *Error { return fault(http.StatusBadRequest, reason) }

func fault(status int, reason string) *Error { return &Error{Status: status, Reason: reason} }

// What a head can have wrong.
var (
	ErrBareLF        = bad("a line ends with LF alone: HTTP wants CRLF (RFC 9112, 2.2)")
	ErrBareCR        = bad("a CR is not followed by LF (RFC 9112, 2.2)")
	ErrNotHTTP       = bad("this is not an HTTP/1 message")
	ErrRequestLine   = bad("the request line is not `method SP target SP HTTP/1.x` (RFC 9112, 3)")
	ErrMethod        = bad("the method is not a token (RFC 9110, 9.1)")
	ErrTarget        = bad("the request target has a byte that must be percent-encoded, or a fragment (RFC 3986)")
	ErrTargetForm    = bad("the request target is neither a path nor an http:// URL (RFC 9112, 3.2)")
	ErrAuthority     = bad("the target's authority is not host[:port] (RFC 9110, 4.2)")
	ErrVersion       = fault(http.StatusHTTPVersionNotSupported, "only HTTP/1.0 and HTTP/1.1 are spoken here")
	ErrConnect       = fault(http.StatusMethodNotAllowed, "CONNECT is not served: use http:// and let the cluster do TLS")
	ErrTrace         = fault(http.StatusMethodNotAllowed, "TRACE is not served")
	ErrTargetTooLong = fault(http.StatusRequestURITooLong, "the request line is longer than this server allows for a head (RFC 9112, 3)")
	ErrHeadTooLarge  = fault(http.StatusRequestHeaderFieldsTooLarge, "the head is larger than this server allows")
	ErrTooMany       = fault(http.StatusRequestHeaderFieldsTooLarge, "the head has more fields than this server allows")
	ErrConnection    = fault(http.StatusRequestHeaderFieldsTooLarge, "the Connection fields name more than makes sense (RFC 9110, 7.6.1)")
	ErrFold          = bad("a field line begins with a blank: line folding is obsolete (RFC 9112, 5.2)")
	ErrFieldName     = bad("a field name is not a token directly followed by a colon (RFC 9112, 5.1)")
	ErrFieldValue    = bad("a field value has a control character (RFC 9110, 5.5)")
	ErrHost          = bad("the Host field is not host[:port] (RFC 9112, 3.2)")
	ErrHostCount     = bad("HTTP/1.1 wants exactly one Host field (RFC 9112, 3.2)")
	ErrStatusLine    = bad("the status line is not `HTTP/1.x SP code SP reason` (RFC 9112, 4)")
)

// What the framing of a message can have wrong.
var (
	ErrLength         = bad("Content-Length is not one decimal number (RFC 9112, 6.3)")
	ErrLengthDiffer   = bad("two Content-Length fields differ (RFC 9112, 6.3)")
	ErrLengthAndTE    = bad("Content-Length together with Transfer-Encoding (RFC 9112, 6.1)")
	ErrTE             = fault(http.StatusNotImplemented, "the only transfer coding spoken here is `chunked`, once (RFC 9112, 6.1)")
	ErrTEVersion      = bad("Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1)")
	ErrExpect         = fault(http.StatusExpectationFailed, "the only expectation known here is 100-continue (RFC 9110, 10.1.1)")
	ErrChunkSize      = bad("a chunk size is not hexadecimal or is too large (RFC 9112, 7.1)")
	ErrChunkExtension = bad("a chunk extension is malformed or too long (RFC 9112, 7.1.1)")
	ErrChunkEnd       = bad("a chunk's data does not end with CRLF (RFC 9112, 7.1)")
	ErrTrailerTooLong = bad("the trailer section is too long")
)
