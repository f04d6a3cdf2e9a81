package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"outrider/sidecar/cluster"
)

// echoing is a far end that gives every WebSocket message back.
func echoing(t testing.TB) netip.AddrPort {
	return serving(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer ws.CloseNow()
		ws.SetReadLimit(-1)
		for {
			kind, message, err := ws.Read(r.Context())
			if err != nil {
				return
			}
			if string(message) == "leave" {
				_ = ws.Close(4000, "as you wish")
				return
			}
			if ws.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
}

// dialWebSocket goes through the sidecar.
func dialWebSocket(t testing.TB, sc *sidecar) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(within(t), "ws://"+sc.addr+"/", &websocket.DialOptions{HTTPClient: browse(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	ws.SetReadLimit(-1)
	return ws
}

func echo(ctx context.Context, ws *websocket.Conn, kind websocket.MessageType, message []byte) error {
	if err := ws.Write(ctx, kind, message); err != nil {
		return err
	}
	gotKind, got, err := ws.Read(ctx)
	if err == nil && (gotKind != kind || !bytes.Equal(got, message)) {
		err = errors.New("the echo is not what was sent")
	}
	return err
}

func TestWebSocketsPassThrough(t *testing.T) {
	sc := newSidecar(t, at(echoing(t)))
	ws, ctx := dialWebSocket(t, sc), within(t)
	if err := echo(ctx, ws, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 126, 1 << 10, 64 << 10, 4 << 20} {
		message := bytes.Repeat([]byte{0, 1, '\r', '\n', 0xff}, size/5+1)
		if err := echo(ctx, ws, websocket.MessageBinary, message); err != nil {
			t.Fatalf("%d bytes: %v", len(message), err)
		}
	}
	reading := ws.CloseRead(ctx)
	if err := ws.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
	if sc.Active() != 1 {
		t.Errorf("%d active, want the tunnel", sc.Active())
	}
	if err := ws.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	<-reading.Done()
	sc.rest(t)
}

func TestAWebSocketIsClosedByEitherSide(t *testing.T) {
	sc := newSidecar(t, at(echoing(t)))
	ws, ctx := dialWebSocket(t, sc), within(t)
	if err := ws.Write(ctx, websocket.MessageText, []byte("leave")); err != nil {
		t.Fatal(err)
	}
	_, _, err := ws.Read(ctx)
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 4000 || closed.Reason != "as you wish" {
		t.Errorf("got %v, want the backend's close", err)
	}
	sc.rest(t)
}

func TestAHundredTunnelsAtATime(t *testing.T) {
	sc := newSidecar(t, at(echoing(t)))
	var clients sync.WaitGroup
	open := make(chan struct{})
	ready := make(chan error, 100)
	for range 100 {
		ws := dialWebSocket(t, sc)
		clients.Go(func() {
			<-open
			for range 5 {
				if err := echo(t.Context(), ws, websocket.MessageBinary, make([]byte, 10<<10)); err != nil {
					ready <- err
					return
				}
			}
			ready <- ws.Close(websocket.StatusNormalClosure, "")
		})
	}
	if n := sc.Active(); n != 100 {
		t.Errorf("%d tunnels, want 100", n)
	}
	close(open)
	for range 100 {
		if err := <-ready; err != nil {
			t.Error(err)
		}
	}
	clients.Wait()
	sc.rest(t)
}

const (
	upgrading = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
	upgraded  = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
)

// tunnelled goes through the handshake of a raw tunnel.
func tunnelled(t *testing.T, play script, options ...option) (*sidecar, *client, *upstream) {
	t.Helper()
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write(upgraded)
		play(c)
	})
	sc := newSidecar(t, append(options, to(up))...)
	c := dialRaw(t, sc.addr).send(upgrading)
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101 ") ||
		!strings.Contains(head, "\r\nConnection: Upgrade\r\n") || !strings.Contains(head, "\r\nUpgrade: raw\r\n") {
		t.Fatalf("client got %q", head)
	}
	return sc, c, up
}

func TestBytesThatComeWithTheHandshakeAreNotLost(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("\r\n\r\n")
		c.write(upgraded + "at once")
		if early := c.readUntil("early"); early != "early" {
			t.Errorf("the upstream got %q", early)
		}
	})
	sc := newSidecar(t, to(up))
	c := dialRaw(t, sc.addr).send(upgrading + "early")
	c.head()
	c.expect("at once")
	up.conn(0).expectGone()
}

