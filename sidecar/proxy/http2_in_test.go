package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// newHTTP2Client speaks HTTP/2; in cleartext with prior knowledge.
func newHTTP2Client(t testing.TB) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true, DialContext: dialling(http2.NextProtoTLS)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func ask2(t testing.TB, c *http.Client, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.ProtoMajor != 2 {
		t.Fatalf("the answer is in %s", response.Proto)
	}
	return response, string(body)
}

func newRequest2(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAClientMaySpeakHTTP2WithPriorKnowledge(t *testing.T) {
	up := newUpstream(t, answers(ok))
	kept := new(book)
	sc := newSidecar(t, to(up), kept.option())
	request := newRequest2(t, "GET", "http://"+sc.addr+"/a%2Fb/../c?d=%zz|", nil)
	request.URL.Opaque = "//" + sc.addr + "/a%2Fb/../c"
	request.Header.Set("User-Agent", "test")
	response, body := ask2(t, newHTTP2Client(t), request)
	if response.StatusCode != 200 || body != "ok" {
		t.Errorf("got %d %q", response.StatusCode, body)
	}
	head := up.requests()[0].raw
	for _, want := range []string{"GET /a%2Fb/../c?d=%zz| HTTP/1.1\r\n", "Host: " + sc.addr + "\r\n", "Via: 2 sidecar-under-test\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: " + scheme() + "\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("upstream got %q, without %q", head, want)
		}
	}
	for _, never := range []string{"Connection", "Transfer-Encoding", "Content-Length"} {
		if strings.Contains(head, never) {
			t.Errorf("upstream got %q, with %s", head, never)
		}
	}
	if got := kept.await(t, 1)[0]; got.status != 200 || got.end != "done" || got.method != "GET" || got.cluster != "app" {
		t.Errorf("told %+v", got)
	}
}

func TestBodiesAndTrailersPassOverHTTP2(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		for r := c.request(); r != nil; r = c.request() {
			c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nDate: x\r\n\r\n")
			c.write(fmt.Sprintf("%x\r\n%s\r\n0\r\nX-Sum: 1\r\nX-Unannounced: 2\r\n\r\n", len(r.body), r.body))
		}
	})
	sc := newSidecar(t, to(up))
	for _, row := range []struct {
		name string
		body io.Reader
	}{
		{"with a length", strings.NewReader(strings.Repeat("x", 100_000))},
		{"without one", io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)))},
	} {
		t.Run(row.name, func(t *testing.T) {
			request := newRequest2(t, "POST", "http://"+sc.addr+"/", row.body)
			request.Trailer = http.Header{"X-Request-Sum": {"3"}}
			response, body := ask2(t, newHTTP2Client(t), request)
			if body != strings.Repeat("x", 100_000) {
				t.Errorf("%d bytes came back", len(body))
			}
			if sum, more := response.Trailer.Get("X-Sum"), response.Trailer.Get("X-Unannounced"); sum != "1" || more != "2" {
				t.Errorf("the trailers are %v", response.Trailer)
			}
			all := up.requests()
			if raw := all[len(all)-1].raw; !strings.Contains(raw, "Trailer: X-Request-Sum\r\n") {
				t.Errorf("upstream got %q", raw)
			}
		})
	}
}

func TestStreamsOfOneConnectionDoNotWaitForEachOther(t *testing.T) {
	release := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		for r := c.request(); r != nil; r = c.request() {
			if strings.HasPrefix(r.raw, "GET /slow") {
				c.await(release)
			}
			c.write(ok)
		}
	})
	sc := newSidecar(t, to(up))
	client := newHTTP2Client(t)
	ask2(t, client, newRequest2(t, "GET", "http://"+sc.addr+"/first", nil)) // the connection is there
	var slow sync.WaitGroup
	for range 20 {
		slow.Go(func() { ask2(t, client, newRequest2(t, "GET", "http://"+sc.addr+"/slow", nil)) })
	}
	until(t, "the slow requests upstream", func() bool { return len(up.requests()) == 21 })
	ask2(t, client, newRequest2(t, "GET", "http://"+sc.addr+"/fast", nil))
	if n := sc.Clients(); n != 1 {
		t.Errorf("there are %d client connections, want one", n)
	}
	close(release)
	slow.Wait()
}

