package proxy_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// floodFrames is how many frames a flood has, if it gets so far.
const floodFrames = 4000

// dialFrames is a client that speaks HTTP/2 frame by frame, and listens to nothing.
func dialFrames(t testing.TB, addr string) *framer {
	t.Helper()
	nc, err := dial(addr, http2.NextProtoTLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(nc, http2.ClientPreface)
	f := &framer{t, nc, http2.NewFramer(nc, nc)}
	_ = f.WriteSettings()
	go func() { _, _ = io.Copy(io.Discard, nc) }()
	return f
}

func TestFloodsOfHTTP2HarmNobodyElse(t *testing.T) {
	request := []string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"}
	for _, row := range []struct {
		name string
		send func(f *framer, i uint32) error
	}{
		{"streams that are reset at once", func(f *framer, i uint32) error {
			_ = f.head(2*i+1, true, request...)
			return f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		}},
		{"streams beyond the number that was agreed on", func(f *framer, i uint32) error {
			return f.head(2*i+1, false, request...)
		}},
		{"a head that is continued without an end", func(f *framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			}
			return f.WriteContinuation(1, false, []byte("\x00\x01a\x7f\x81\x7f"+strings.Repeat("x", 256)))
		}},
		{"settings", func(f *framer, _ uint32) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
		}},
		{"pings", func(f *framer, _ uint32) error { return f.WritePing(false, [8]byte{}) }},
		{"a field that unpacks to very much", func(f *framer, i uint32) error {
			// The first puts a field of 4 KB into the table, the others name it a thousand times.
			if i == 0 {
				return f.head(1, true, append(request, "x-bomb", strings.Repeat("x", 3900))...)
			}
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, EndHeaders: true, EndStream: true, BlockFragment: []byte(strings.Repeat("\xbe", 10_000))})
		}},
		{"bytes for a stream that takes none", func(f *framer, i uint32) error {
			if i == 0 {
				return f.head(1, false, append(request, "content-length", "100000000")...)
			}
			return f.WriteData(1, false, make([]byte, 16<<10))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			stuck := make(chan struct{})
			up := newUpstream(t, func(c *far) {
				for r := c.request(); r != nil; r = c.request() {
					if !strings.HasPrefix(r.raw, "GET /good") {
						c.await(stuck)
					}
					c.write(ok)
				}
			})
			defer close(stuck)
			sc := newSidecar(t, to(up))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f := dialFrames(t, sc.addr)
			_ = f.nc.SetDeadline(time.Now().Add(2 * time.Second)) // where it is not read any more
			var ended error
			for i := uint32(0); i < floodFrames && ended == nil; i++ {
				ended = row.send(f, i)
			}
			if response, body := ask2(t, newHTTP2Client(t), newRequest2(t, "GET", "http://"+sc.addr+"/good", nil)); response.StatusCode != 200 || body != "ok" {
				t.Errorf("another client got %s %q", response.Status, body)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
				t.Errorf("the heap has grown by %d MiB", grown>>20)
			}
			_ = f.nc.Close()
			until(t, "its exchanges to be over", func() bool { return sc.Active() == 0 })
		})
	}
}

func TestAMalformedRequestOfHTTP2GoesNowhere(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up))
	usual := func(more ...string) []string {
		return append([]string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"}, more...)
	}
	for name, fields := range map[string][]string{
		"another Host than the authority": usual("host", "b"),
		"two Hosts":                       {":method", "GET", ":scheme", "http", ":path", "/", "host", "a", "host", "b"},
		"Transfer-Encoding":               usual("transfer-encoding", "chunked"),
		"Connection":                      usual("connection", "x"),
		"an upgrade":                      usual("upgrade", "h2c"),
		"a newline in a value":            usual("x", "a\r\nevil: 1"),
		"a newline in the path":           {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/ HTTP/1.1\r\nevil: 1"},
		"a blank in the method":           {":method", "GET /evil HTTP/1.1\r\nx:", ":scheme", "http", ":authority", "a", ":path", "/"},
		"a path without a slash":          {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "evil"},
		"an absolute path":                {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "http://evil/"},
		"no path":                         {":method", "GET", ":scheme", "http", ":authority", "a"},
		"a name in capitals":              usual("Evil", "1"),
		"two lengths":                     usual("content-length", "1", "content-length", "2"),
		"a length that is none":           usual("content-length", "+0"),
		"a pseudo-field of a response":    usual(":status", "200"),
	} {
		t.Run(name, func(t *testing.T) {
			f := dialFrames(t, sc.addr)
			_ = f.head(1, true, fields...)
			// Whatever becomes of it, a request behind it shows that it is over.
			ask2(t, newHTTP2Client(t), newRequest2(t, "GET", "http://"+sc.addr+"/after", nil))
		})
	}
	for _, r := range up.requests() {
		if !strings.HasPrefix(r.raw, "GET /after ") {
			t.Errorf("upstream got %q", r.raw)
		}
	}
}

func TestWhatHTTP2TakesCountsAgainstTheMemory(t *testing.T) {
	stuck := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		for r := c.request(); r != nil; r = c.request() {
			if strings.HasPrefix(r.raw, "GET /stuck") {
				c.await(stuck)
			}
			c.write(ok)
		}
	})
	defer close(stuck)
	loop := newLoop()
	sc := newSidecar(t, to(up), func(s *setup) { s.options.Loop, s.settings.Limits.Memory = loop, 2<<20 })
	client := newHTTP2Client(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ask2(t, client, newRequest2(t, "GET", "http://"+sc.addr+"/first", nil)) // the connection is there
	full := make(chan struct{})
	var once sync.Once
	var streams sync.WaitGroup
	for range 60 {
		streams.Go(func() {
			response, err := client.Do(newRequest2(t, "GET", "http://"+sc.addr+"/stuck", nil).WithContext(ctx))
			if err != nil {
				return
			}
			defer response.Body.Close()
			if body, _ := io.ReadAll(response.Body); response.StatusCode == 503 && response.Header.Get("Retry-After") == "1" && strings.Contains(string(body), "limits.buffers") {
				once.Do(func() { close(full) })
			}
		})
	}
	<-full
	cancel()
	streams.Wait()
	until(t, "the streams to be over", func() bool { return sc.Active() == 0 })

	var conns []*framer
	for range 30 {
		conns = append(conns, dialFrames(t, sc.addr))
	}
	until(t, "connections to be turned away", func() bool { return sc.Clients() <= 6 }) // 1 MiB of 176 KiB each, and the first
	until(t, "one of them to have waited for long enough", func() bool {
		c := dialRaw(t, sc.addr)
		defer c.close()
		return !c.refusesHandshake() && c.send(getRoot).response().StatusCode == http.StatusOK
	})
	for _, f := range conns {
		_ = f.nc.Close()
	}
	client.CloseIdleConnections()
	until(t, "all memory to be given back", func() bool { return loop.Buffers().Lent() == 0 })
}
