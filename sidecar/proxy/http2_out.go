package proxy

import (
	"crypto/tls"
	"errors"

	"outrider/sidecar/cluster"
	"outrider/sidecar/http2"
	"outrider/sidecar/stream"
)

// mayUseHTTP2 tells whether the request may go upstream as a stream of HTTP/2. An
// upgrade is HTTP/1's.
func (x *exchange) mayUseHTTP2() bool {
	return x.policy.Protocol == cluster.HTTP2 || x.policy.Protocol == cluster.Negotiated && len(x.upgrade) == 0
}

// encryption is what a connection is made by.
func (x *exchange) encryption() *tls.Config {
	if x.policy.Protocol != cluster.Negotiated || x.mayUseHTTP2() {
		return x.policy.TLS
	}
	own := x.policy.TLS.Clone()
	own.NextProtos = []string{"http/1.1"}
	return own
}

// agree makes the first stream of a new connection whose backend speaks HTTP/2. Any
// other connection stays as it is.
func (x *exchange) agree() error {
	if !x.mayUseHTTP2() {
		return nil
	}
	state, encrypted := x.up.conn.Encrypted()
	scheme := "http"
	switch {
	case encrypted && state.NegotiatedProtocol == "h2":
		scheme = "https"
	case x.policy.Protocol == cluster.Negotiated:
		return nil
	case encrypted:
		x.up.conn.Close()
		return &stream.HandshakeError{Err: errNoHTTP2}
	}
	nc, err := x.up.conn.Leave()
	if err != nil {
		return err
	}
	s, err := http2.NewSession(nc, scheme, x.policy.UpstreamIdle, x.settings.Limits.head())
	if err != nil {
		return err
	}
	far, _, ok := s.Open()
	if !ok {
		s.Retire()
		return s.Refused()
	}
	x.up.pool.add(session{s, x.policy.TLS})
	x.up.conn = x.server.loop.AdoptNet(far)
	return nil
}

var errNoHTTP2 = errors.New("the backend does not offer HTTP/2 (ALPN): set `protocol: auto`")

// refusedStream tells that a backend has said that it did nothing about a request.
func refusedStream(err error) bool {
	_, refused := errors.AsType[*http2.RefusedError](err)
	return refused
}
