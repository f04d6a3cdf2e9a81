package health

import (
	"context"
	"net"
	"net/http"
)

// overHTTP2 asks once over HTTP/2 on a connection that is already made. The body
// that comes is read from conn.
func overHTTP2(ctx context.Context, conn net.Conn, request *http.Request) (*http.Response, error) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // TLS, where there is any, is below
	dialled := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Protocols:              protocols,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
	}
	session, err := dialled.NewClientConn(ctx, "http", conn.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = session.Close() }) // a check's context ends with it
	answer, err := session.RoundTrip(request.WithContext(ctx))
	if err != nil && !transport(err) {
		return nil, failure{reason: "no HTTP/2 answer", err: err}
	}
	return answer, err
}
