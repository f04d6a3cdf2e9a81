package health

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// newGRPCServer is a backend on loopback.
func newGRPCServer(t *testing.T, s *grpc.Server) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Stop()
		<-served
	})
	return netip.MustParseAddrPort(ln.Addr().String())
}

func TestGRPCCheck(t *testing.T) {
	said := grpchealth.NewServer()
	said.SetServingStatus("shop.v1.Cart", grpc_health_v1.HealthCheckResponse_SERVING)
	said.SetServingStatus("shop.v1.Till", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, said)
	app := newGRPCServer(t, s)
	former := serve(t, func(conn net.Conn) { // it reads on: an end with bytes unread would be a reset
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	silent := serve(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, row := range []struct {
		name  string
		check GRPC
		addr  netip.AddrPort
		says  string // empty: fine
	}{
		{"the server", GRPC{}, app, ""},
		{"a service that serves", GRPC{Service: "shop.v1.Cart"}, app, ""},
		{"a service that does not serve", GRPC{Service: "shop.v1.Till"}, app, "not serving"},
		{"a service that it does not know", GRPC{Service: "shop.v1.Shelf"}, app, "service unknown"},
		{"a server without the protocol", GRPC{}, newGRPCServer(t, grpc.NewServer()), "no grpc.health.v1"},
		{"a server of HTTP/1.1", GRPC{}, former.addr(), "no HTTP/2 answer"},
		{"a server that says nothing", GRPC{}, silent.addr(), "timeout"},
		{"nobody", GRPC{}, nobody(t), "refused"},
	} {
		t.Run(row.name, func(t *testing.T) {
			patience := 10 * time.Second
			if row.says == "timeout" {
				patience = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := row.check.Check(ctx, row.addr)
			if (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want %q", err, row.says)
			}
		})
	}
}

func TestHTTPCheckOverHTTP2(t *testing.T) {
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.URL.Path == "/ill" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "well")
	}))
	app.EnableHTTP2 = true
	app.StartTLS()
	t.Cleanup(app.Close)
	addr := netip.MustParseAddrPort(app.Listener.Addr().String())
	trust := app.Client().Transport.(*http.Transport).TLSClientConfig
	for path, fine := range map[string]bool{"/": true, "/ill": false} {
		check := HTTP{Path: path, TLS: &tls.Config{RootCAs: trust.RootCAs, ServerName: "example.com"}, HTTP2: true, BodyMatch: "well"}
		if err := check.Check(t.Context(), addr); (err == nil) != fine {
			t.Errorf("%s: %v", path, err)
		}
	}
}
