package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"outrider/sidecar/cluster"
)

// newHTTP2Server is a far end that speaks HTTP/2 alone, in cleartext, and knows how
// many connected.
func newHTTP2Server(t testing.TB, h http.HandlerFunc) (addr netip.AddrPort, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return addressOf(s), connections
}

// speaking makes a cluster speak a version of HTTP, and offer it in TLS.
func speaking(p cluster.Protocol, offers ...string) option {
	return policy(func(of *cluster.Policy) {
		of.Protocol = p
		if of.TLS != nil {
			of.TLS.NextProtos = offers
		}
	})
}

func TestABackendMaySpeakHTTP2(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	app, connections := newHTTP2Server(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		w.Header().Set("X-App", "1")
		_, _ = io.WriteString(w, "hi")
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	for range 5 {
		got := sc.ask(t, "GET //a%2Fb/../c?x=%zz| HTTP/1.1\r\nHost: shop\r\nConnection: X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n\r\n")
		if got.StatusCode != 200 || got.body != "hi" || got.Header.Get("X-App") != "1" || got.ContentLength != 2 {
			t.Fatalf("got %s %v %q", got.Status, got.Header, got.body)
		}
	}
	r := seen.Load()
	if r.ProtoMajor != 2 || r.RequestURI != "//a%2Fb/../c?x=%zz|" || r.Host != "shop" || r.Header.Get("Te") != "trailers" {
		t.Errorf("the backend got %s %s for %s with %v", r.Proto, r.RequestURI, r.Host, r.Header)
	}
	for _, never := range []string{"Connection", "X-Mine", "User-Agent", "Accept-Encoding"} {
		if value, has := r.Header[never]; has {
			t.Errorf("the backend got %s: %q", never, value)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("there were %d connections, want one for all", n)
	}
}

func TestRequestsAtATimeShareAConnectionOverHTTP2(t *testing.T) {
	var waiting sync.WaitGroup
	waiting.Add(20)
	app, connections := newHTTP2Server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/together" {
			waiting.Done()
			waiting.Wait() // for all the others, at the same time
		}
		_, _ = io.WriteString(w, "ok")
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	expectOK(t, sc.ask(t, getRoot))
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() { expectOK(t, sc.ask(t, "GET /together HTTP/1.1\r\nHost: a\r\n\r\n")) })
	}
	clients.Wait()
	if n := connections.Load(); n != 1 {
		t.Errorf("there were %d connections", n)
	}
}

func TestABackendOverHTTP2MayAnswerBeforeItHasTheBody(t *testing.T) {
	app, _ := newHTTP2Server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	var clients sync.WaitGroup
	for _, size := range []int{1, 30 << 10, 60 << 10, 150 << 10} {
		clients.Go(func() {
			c := dialRaw(t, sc.addr)
			for range 200 {
				c.send("POST / HTTP/1.1\r\nHost: a\r\n" + lengthOf(strings.Repeat("x", size)))
				if a := c.response(); a.StatusCode != http.StatusTeapot || a.err != nil {
					t.Errorf("with a body of %d bytes: %s (%v)", size, a.Status, a.err)
					return
				}
			}
		})
	}
	clients.Wait()
}

func TestBodiesAndTrailersPassToABackendOverHTTP2(t *testing.T) {
	app, _ := newHTTP2Server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(n, r.Trailer.Get("X-Request-Sum")))
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	body := strings.Repeat("0123456789", 30_000)
	for name, request := range map[string]string{
		"with a length": fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"chunked":       fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Request-Sum\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Request-Sum:  s\r\n\r\n", len(body), body),
	} {
		t.Run(name, func(t *testing.T) {
			got := sc.ask(t, request)
			sum := fmt.Sprint(len(body))
			if name == "chunked" {
				sum += "s"
			}
			if got.body != body || got.Trailer.Get("X-Sum") != sum {
				t.Errorf("%d of %d bytes came back, and %v", len(got.body), len(body), got.Trailer)
			}
		})
	}
}

func TestTheTrailersOfGRPCPassBehindABodyWithALength(t *testing.T) {
	app, _ := newHTTP2Server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "ok")
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	response, body := ask2(t, newHTTP2Client(t), newRequest2(t, "POST", "http://"+sc.addr+"/", nil))
	if body != "ok" || response.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("got %q and %v", body, response.Trailer)
	}
}

func TestAResponseThatABackendResetsIsCutForTheClient(t *testing.T) {
	app, _ := newHTTP2Server(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	c := dialRaw(t, sc.addr).send(getRoot)
	if rest, _ := c.rest(); strings.HasSuffix(rest, "0\r\n\r\n") || !strings.Contains(rest, "half") {
		t.Errorf("the client got %q, which looks whole", rest)
	}
}

func TestAClientThatLeavesResetsItsStreamToTheBackend(t *testing.T) {
	began, gone := make(chan struct{}), make(chan struct{})
	app, connections := newHTTP2Server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/wait" {
			_, _ = io.WriteString(w, "ok")
			return
		}
		close(began)
		<-r.Context().Done()
		close(gone)
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	c := dialRaw(t, sc.addr).send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	c.reset()
	<-gone
	expectOK(t, sc.ask(t, getRoot))
	if n := connections.Load(); n != 1 {
		t.Errorf("there were %d connections", n)
	}
}

