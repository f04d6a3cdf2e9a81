package http1

// Kind is a way to tell where a body ends (RFC 9112, 6).
type Kind uint8

// The ways to tell where a body ends.
const (
	None       Kind = iota // there is none
	Length                 // after so many bytes
	Chunked                // with the last chunk
	UntilClose             // with the connection; responses only
)

// Framing tells how a body is framed.
type Framing struct {
	Kind   Kind
	Length int64 // bytes, of Kind Length
	// Declared: Kind is None, and a Content-Length field said so (Length keeps
	// its number, which is not 0 where the message can have no body).
	Declared bool
}
