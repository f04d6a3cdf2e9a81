package http2_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// echoes is a backend that opens what is asked for, and says everything again.
func echoes(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" || len(r.Header.Get("Sec-WebSocket-Key")) != 24 || r.URL.Path != "/chat" {
		http.Error(w, "not a WebSocket", http.StatusUpgradeRequired)
		return
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: "+r.Header.Get("Sec-WebSocket-Protocol")+"\r\n\r\nhello ")
	_, _ = io.Copy(nc, buffered)
}

// client speaks HTTP/2 frame by frame, since net/http's can not open a WebSocket.
type client struct {
	t *testing.T
	*http2.Framer
	extended bool // the server takes an extended CONNECT
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(nc, http2.ClientPreface)
	c := &client{t: t, Framer: http2.NewFramer(nc, nc)}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = c.WriteSettings()
	c.next(func(f http2.Frame) bool {
		settings, is := f.(*http2.SettingsFrame)
		if is && !settings.IsAck() {
			value, told := settings.Value(http2.SettingEnableConnectProtocol)
			c.extended = told && value == 1
			_ = c.WriteSettingsAck()
		}
		return is
	})
	return c
}

// next is the next frame that is wanted.
func (c *client) next(wanted func(http2.Frame) bool) http2.Frame {
	c.t.Helper()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatal(err)
		}
		if wanted(f) {
			return f
		}
	}
}

func (c *client) open(stream uint32, path, protocol string) *http2.MetaHeadersFrame {
	c.t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "CONNECT"}, {":protocol", protocol}, {":scheme", "http"}, {":authority", "shop"}, {":path", path},
		{"sec-websocket-version", "13"}, {"sec-websocket-protocol", "chat"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	return c.next(func(f http2.Frame) bool { _, is := f.(*http2.MetaHeadersFrame); return is }).(*http2.MetaHeadersFrame)
}

// hear reads data until it has heard so much, or the stream's end where that is "".
func (c *client) hear(want string) (got string) {
	c.t.Helper()
	for ended := false; !ended && (want == "" || len(got) < len(want)); {
		data := c.next(func(f http2.Frame) bool { _, is := f.(*http2.DataFrame); return is }).(*http2.DataFrame)
		got += string(data.Data())
		ended = data.StreamEnded()
	}
	return got
}

func TestAWebSocketOpensOverHTTP2WhereItIsAskedFor(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(echoes))
	t.Cleanup(app.Close)
	plain, secure := freeAddress(t), freeAddress(t)
	start(t, app.Listener.Addr().String(), plain, secure, "GODEBUG=http2xconnect=1")
	c := dial(t, plain.String())
	if !c.extended {
		t.Fatal("the server does not say that it takes an extended CONNECT")
	}
	opened := c.open(1, "/chat", "websocket")
	fields := http.Header{}
	for _, f := range opened.RegularFields() {
		fields.Add(f.Name, f.Value)
	}
	if opened.PseudoValue("status") != "200" || fields.Get("Sec-WebSocket-Protocol") != "chat" || fields.Get("Sec-WebSocket-Accept") != "" || fields.Get("Upgrade") != "" {
		t.Fatalf("got %v", opened.Fields)
	}
	if got := c.hear("hello "); got != "hello " {
		t.Errorf("heard %q", got)
	}
	for _, word := range []string{"one", strings.Repeat("x", 10_000)} {
		_ = c.WriteData(1, false, []byte(word))
		if got := c.hear(word); got != word {
			t.Errorf("heard %d bytes of %d", len(got), len(word))
		}
	}
	_ = c.WriteData(1, true, nil) // the backend ends when we do
	if got := c.hear(""); got != "" {
		t.Errorf("then heard %q", got)
	}

	if refused := c.open(3, "/elsewhere", "websocket"); refused.PseudoValue("status") != "426" {
		t.Errorf("what the backend refuses is answered %v", refused.Fields)
	}
	if unknown := c.open(5, "/chat", "connect-udp"); unknown.PseudoValue("status") != "400" {
		t.Errorf("another protocol is answered %v", unknown.Fields)
	}
}

func TestAWebSocketOverHTTP2IsNotOfferedOtherwise(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(echoes))
	t.Cleanup(app.Close)
	plain, secure := freeAddress(t), freeAddress(t)
	start(t, app.Listener.Addr().String(), plain, secure)
	if dial(t, plain.String()).extended {
		t.Error("the server says that it takes an extended CONNECT")
	}
}
