package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

// word is a message of the service under test.
type word = wrapperspb.StringValue

// echoService is the service under test: `/test.Echo/Call`. It is written by hand, as a
// generator would write it, but for messages that are there already.
func echoService(call func(grpc.ServerStream) error) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.Echo", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Call", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return call(stream) }}},
	}
}

// newGRPCServer is a backend that answers each call with call.
func newGRPCServer(t testing.TB, call func(grpc.ServerStream) error) netip.AddrPort {
	t.Helper()
	s := grpc.NewServer()
	s.RegisterService(echoService(call), nil)
	ln := listen(t)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ln) })
	t.Cleanup(func() {
		s.Stop()
		serving.Wait()
	})
	return netip.MustParseAddrPort(ln.Addr().String())
}

func dialGRPC(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(_ context.Context, addr string) (net.Conn, error) { return dial(addr, http2.NextProtoTLS) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func call(ctx context.Context, t testing.TB, conn *grpc.ClientConn, options ...grpc.CallOption) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(ctx, &echoService(nil).Streams[0], "/test.Echo/Call", options...)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// ask sends words and gives those that come back, and the end.
func askGRPC(ctx context.Context, t testing.TB, conn *grpc.ClientConn, words ...string) ([]string, error) {
	t.Helper()
	stream := call(ctx, t, conn)
	for _, w := range words {
		if err := stream.SendMsg(&word{Value: w}); err != nil {
			break // the end says why
		}
	}
	_ = stream.CloseSend()
	var got []string
	for {
		var w word
		if err := stream.RecvMsg(&w); errors.Is(err, io.EOF) {
			return got, nil
		} else if err != nil {
			return got, err
		}
		got = append(got, w.Value)
	}
}

func echoes(stream grpc.ServerStream) error {
	for {
		var w word
		if err := stream.RecvMsg(&w); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&w); err != nil {
			return err
		}
	}
}

func TestGRPCPassesInAllItsForms(t *testing.T) {
	app := newGRPCServer(t, echoes)
	kept := new(book)
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2), kept.option())
	conn := dialGRPC(t, sc.addr)
	for name, words := range map[string][]string{
		"unary": {"one"}, "nothing": nil, "a stream": {"one", "two", "three"}, "a large message": {strings.Repeat("x", 1<<20)},
	} {
		if got, err := askGRPC(within(t), t, conn, words...); err != nil || strings.Join(got, " ") != strings.Join(words, " ") {
			t.Errorf("%s: got %d words, %v", name, len(got), err)
		}
	}
	stream := call(within(t), t, conn) // by turns
	for i := range 20 {
		said, heard := &word{Value: fmt.Sprint(i)}, new(word)
		if err := stream.SendMsg(said); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(heard); err != nil || heard.Value != said.Value {
			t.Fatalf("got %q, %v", heard.Value, err)
		}
	}
	_ = stream.CloseSend()
	if err := stream.RecvMsg(new(word)); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
	if got := kept.await(t, 5)[0]; got.path != "/test.Echo/Call" || got.method != "POST" || got.status != 200 {
		t.Errorf("told %+v", got)
	}
}

