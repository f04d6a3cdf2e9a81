package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

func TestServeEndsWithItsContextAndClosesTheListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, StatusHandler(&far{}, http.NotFoundHandler()), silent()) }()
	ask{path: "/livez"}.to(t, ln.Addr().String())

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if conn, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
}

func TestServeOfAContextThatIsDoneClosesTheListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Serve(ctx, ln, StatusHandler(&far{}, http.NotFoundHandler()), silent()); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}

func TestServeTellsWhenItsListenerBreaks(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	err = Serve(t.Context(), ln, StatusHandler(&far{}, http.NotFoundHandler()), silent())
	if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("Serve: %v", err)
	}
}

func TestARequestThatRunsIsAnsweredBeforeTheEnd(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	sidecar := &far{reload: func(ctx context.Context) error {
		close(began)
		select {
		case <-finish:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, answered := make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- Serve(ctx, ln, Handler(Options{Sidecar: sidecar, Token: token, Log: silent()}), silent())
	}()
	client := Client{Address: ln.Addr().String(), Token: token}
	go func() { answered <- client.Reload(context.Background()) }()

	<-began
	cancel()
	within(t, 20*time.Second, func() bool {
		conn, err := net.Dial("tcp", client.Address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(finish)
	if err := <-answered; err != nil {
		t.Errorf("the client got %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// The tests below run on fake time, and so on pipes, which real sockets cannot be.

func TestARequestThatDoesNotEndIsCutOffAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		sidecar := &far{reload: func(ctx context.Context) error {
			<-ctx.Done()
			cause = ctx.Err()
			return cause
		}}
		s := newPiped(t, sidecar)
		conn := s.dial()
		defer conn.Close()
		send(t, conn, "POST /reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+token+"\r\n\r\n")
		synctest.Wait()

		before := time.Now()
		s.stop()
		if took := time.Since(before); took < endGrace || took > endGrace+time.Second {
			t.Errorf("Serve ended after %s, want %s", took, endGrace)
		}
		if !errors.Is(cause, context.Canceled) {
			t.Errorf("the reload ended by %v", cause)
		}
	})
}

func TestWhoIsSlowIsCutOff(t *testing.T) {
	const head = "POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
	for _, row := range []struct {
		name  string
		sends string
		after time.Duration
	}{
		{"nothing", "", headTimeout},
		{"half a head", "GET /status HTTP/1.1\r\nHost: local", headTimeout},
		{"half a body", head + "Authorization: Bearer " + token + "\r\n\r\n{", bodyTimeout},
		{"half a body that is not wanted", head + "\r\n{", bodyTimeout},
		{"nothing more", "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", idleTimeout},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPiped(t, &far{})
				conn := s.dial()
				defer conn.Close()
				before := time.Now()
				send(t, conn, row.sends)
				_, _ = io.Copy(io.Discard, conn)
				if took := time.Since(before); took < row.after || took > row.after+time.Second {
					t.Errorf("closed after %s, want %s", took, row.after)
				}
				s.stop()
			})
		})
	}
}

func TestALongReloadOutlivesTheTimeoutOfItsBody(t *testing.T) {
	for _, body := range []string{"", "{}"} {
		synctest.Test(t, func(t *testing.T) {
			sidecar := &far{reload: func(ctx context.Context) error {
				select {
				case <-time.After(3 * bodyTimeout):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}}
			s := newPiped(t, sidecar)
			conn := s.dial()
			defer conn.Close()
			send(t, conn, fmt.Sprintf("POST /reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
				"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body))
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("with the body %q: %s", body, response.Status)
			}
			s.stop()
		})
	}
}

func TestAHeadThatIsTooLargeIsRefused(t *testing.T) {
	address := serveAPI(t, &far{})
	response, _ := ask{header: [][2]string{{"X-Long", strings.Repeat("x", 2*maxHead)}}}.to(t, address)
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answer %s, want 431", response.Status)
	}
}

func TestOptionsForTheWholeServerIsRefusedLikeTheRest(t *testing.T) {
	conn, err := net.Dial("tcp", serveAPI(t, &far{}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send(t, conn, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	wantRefusal(t, response, string(body), 404, `no "*" here`)
}

func TestAHandlerThatPanicsIsLoggedAndTheNextRequestServed(t *testing.T) {
	log, hook := test.NewNullLogger()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			panic("the program got this wrong")
		}
		w.WriteHeader(http.StatusNoContent)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, broken, log) }()

	_, err = Client{Address: ln.Addr().String()}.Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "closed the connection before its answer was whole") {
		t.Errorf("the client got %v", err)
	}
	response, _ := ask{}.to(t, ln.Addr().String())
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("the next request is answered %s", response.Status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	entry := hook.LastEntry()
	if entry == nil || entry.Level != logrus.WarnLevel || !strings.Contains(entry.Message, "the program got this wrong") {
		t.Errorf("the log says %v", entry)
	}
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// piped is a server on a listener of pipes, for fake time.
type piped struct {
	t      *testing.T
	accept chan net.Conn
	closed chan struct{}
	cancel context.CancelFunc
	ended  chan error
}

func newPiped(t *testing.T, sidecar Sidecar) *piped {
	ctx, cancel := context.WithCancel(t.Context())
	p := &piped{t: t, accept: make(chan net.Conn), closed: make(chan struct{}), cancel: cancel, ended: make(chan error, 1)}
	go func() {
		p.ended <- Serve(ctx, p, Handler(Options{Sidecar: sidecar, Token: token, Loopback: true, Log: silent()}), silent())
	}()
	return p
}

func (p *piped) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.accept <- theirs
	return ours
}

// stop ends the server and waits for it.
func (p *piped) stop() {
	p.cancel()
	if err := <-p.ended; err != nil {
		p.t.Errorf("Serve: %v", err)
	}
}

func (p *piped) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accept:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *piped) Close() error {
	close(p.closed)
	return nil
}

func (p *piped) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