func TestInterimResponsesPassOverHTTP2(t *testing.T) {
	up := newUpstream(t, answers("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"+ok))
	sc := newSidecar(t, to(up))
	var hints []string
	request := newRequest2(t, "GET", "http://"+sc.addr+"/", nil)
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, " ", header.Get("Link")))
			return nil
		},
	}))
	response, body := ask2(t, newHTTP2Client(t), request)
	if len(hints) != 1 || hints[0] != "103 </a.css>" || body != "ok" || response.Header.Get("Link") != "" {
		t.Errorf("got %q, then %v %q", hints, response.Header, body)
	}
}

func TestACutAnswerIsAResetOfItsStreamAlone(t *testing.T) {
	for name, raw := range map[string]string{
		"with a length": cutShort,
		"chunked":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			up := newUpstream(t, func(c *far) {
				if r := c.request(); strings.HasPrefix(r.raw, "GET /cut") {
					c.write(raw)
					return
				}
				c.write(ok)
			})
			sc := newSidecar(t, to(up))
			client := newHTTP2Client(t)
			response, err := client.Do(newRequest2(t, "GET", "http://"+sc.addr+"/cut", nil))
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(response.Body); err == nil {
				t.Errorf("%q looks whole", body)
			}
			_ = response.Body.Close()
			if _, body := ask2(t, client, newRequest2(t, "GET", "http://"+sc.addr+"/", nil)); body != "ok" || sc.Clients() != 1 {
				t.Errorf("then %q, over %d connections", body, sc.Clients())
			}
		})
	}
}

func TestAStreamThatIsResetCancelsItsExchange(t *testing.T) {
	gone := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		c.request()
		_ = c.awaitClose()
		close(gone)
	})
	kept := new(book)
	sc := newSidecar(t, to(up), kept.option())
	ctx, cancel := context.WithCancel(t.Context())
	request := newRequest2(t, "GET", "http://"+sc.addr+"/", nil).WithContext(ctx)
	failed := make(chan error, 1)
	go func() {
		_, err := newHTTP2Client(t).Do(request) //nolint:bodyclose // there is none
		failed <- err
	}()
	until(t, "the request upstream", func() bool { return len(up.requests()) == 1 })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	<-gone
	if got := kept.await(t, 1)[0]; got.end != "client/wait" || got.status != 0 {
		t.Errorf("told %+v", got)
	}
}

func TestARequestBodyThatIsCutIsCutForTheBackend(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		c.readUntil("hello")
		if _, err := io.ReadAll(c.nc); err != nil {
			return
		}
	})
	sc := newSidecar(t, to(up))
	body, feed := io.Pipe()
	go func() {
		_, _ = io.WriteString(feed, "hello")
		until(t, "the beginning upstream", func() bool { return strings.Contains(up.got(), "hello") })
		_ = feed.CloseWithError(errors.New("cut"))
	}()
	response, err := newHTTP2Client(t).Do(newRequest2(t, "POST", "http://"+sc.addr+"/", body))
	if err == nil {
		_ = response.Body.Close()
		t.Errorf("the client got %d", response.StatusCode)
	}
	up.conn(0).expectGone()
	if strings.Contains(up.got(), "0\r\n\r\n") {
		t.Errorf("upstream got an end: %q", up.got())
	}
}

