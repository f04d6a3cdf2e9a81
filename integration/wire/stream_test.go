//go:build linux

package wire_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const large = 256 << 20

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func echo(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex()
	io.Copy(w, r.Body)
}

func TestLargeBodiesBothWaysAtOnceTakeBoundedMemory(t *testing.T) {
	sc := start(t, backend(t, echo), setup{})
	idle := sc.rss()
	o := attacked(t, sc, func() {
		resp, err := http.Post("http://"+sc.addr, "a/b", io.LimitReader(zeros{}, large))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if n != large || err != nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	if grown := o.peak - idle; grown > 40 {
		t.Errorf("it took %d MiB", grown)
	}
}

func TestAnEventArrivesWhileTheStreamStaysOpen(t *testing.T) {
	next := make(chan string)
	sc := start(t, backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range next {
			fmt.Fprintf(w, "data: %s\n\n", event)
			w.(http.Flusher).Flush()
		}
	}), setup{})
	defer close(next)
	go func() { next <- "0" }()
	resp, err := http.Get("http://" + sc.addr + "/events")
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(resp.Body)
	for i := range 100 {
		line, err := in.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
			t.Fatalf("got %q, %v, want %q", line, err, want)
		}
		in.ReadString('\n')
		next <- fmt.Sprint(i + 1) // only after the one before has arrived
	}
}

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

func TestAThousandTunnelsEchoTheirOwn(t *testing.T) {
	sc := start(t, backend(t, webSocketEcho), setup{})
	attacked(t, sc, func() {
		var all, open sync.WaitGroup
		open.Add(1000)
		for i := range 1000 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				defer cancel()
				c, _, err := websocket.Dial(ctx, "ws://"+sc.addr+"/ws", nil)
				open.Done()
				if err != nil {
					t.Error(err)
					return
				}
				open.Wait() // all at once
				for round := range 5 {
					token := fmt.Sprintf("token-%d-%d", i, round)
					c.Write(ctx, websocket.MessageText, []byte(token))
					if _, got, err := c.Read(ctx); err != nil || string(got) != token {
						t.Errorf("got %q, %v, want %q", got, err, token)
					}
				}
				c.Close(websocket.StatusNormalClosure, "")
			})
		}
		all.Wait()
	})
}