func TestAStreamThatWasRefusedIsSentAgain(t *testing.T) {
	var got atomic.Int64
	app := func(t *testing.T) netip.AddrPort {
		return frames(t, func(f *framer) {
			for stream := range f.requests() {
				if got.Add(1) == 1 {
					f.reset(stream, http2.ErrCodeRefusedStream)
					continue
				}
				f.answer(stream, "ok")
			}
		})
	}
	sc := newSidecar(t, at(app(t), app(t)), speaking(cluster.HTTP2))
	expectOK(t, sc.ask(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"))
	if n := got.Load(); n != 2 {
		t.Errorf("the backends got %d requests", n)
	}
}

func TestABackendOfHTTP1IsNamedWhereHTTP2WasExpected(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up), speaking(cluster.HTTP2))
	if got := sc.ask(t, getRoot); got.StatusCode != 502 || !strings.Contains(got.body, "it answers in HTTP/1.1: set `protocol: h1`") {
		t.Errorf("got %s %q", got.Status, got.body)
	}
}

func TestTheHandshakeDecidesWhatABackendIsSpokenTo(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.certificate("app", time.Now().Add(time.Hour))
	const h2, h1 = "h2", "http/1.1"
	for _, row := range []struct {
		name     string
		protocol cluster.Protocol
		offers   []string
		speaks   []string
		want     string // the backend's view; empty: none
		says     string
	}{
		{"both, and the backend prefers HTTP/2", cluster.Negotiated, []string{h2, h1}, []string{h2, h1}, "HTTP/2.0", ""},
		{"both, and the backend speaks HTTP/1.1", cluster.Negotiated, []string{h2, h1}, []string{h1}, "HTTP/1.1", ""},
		{"both, and the backend knows no ALPN", cluster.Negotiated, []string{h2, h1}, nil, "HTTP/1.1", ""},
		{"HTTP/2", cluster.HTTP2, []string{h2}, []string{h2, h1}, "HTTP/2.0", ""},
		{"HTTP/2, and the backend speaks HTTP/1.1", cluster.HTTP2, []string{h2}, []string{h1}, "", "no application protocol"},
		{"HTTP/2, and the backend knows no ALPN", cluster.HTTP2, []string{h2}, nil, "", "does not offer HTTP/2"},
		{"HTTP/1.1", cluster.HTTP1, []string{h1}, []string{h2, h1}, "HTTP/1.1", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			app := newSecureServer(t, cert, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }, row.speaks...)
			sc := newSidecar(t, at(app.addr), secured("app", ca), speaking(row.protocol, row.offers...), retries(0))
			for range 3 {
				got := sc.ask(t, getRoot)
				if row.want != "" && got.body != row.want || row.want == "" && (got.StatusCode != 502 || !strings.Contains(got.body, row.says)) {
					t.Errorf("got %s %q", got.Status, got.body)
				}
			}
			if n := len(app.handshakes()); row.want != "" && n != 1 {
				t.Errorf("there were %d handshakes", n)
			}
		})
	}
}

func TestAnUpgradeGoesOverHTTP1WhereTheBackendSpeaksBoth(t *testing.T) {
	ca := newAuthority(t)
	app := newSecureServer(t, ca.certificate("app", time.Now().Add(time.Hour)), func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			_, _ = io.WriteString(w, "ok")
			return
		}
		nc, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\n\r\n")
		_, _ = io.Copy(nc, buf)
	}, "h2", "http/1.1")
	sc := newSidecar(t, at(app.addr), secured("app", ca), speaking(cluster.Negotiated, "h2", "http/1.1"))
	expectOK(t, sc.ask(t, getRoot))
	c := dialRaw(t, sc.addr).send(upgrading)
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("got %q", head)
	}
	c.send("hello").expect("hello")
}

func TestForgettingABackendLetsItsStreamsEnd(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	app, _ := newHTTP2Server(t, func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-finish
		_, _ = io.WriteString(w, "ok")
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	c := dialRaw(t, sc.addr).send(getRoot)
	<-began
	for _, b := range sc.cluster.Backends() {
		sc.Forget(b)
	}
	close(finish)
	expectOK(t, c.response())
}

func TestHTTP2PassesFromEndToEnd(t *testing.T) {
	app, _ := newHTTP2Server(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
		w.Header().Set(http.TrailerPrefix+"X-End", "1")
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	response, got := ask2(t, newHTTP2Client(t), newRequest2(t, "POST", "http://"+sc.addr+"/", bytes.NewReader(sent)))
	if got != string(sent) || response.Trailer.Get("X-End") != "1" {
		t.Errorf("%d of %d bytes came back, and %v", len(got), len(sent), response.Trailer)
	}
}

func TestBothDirectionsOfAStreamAreUsedAtATime(t *testing.T) {
	app, _ := newHTTP2Server(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.Flush()
		piece := make([]byte, 100)
		for {
			n, err := r.Body.Read(piece)
			_, _ = w.Write(piece[:n])
			_ = control.Flush()
			if err != nil {
				return
			}
		}
	})
	sc := newSidecar(t, at(app), speaking(cluster.HTTP2))
	body, feed := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := newHTTP2Client(t).Do(newRequest2(t, "POST", "http://"+sc.addr+"/", body).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for i := range 10 {
		word := fmt.Sprintf("word %d", i)
		_, _ = io.WriteString(feed, word)
		echo := make([]byte, len(word))
		if _, err := io.ReadFull(response.Body, echo); err != nil || string(echo) != word {
			t.Fatalf("got %q, %v", echo, err)
		}
	}
	_ = feed.Close()
	if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
		t.Errorf("then %q, %v", rest, err)
	}
}
