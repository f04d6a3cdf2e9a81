//go:build linux

package wire_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func webSocketEcho(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(2 << 20)
	for {
		kind, data, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if c.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}

func TestWebSocketMessagesOfEverySizeComeBack(t *testing.T) {
	sc := start(t, backend(t, webSocketEcho), setup{})
	for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c, _, err := websocket.Dial(ctx, "ws://"+sc.addr+"/ws", &websocket.DialOptions{CompressionMode: mode})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(2 << 20)
		for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20} {
			for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
				want := strings.Repeat("x", size)
				if err := c.Write(ctx, kind, []byte(want)); err != nil {
					t.Fatal(err)
				}
				got, data, err := c.Read(ctx)
				if err != nil || got != kind || string(data) != want {
					t.Fatalf("mode %v, size %d: got %v, %d bytes, %v", mode, size, got, len(data), err)
				}
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func TestAThousandTunnelsEchoTheirOwnAndLeaveNothingBehind(t *testing.T) {
	const tunnels = 1000
	sc := start(t, backend(t, webSocketEcho), setup{})
	tasks, idle := sc.goroutines(), sc.rss()
	var took []int // MiB, by each thousand
	attacked(t, sc, func(o *others) {
		for range 3 {
			all := open(t, sc, tunnels)
			o.meanwhile()
			took = append(took, sc.rss()-idle)
			t.Logf("each takes %.1f goroutines and, with what was used before, %.1f KiB",
				float64(sc.goroutines()-tasks)/tunnels, float64(took[len(took)-1])*1024/tunnels)
			each(t, all, func(_ int, c **websocket.Conn) error { return (*c).Close(websocket.StatusNormalClosure, "") })
			until(t, "the tunnels to end", func() bool { return sc.files() < tunnels/10 }) // max_in_flight counts them
		}
	})
	if took[0] > 48 || took[2] > took[0]+16 {
		t.Errorf("they took %d MiB in turn", took)
	}
}

// open opens so many tunnels and uses each a little.
func open(t *testing.T, sc *sidecar, n int) []*websocket.Conn {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	all := make([]*websocket.Conn, n)
	each(t, all, func(_ int, c **websocket.Conn) (err error) {
		*c, _, err = websocket.Dial(ctx, "ws://"+sc.addr+"/ws", nil)
		return err
	})
	for round := range 5 {
		each(t, all, func(i int, c **websocket.Conn) error {
			return says(ctx, *c, fmt.Sprintf("token-%d-%d", i, round))
		})
	}
	return all
}

// each does something with all of them at once.
func each(t *testing.T, all []*websocket.Conn, do func(i int, c **websocket.Conn) error) {
	t.Helper()
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			if err := do(i, &all[i]); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// says sends a message, and wants it back.
func says(ctx context.Context, c *websocket.Conn, message string) error {
	if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		return err
	}
	_, got, err := c.Read(ctx)
	if err == nil && string(got) != message {
		err = fmt.Errorf("got %q, want %q", got, message)
	}
	return err
}