func TestARefusedUpgradeLeavesTheConnectionUsable(t *testing.T) {
	for name, row := range map[string]struct {
		response string
		status   int
		body     string
		conns    int // to the backend, for three requests
	}{
		"403":                       {"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, "no", 1},
		"426":                       {"HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: other/2\r\nContent-Length: 2\r\n\r\nno", 426, "no", 1},
		"200 in chunks":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 200, "no", 1},
		"204":                       {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", 1},
		"103, and then 403":         {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, "no", 1},
		"403, and the backend ends": {"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", 403, "no", 3},
	} {
		t.Run(name, func(t *testing.T) {
			up := newUpstream(t, answers(row.response))
			c := dialRaw(t, newSidecar(t, to(up)).addr)
			for range 3 {
				a := c.send(upgrading).response()
				for a.StatusCode == http.StatusEarlyHints {
					a = c.response()
				}
				if a.StatusCode != row.status || a.body != row.body || a.err != nil || a.Close || a.Header.Get("Upgrade") != "" {
					t.Fatalf("got %s with body %q (%v), close %v, upgrade %q", a.Status, a.body, a.err, a.Close, a.Header.Get("Upgrade"))
				}
			}
			if n := up.accepted(); n != row.conns {
				t.Errorf("%d connections, want %d", n, row.conns)
			}
		})
	}
}

func TestATunnelEndsOneDirectionAtATime(t *testing.T) {
	t.Run("the client first", func(t *testing.T) {
		sc, c, _ := tunnelled(t, func(c *far) {
			all, _ := io.ReadAll(c.in)
			c.write("got " + string(all))
		})
		c.send("ping")
		c.fin()
		c.expect("got ping")
		c.expectEnd()
		sc.rest(t)
	})
	t.Run("the backend first", func(t *testing.T) {
		sc, c, up := tunnelled(t, func(c *far) {
			c.write("bye")
			c.fin()
			_ = c.awaitClose()
		})
		c.expect("bye")
		c.expectEnd()
		c.send("still here")
		until(t, "what the client still says", func() bool { return strings.HasSuffix(up.conn(0).got(), "still here") })
		c.fin()
		sc.rest(t)
	})
}

func TestATunnelThatIsCutIsCutOnTheOtherSideToo(t *testing.T) {
	t.Run("by the client", func(t *testing.T) {
		ended := make(chan error, 1)
		_, c, _ := tunnelled(t, func(c *far) { ended <- c.awaitClose() })
		c.reset()
		if err := <-ended; errors.Is(err, io.EOF) {
			t.Error("the backend saw a clean end")
		}
	})
	t.Run("by the backend", func(t *testing.T) {
		_, c, up := tunnelled(t, func(c *far) { <-c.gone })
		up.conn(0).reset()
		if rest, err := c.rest(); err == nil {
			t.Errorf("the client got %q and a clean end", rest)
		}
		up.conn(0).close()
	})
}

// Who closes without having read all resets the connection, behind its last
// words. The other end may be sending all the while.
func TestTheLastWordsBeforeAResetArrive(t *testing.T) {
	const words = "these are my last words"
	for range 20 { // so that the write fails first, at least once
		t.Run("the backend's", func(t *testing.T) {
			sc, c, _ := tunnelled(t, func(c *far) {
				_, _ = io.ReadFull(c.in, make([]byte, 64<<10))
				c.write(words)
				c.reset()
			})
			go func() { _, _ = io.Copy(c.nc, zeros{}) }()
			if rest, err := c.rest(); rest != words {
				t.Errorf("the client got %q and then %v", rest, err)
			}
			sc.rest(t)
		})
		t.Run("the client's", func(t *testing.T) {
			sc, c, up := tunnelled(t, func(c *far) {
				go func() { _, _ = io.Copy(c.nc, zeros{}) }()
				_ = c.awaitClose()
			})
			_, _ = io.ReadFull(c.in, make([]byte, 64<<10))
			c.send(words).reset()
			up.conn(0).expectGone()
			if got := up.conn(0).got(); !strings.HasSuffix(got, words) {
				t.Errorf("the backend got %q", got)
			}
			sc.rest(t)
		})
	}
}

func idle(d time.Duration) option { return policy(func(p *cluster.Policy) { p.StreamIdle = d }) }

func TestAnIdleTunnelIsClosed(t *testing.T) {
	sc, c, up := tunnelled(t, func(c *far) { _ = c.awaitClose() }, idle(100*time.Millisecond))
	_, _ = c.rest()
	up.conn(0).expectGone()
	sc.rest(t)
}

// With the buffers of as many tunnels there would be no room for the request.
func TestASilentTunnelHoldsNoBuffers(t *testing.T) {
	const tunnels, each = 20, 30 << 10
	up := newUpstream(t, func(c *far) {
		if head := c.readUntil("\r\n\r\n"); !strings.Contains(head, "Upgrade") {
			c.write(ok)
			return
		}
		c.write(upgraded)
		_, _ = io.Copy(c.nc, c.in)
	})
	memory := int64(tunnels * each)
	if *transport == "tls" {
		memory += (tunnels + 2) * (24 << 10) // which a connection of TLS takes by itself, also that of the request
	}
	sc := newSidecar(t, to(up), func(s *setup) { s.settings.Limits.Memory = memory })
	silent := make([]*client, tunnels)
	for i := range silent {
		silent[i] = dialRaw(t, sc.addr).send(upgrading)
		silent[i].head()
		silent[i].send("hello").expect("hello")
	}
	expectOK(t, dialRaw(t, sc.addr).send(getRoot).response())
	long := strings.Repeat("hello again ", 10_000)
	for _, c := range silent {
		c.send(long).expect(long)
	}
}

func TestATunnelThatIsUsedInOneDirectionIsNotIdle(t *testing.T) {
	_, c, _ := tunnelled(t, func(c *far) {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for range 30 {
			<-pace.C
			c.write("x")
		}
	}, idle(200*time.Millisecond))
	c.expect(strings.Repeat("x", 30))
	c.expectEnd()
}

func TestATunnelStallsTheFasterSide(t *testing.T) {
	release := make(chan struct{})
	_, c, _ := tunnelled(t, func(c *far) {
		c.await(release)
		c.drain(large)
		c.write("done")
	})
	sent, done := new(atomic.Int64), make(chan error, 1)
	go func() {
		_, err := io.Copy(c.nc, &counted{io.LimitReader(zeros{}, large), sent})
		done <- err
	}()
	untilSteady(t, sent)
	if n := sent.Load(); n > large/2 {
		t.Errorf("the client could send %d bytes to a backend that reads nothing", n)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.expect("done")
}