func TestMetadataAndStatusesOfGRPCPass(t *testing.T) {
	app := newGRPCServer(t, func(stream grpc.ServerStream) error {
		got, _ := metadata.FromIncomingContext(stream.Context())
		_ = stream.SetHeader(metadata.Pairs("x-head", got.Get("x-mine")[0], "x-bin", "\x00\xff"))
		stream.SetTrailer(metadata.Pairs("x-tail", "unannounced"))
		return status.Error(codes.FailedPrecondition, "not now: 100 %, é")
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	var head, tail metadata.MD
	ctx := metadata.AppendToOutgoingContext(within(t), "x-mine", "1")
	stream := call(ctx, t, dialGRPC(t, sc.addr), grpc.Header(&head), grpc.Trailer(&tail))
	_ = stream.CloseSend()
	err := stream.RecvMsg(new(word))
	if s := status.Convert(err); s.Code() != codes.FailedPrecondition || s.Message() != "not now: 100 %, é" {
		t.Errorf("got %v", err)
	}
	head, _ = stream.Header()
	tail = stream.Trailer()
	if all := metadata.Join(head, tail); fmt.Sprint(all.Get("x-head"), all.Get("x-tail")) != "[1] [unannounced]" || all.Get("x-bin")[0] != "\x00\xff" {
		t.Errorf("got %v and %v", head, tail)
	}
}

func TestADeadlineAndACancellationOfGRPCReachTheBackend(t *testing.T) {
	began, over := make(chan struct{}, 2), make(chan error, 2)
	app := newGRPCServer(t, func(stream grpc.ServerStream) error {
		began <- struct{}{}
		<-stream.Context().Done()
		over <- stream.Context().Err()
		return stream.Context().Err()
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	conn := dialGRPC(t, sc.addr)

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := askGRPC(ctx, t, conn, "x"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the client got %v", err)
	}
	<-began
	<-over
	ctx, cancel = context.WithCancel(t.Context())
	stream := call(ctx, t, conn)
	_ = stream.SendMsg(&word{Value: "x"})
	<-began
	cancel()
	if err := stream.RecvMsg(new(word)); status.Code(err) != codes.Canceled {
		t.Errorf("the client got %v", err)
	}
	<-over
}

func TestCallsOverOneConnectionAreSpreadOverTheBackends(t *testing.T) {
	var calls [3]atomic.Int64
	var backends []netip.AddrPort
	for i := range calls {
		backends = append(backends, newGRPCServer(t, func(stream grpc.ServerStream) error {
			calls[i].Add(1)
			return echoes(stream)
		}))
	}
	sc := newSidecar(t, at(backends...), speaking(cluster.HTTP2))
	conn := dialGRPC(t, sc.addr)
	for range 30 {
		if _, err := askGRPC(within(t), t, conn, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range calls {
		if n := calls[i].Load(); n != 10 {
			t.Errorf("backend %d got %d of 30 calls", i, n)
		}
	}
	if n := sc.Clients(); n != 1 {
		t.Errorf("there are %d client connections", n)
	}
}

func TestOurOwnAnswersAreStatusesOfGRPC(t *testing.T) {
	silent := newGRPCServer(t, func(stream grpc.ServerStream) error {
		<-stream.Context().Done()
		return nil
	})
	for _, row := range []struct {
		name    string
		options []option
		code    codes.Code
		says    string
	}{
		{"no backend", []option{speaking(cluster.HTTP2)}, codes.Unavailable, "outrider: cluster app has no usable backend (0 of 0)"},
		{"nobody listens", []option{at(refusing(t)), speaking(cluster.HTTP2)}, codes.Unavailable, "outrider: no connection to a backend of cluster app: refused"},
		{"no answer in time", []option{at(silent), speaking(cluster.HTTP2), policy(func(p *cluster.Policy) { p.Response = 50 * time.Millisecond })},
			codes.Unavailable, "outrider: a backend of cluster app did not answer in time"},
		{"a cluster of HTTP/1.1", []option{at(refusing(t))}, codes.Unimplemented, "outrider: cluster app speaks HTTP/1.1 to its backends, and gRPC needs HTTP/2"},
		{"no route", []option{routed(asked{route: func(*proxy.Request) proxy.Decision {
			return proxy.Decision{Fault: &proxy.Fault{Status: 500, Type: "proxy_internal_error", Detail: "the script failed"}}
		}})}, codes.Internal, "outrider: the script failed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			sc := newSidecar(t, row.options...)
			_, err := askGRPC(within(t), t, dialGRPC(t, sc.addr), "x")
			if s := status.Convert(err); s.Code() != row.code || !strings.HasPrefix(s.Message(), row.says) {
				t.Errorf("got %v %q", s.Code(), s.Message())
			}
		})
	}
}

func TestACallIsRetriedOnlyWhereNothingWasDone(t *testing.T) {
	for _, row := range []struct {
		name  string
		first func(grpc.ServerStream) error
		code  codes.Code
		calls int64
	}{
		{"unavailable, before anything was said", func(grpc.ServerStream) error { return status.Error(codes.Unavailable, "going down") }, codes.OK, 2},
		{"unavailable, behind an answer", func(stream grpc.ServerStream) error {
			_ = stream.SendMsg(&word{Value: "x"})
			return status.Error(codes.Unavailable, "going down")
		}, codes.Unavailable, 1},
		{"another status", func(grpc.ServerStream) error { return status.Error(codes.Internal, "no") }, codes.Internal, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			var calls atomic.Int64
			backend := func() netip.AddrPort {
				return newGRPCServer(t, func(stream grpc.ServerStream) error {
					if calls.Add(1) == 1 {
						return row.first(stream)
					}
					return echoes(stream)
				})
			}
			sc := newSidecar(t, at(backend(), backend()), speaking(cluster.HTTP2))
			_, err := askGRPC(within(t), t, dialGRPC(t, sc.addr), "x")
			if status.Code(err) != row.code || calls.Load() != row.calls {
				t.Errorf("got %v after %d calls", err, calls.Load())
			}
		})
	}
}

func TestTheLastUnavailableIsTheBackends(t *testing.T) {
	app := newGRPCServer(t, func(grpc.ServerStream) error { return status.Error(codes.Unavailable, "going down") })
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	if _, err := askGRPC(within(t), t, dialGRPC(t, sc.addr), "x"); status.Convert(err).Message() != "going down" {
		t.Errorf("got %v", err)
	}
}

func TestGRPCWebIsAnyRequest(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up))
	request := newRequest2(t, "POST", "http://"+sc.addr+"/test.Echo/Call", http.NoBody)
	request.Header.Set("Content-Type", "application/grpc-web+proto")
	if response, body := ask2(t, newHTTP2Client(t), request); response.StatusCode != 200 || body != "ok" {
		t.Errorf("got %s %q", response.Status, body)
	}
}
