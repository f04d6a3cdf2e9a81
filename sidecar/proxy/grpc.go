package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// isGRPC tells whether a request is gRPC's
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). gRPC-Web, which
// is made for HTTP/1.1, is not.
func (x *exchange) isGRPC() bool {
	if x.client == nil || !x.client.stream {
		return false
	}
	for _, f := range x.req.Fields {
		if f.ID == http1.Other && equalFold(f.Name.Of(x.head), "content-type") {
			rest, is := bytes.CutPrefix(f.Value.Of(x.head), []byte("application/grpc"))
			return is && (len(rest) == 0 || rest[0] == '+' || rest[0] == ';')
		}
	}
	return false
}

// Codes of gRPC (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
const (
	grpcUnknown          = 2
	grpcDeadlineExceeded = 4
	grpcPermissionDenied = 7
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

// grpcStatus is the code that a client takes a status of HTTP for
// (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md), but for
// what it can not know: that it is we who have no time left, or can not do it.
func (f *Fault) grpcStatus() int {
	switch f.Status {
	case http.StatusBadRequest, http.StatusInternalServerError, http.StatusLoopDetected:
		return grpcInternal
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusForbidden:
		return grpcPermissionDenied
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return grpcUnimplemented
	case http.StatusRequestTimeout:
		return grpcDeadlineExceeded
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return grpcUnavailable
	}
	return grpcUnknown
}

// appendGRPCFault appends an answer of our own to a gRPC client, which looks at no
// body: a response that is nothing but trailers.
func (s *Server) appendGRPCFault(dst []byte, f *Fault, x *exchange, stays bool) []byte {
	dst = x.appendStatusLine(dst, http.StatusOK, reasonPhrase(http.StatusOK))
	dst = append(dst, "Content-Type: application/grpc\r\n"...)
	dst = s.appendDate(dst)
	dst = append(strconv.AppendInt(append(dst, "Grpc-Status: "...), int64(f.grpcStatus()), 10), "\r\nGrpc-Message: outrider: "...)
	dst = append(appendPercent(dst, f.Detail), "\r\n"...)
	dst = append(dst, "Proxy-Status: "+x.settings.Name+"; error="+f.Type+"; details="...)
	dst = append(appendQuoted(dst, f.Detail), "\r\n"...)
	dst = x.appendReveal(dst)
	dst = http1.AppendFraming(dst, http1.Framing{Kind: http1.None, Declared: true})
	return append(x.appendConnection(dst, stays), "\r\n"...)
}

// appendPercent appends a Grpc-Message: printable ASCII but '%' as it is, any other
// byte percent-encoded.
func appendPercent(dst []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

func grpcOverHTTP1(name string) *Fault {
	return &Fault{
		Status: http.StatusNotImplemented, Type: "proxy_configuration_error",
		Detail: fmt.Sprintf("cluster %s speaks HTTP/1.1 to its backends, and gRPC needs HTTP/2: give it `protocol: h2c`, or h2 with tls", name),
	}
}

// isUnavailable tells whether the response says, in its head alone, that the server
// is not available: it has done nothing about the request, which can be sent again.
func (x *exchange) isUnavailable() bool {
	if !x.isGRPC() || x.resp.Body(false).Kind != http1.None {
		return false
	}
	told := false
	buf := x.up.conn.Bytes()
	for _, f := range x.resp.Fields {
		told = told || equalFold(f.Name.Of(buf), "grpc-status") && string(f.Value.Of(buf)) == strconv.Itoa(grpcUnavailable)
	}
	if !told {
		return false
	}
	x.upload.stop() // this backend does not want the rest
	return x.whole && x.takeRest()
}

// restPatience is how long the rest of a call is waited for, so that it can be sent
// again. That of a unary call is on its way; a stream may have no end.
const restPatience = 100 * time.Millisecond

// takeRest takes what is left of the request's body into what is sent first. False:
// that is not all of it.
func (x *exchange) takeRest() bool {
	x.conn.SetReadLimit(restPatience)
	for !x.body.Done() {
		took, err := x.takeBody(&x.sent)
		if err != nil || len(x.sent) > maxReplay {
			return false
		}
		if !took && x.conn.Fill(stream.BodyBuffer, nil) != nil {
			return false
		}
	}
	return true
}

// insteadOf chooses the backend for one more try in place of a response that says
// that b is not available. Nil: the response stands.
func (x *exchange) insteadOf(b *cluster.Backend) *cluster.Backend {
	failed := failure{trouble: ended, phase: waiting, whole: true, untouched: true}
	next, _ := x.another(b, &failed)
	if next == nil {
		return nil
	}
	x.noteFailed(b, errUnavailable)
	x.dropUpstream()
	x.resp.Reset()
	b.Counters().Retried.Add(1)
	x.server.counts.retried(failed)
	return next
}

var errUnavailable = errors.New("grpc-status 14")
