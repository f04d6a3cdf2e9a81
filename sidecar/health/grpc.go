package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// GRPC is fine when the backend says that Service serves, by the health checking
// protocol of gRPC (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
type GRPC struct {
	Service string      // as its package and name; empty asks for the server as a whole
	Host    string      // :authority; empty stands for TLS' server name, else the address
	TLS     *tls.Config // nil checks in cleartext
}

// Check asks once.
func (c GRPC) Check(ctx context.Context, addr netip.AddrPort) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return visit(ctx, addr, "", func(conn net.Conn) error {
		if c.TLS != nil {
			encrypted, err := encrypt(ctx, conn, c.TLS, addr, "h2")
			if err != nil {
				return err
			}
			conn = encrypted
		}
		answer, err := overHTTP2(ctx, conn, c.request(addr))
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		return judgeGRPC(answer)
	})
}

func (c GRPC) request(addr netip.AddrPort) *http.Request {
	scheme, host := "http", c.Host
	if c.TLS != nil {
		scheme = "https"
		if host == "" {
			host = c.TLS.ServerName
		}
	}
	if host == "" {
		host = addr.String()
	}
	const service protowire.Number = 1 // of HealthCheckRequest
	message := protowire.AppendString(protowire.AppendTag(nil, service, protowire.BytesType), c.Service)
	framed := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Scheme: scheme, Host: addr.String(), Path: "/grpc.health.v1.Health/Check"}, Host: host,
		Header:        http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"outrider-check"}},
		Body:          io.NopCloser(bytes.NewReader(framed)),
		ContentLength: int64(len(framed)),
	}
}

// maxStatus bounds the answer, which is three bytes long.
const maxStatus = 1 << 10

func judgeGRPC(answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return failure{reason: "status " + strconv.Itoa(answer.StatusCode)}
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxStatus))
	if err != nil {
		return err
	}
	told := answer.Trailer.Get("Grpc-Status")
	if told == "" {
		told = answer.Header.Get("Grpc-Status")
	}
	switch told {
	case "0":
	case "":
		return failure{reason: "no gRPC answer"}
	case "5":
		return failure{reason: "service unknown"}
	case "12":
		return failure{reason: "no grpc.health.v1"}
	default:
		return failure{reason: "grpc-status " + told}
	}
	serving, err := isServing(body)
	if err != nil {
		return failure{reason: "no gRPC answer", err: err}
	}
	if !serving {
		return failure{reason: "not serving"}
	}
	return nil
}

// isServing reads a HealthCheckResponse, in the frame of a gRPC message.
func isServing(body []byte) (bool, error) {
	const prefix, status, serving = 5, 1, 1
	if len(body) < prefix || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-prefix {
		return false, errors.New("not one uncompressed message")
	}
	told := uint64(0)
	for rest := body[prefix:]; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return false, protowire.ParseError(n)
		}
		rest = rest[n:]
		if number == status && kind == protowire.VarintType {
			told, n = protowire.ConsumeVarint(rest)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, rest)
		}
		if n < 0 {
			return false, protowire.ParseError(n)
		}
		rest = rest[n:]
	}
	return told == serving, nil
}