func TestWhatHTTP2ForbidsDoesNotGoUpstream(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up))
	for name, change := range map[string]func(*http.Request){
		"a loop":  func(r *http.Request) { r.Header.Set("Via", "2 sidecar-under-test") },
		"CONNECT": func(r *http.Request) { r.Method = "CONNECT" },
		"TRACE":   func(r *http.Request) { r.Method = "TRACE" },
		"too many fields": func(r *http.Request) {
			for i := range 200 {
				r.Header.Set(fmt.Sprint("X-", i), "x")
			}
		},
		"a head that is too large": func(r *http.Request) { r.Header.Set("X", strings.Repeat("x", 70_000)) },
	} {
		t.Run(name, func(t *testing.T) {
			request := newRequest2(t, "GET", "http://"+sc.addr+"/", nil)
			change(request)
			response, err := newHTTP2Client(t).Do(request)
			if err == nil {
				_ = response.Body.Close()
				if response.StatusCode < 400 {
					t.Errorf("got %d", response.StatusCode)
				}
			}
		})
	}
	if got := up.got(); got != "" {
		t.Errorf("upstream got %q", got)
	}
}

func TestAnswersOfOurOwnComeOverHTTP2(t *testing.T) {
	sc := newSidecar(t)
	response, body := ask2(t, newHTTP2Client(t), newRequest2(t, "GET", "http://"+sc.addr+"/", nil))
	if response.StatusCode != 503 || !strings.Contains(response.Header.Get("Proxy-Status"), "destination_unavailable") || !strings.Contains(body, "cluster app") {
		t.Errorf("got %d %v %q", response.StatusCode, response.Header, body)
	}
}

func TestALargeBodyPassesOverHTTP2BothWays(t *testing.T) {
	up := newUpstream(t, func(c *far) {
		r := c.request()
		c.write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.body), r.body))
		_ = c.awaitClose()
	})
	sc := newSidecar(t, to(up))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	_, got := ask2(t, newHTTP2Client(t), newRequest2(t, "POST", "http://"+sc.addr+"/", bytes.NewReader(sent)))
	if got != string(sent) {
		t.Errorf("%d of %d bytes came back", len(got), len(sent))
	}
}

func TestEventsPassAtOnceOverHTTP2(t *testing.T) {
	next := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		for range 3 {
			c.write("data: x\n\n")
			c.await(next)
		}
	})
	sc := newSidecar(t, to(up))
	response, err := newHTTP2Client(t).Do(newRequest2(t, "GET", "http://"+sc.addr+"/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for range 3 {
		event := make([]byte, len("data: x\n\n"))
		if _, err := io.ReadFull(response.Body, event); err != nil {
			t.Fatal(err)
		}
		next <- struct{}{}
	}
}

func TestShutdownFinishesTheStreamsOfHTTP2(t *testing.T) {
	answer := make(chan struct{})
	up := newWaiting(t, answer)
	sc := newSidecar(t, to(up), func(s *setup) { s.shutdown = patience })
	client := newHTTP2Client(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if response, body := ask2(t, client, newRequest2(t, "GET", "http://"+sc.addr+"/", nil)); response.StatusCode != 200 || body != "ok" {
			t.Errorf("got %d %q", response.StatusCode, body)
		}
	}()
	up.conn(0)
	over := make(chan struct{})
	go func() {
		defer close(over)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		sc.Shutdown(ctx)
	}()
	select {
	case <-over:
		t.Error("Shutdown did not wait for the stream")
	case <-time.After(100 * time.Millisecond):
	}
	close(answer)
	<-done
	<-over
}

func TestAListenerThatClosesLetsStreamsEnd(t *testing.T) {
	answer := make(chan struct{})
	up := newWaiting(t, answer)
	sc := newSidecar(t, to(up))
	ln := listen(t)
	other := sc.another(t, ln)
	served := make(chan error, 1)
	go func() { served <- sc.Serve(ln, other) }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if response, body := ask2(t, newHTTP2Client(t), newRequest2(t, "GET", "http://"+ln.Addr().String()+"/", nil)); response.StatusCode != 200 || body != "ok" {
			t.Errorf("got %d %q", response.StatusCode, body)
		}
	}()
	up.conn(0)
	sc.Close(other)
	if err := <-served; err != nil {
		t.Errorf("Serve ends with %v", err)
	}
	close(answer)
	<-done
	until(t, "the connection to close", func() bool { return sc.Clients() == 0 })
}
