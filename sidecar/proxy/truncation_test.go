package proxy_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"outrider/sidecar/cluster"
)

// How a message is cut in its middle.
var cuts = map[string]func(*raw){"FIN": (*raw).fin, "RST": (*raw).reset}

func TestACutResponseIsCutForTheClient(t *testing.T) {
	const (
		length  = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
		chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
		toEnd   = "HTTP/1.1 200 OK\r\n\r\nhello"
		v11     = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		v10     = "GET / HTTP/1.0\r\n\r\n"
	)
	for name, row := range map[string]struct {
		request, response string
		ends              []string
		reset             bool // the client's connection is reset: its framing does not tell
	}{
		"a length":               {v11, length, []string{"FIN", "RST"}, false},
		"a length to 1.0":        {v10, length, []string{"FIN", "RST"}, false},
		"between chunks":         {v11, chunked, []string{"FIN", "RST"}, false},
		"inside a chunk":         {v11, chunked + "5\r\nwo", []string{"FIN", "RST"}, false},
		"inside a chunk's size":  {v11, chunked + "5", []string{"FIN", "RST"}, false},
		"before the last CRLF":   {v11, chunked + "0\r\n", []string{"FIN", "RST"}, false},
		"inside the trailers":    {v11, chunked + "0\r\nA: b\r\n", []string{"FIN", "RST"}, false},
		"chunks to 1.0":          {v10, chunked, []string{"FIN", "RST"}, true},
		"to the end":             {v11, toEnd, []string{"RST"}, false},
		"to the end, to 1.0":     {v10, toEnd, []string{"RST"}, true},
		"before any of a length": {v11, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", []string{"FIN", "RST"}, false},
	} {
		for _, end := range row.ends {
			t.Run(name+" "+end, func(t *testing.T) {
				arrived := make(chan struct{})
				app := newUpstream(t, func(c *far) {
					c.request()
					c.write(row.response)
					<-arrived // a RST would destroy what was not read
					cuts[end](&c.raw)
				})
				s := newSidecar(t, to(app))
				c := dialRaw(t, s.addr).send(row.request)
				head := c.head()
				if !strings.Contains(head, " 200 OK\r\n") {
					t.Fatalf("client got %q", head)
				}
				if strings.Contains(row.response, "hello") {
					if strings.Contains(head, "chunked") {
						c.expect("5\r\n")
					}
					c.expect("hello")
				}
				close(arrived)
				rest, err := c.rest()
				if row.reset != (err != nil) || strings.Contains(rest, "0\r\n") {
					t.Errorf("behind the cut the client got %q and %v", rest, err)
				}
			})
			t.Run(name+" "+end+" over HTTP/2", func(t *testing.T) {
				arrived := make(chan struct{})
				app := newUpstream(t, func(c *far) {
					c.request()
					c.write(row.response)
					<-arrived
					cuts[end](&c.raw)
				})
				response, err := newHTTP2Client(t).Do(newRequest2(t, "GET", "http://"+newSidecar(t, to(app)).addr+"/", nil))
				close(arrived)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if rest, err := io.ReadAll(response.Body); err == nil {
					t.Errorf("%s %q looks whole", response.Status, rest)
				}
			})
		}
	}
}

// A head that is cut brought no response, but the backend did answer: nobody is
// asked again.
func TestACutResponseHeadIsA502(t *testing.T) {
	for _, part := range []string{
		"H", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "HTTP/1.1 200 OK\r\n\r",
		"HTTP/1.1 103 Early Hints\r\n\r\n",
	} {
		t.Run(part, func(t *testing.T) {
			app := newUpstream(t, func(c *far) { c.request(); c.write(part) })
			s := newSidecar(t, to(app))
			c := dialRaw(t, s.addr).send(get(""))
			got := c.response()
			if got.StatusCode == 103 {
				got = c.response()
			}
			if got.StatusCode != 502 || got.Close || !strings.Contains(got.Header.Get("Proxy-Status"), "http_response_incomplete") {
				t.Errorf("got %s %v", got.Status, got.Header)
			}
			if app.accepted() != 1 {
				t.Errorf("the backend was asked %d times", app.accepted())
			}
			if got, _ := ask2(t, newHTTP2Client(t), newRequest2(t, "GET", "http://"+s.addr+"/", nil)); got.StatusCode != 502 {
				t.Errorf("over HTTP/2 got %s", got.Status)
			}
		})
	}
}

func TestABrokenResponseBodyIsCutForTheClient(t *testing.T) {
	for name, broken := range map[string]string{
		"no size":          "zz\r\nhello\r\n0\r\n\r\n",
		"a signed size":    "+5\r\nworld\r\n0\r\n\r\n",
		"a long size":      "fffffffffffffffff\r\nworld\r\n0\r\n\r\n",
		"a bare LF":        "5\nworld\r\n0\r\n\r\n",
		"data too long":    "5\r\nworld!\r\n0\r\n\r\n",
		"a folded trailer": "0\r\nA: b\r\n c\r\n\r\n",
		"a trailer's NUL":  "0\r\nA: \x00\r\n\r\n",
	} {
		for client, request := range map[string]string{"1.1": get(""), "1.0": "GET / HTTP/1.0\r\n\r\n"} {
			t.Run(name+" to "+client, func(t *testing.T) {
				begun := make(chan struct{})
				app := newUpstream(t, func(c *far) {
					c.request()
					c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
					c.await(begun)
					c.write(broken)
					c.awaitClose()
				})
				s := newSidecar(t, to(app))
				c := dialRaw(t, s.addr).send(request)
				if head := c.head(); !strings.Contains(head, " 200 OK\r\n") {
					t.Fatalf("client got %q", head)
				}
				close(begun)
				rest, err := c.rest()
				if strings.HasSuffix(rest, "0\r\n\r\n") || strings.Contains(rest, "!") || client == "1.0" && err == nil {
					t.Errorf("client got %q and then %v", rest, err)
				}
				if again := s.exchangeAnew(t, app); again != 2 {
					t.Errorf("%d connections upstream for 2 requests", again)
				}
			})
		}
	}
}

// As long as nothing was sent, the client can be told.
func TestABodyThatIsBrokenTogetherWithItsHeadIsA502(t *testing.T) {
	for name, broken := range map[string]string{
		"no size":             "zz\r\nhello\r\n0\r\n\r\n",
		"behind a good chunk": "5\r\nhello\r\n+5\r\nworld\r\n0\r\n\r\n",
		"data too long":       "5\r\nhello!\r\n0\r\n\r\n",
		"a trailer's NUL":     "5\r\nhello\r\n0\r\nA: \x00\r\n\r\n",
	} {
		for client, request := range map[string]string{"1.1": get(""), "1.0": "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"} {
			t.Run(name+" to "+client, func(t *testing.T) {
				hook, log := logged()
				app := newUpstream(t, func(c *far) {
					c.request()
					c.write("HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n" + broken)
					c.awaitClose()
				})
				s := newSidecar(t, to(app), log)
				c := dialRaw(t, s.addr).send(request)
				got := c.response()
				if got.StatusCode != 502 || got.Close || got.Header.Get("X-A") != "" || !strings.Contains(got.body, "(RFC 9112, 7.1") && !strings.Contains(got.body, "control character") {
					t.Errorf("got %s %v %q", got.Status, got.Header, got.body)
				}
				if last := hook.LastEntry(); last == nil || last.Message != "a backend broke the rules of HTTP" {
					t.Errorf("the log says %v", last)
				}
				if got := c.send(get("Via: 1.1 sidecar-under-test\r\n")).response(); got.StatusCode != 508 {
					t.Errorf("then got %s", got.Status)
				}
			})
		}
	}
}

// exchangeAnew sends one more request, whatever comes of it, and tells how many
// connections upstream there were in all.
func (s *sidecar) exchangeAnew(t *testing.T, app *upstream) int {
	t.Helper()
	c := dialRaw(t, s.addr).send(get(""))
	c.head()
	c.close()
	return app.accepted()
}

// A cut upload is neither completed upstream nor is its connection used again.
func TestACutRequestIsCutForTheUpstream(t *testing.T) {
	for name, row := range map[string]struct{ fields, body, upstream string }{
		"a length":              {"Content-Length: 10\r\n", "hello", "hello"},
		"between chunks":        {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", "5\r\nhello\r\n"},
		"inside a chunk":        {"Transfer-Encoding: chunked\r\n", "a\r\nhello", "5\r\nhello\r\n"},
		"inside a chunk's size": {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n5", "5\r\nhello\r\n"},
		"before the last CRLF":  {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n"},
		"inside the trailers":   {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nA: b\r\n", "5\r\nhello\r\n"},
	} {
		for end, cut := range cuts {
			t.Run(name+" "+end, func(t *testing.T) {
				ended := make(chan error, 1)
				app := newUpstream(t, func(c *far) {
					c.readUntil("\r\n\r\n" + row.upstream)
					ended <- c.awaitClose()
				})
				s := newSidecar(t, to(app), func(s *setup) { // no limit ends it instead
					s.settings.Limits.HalfClose, s.policy.Response, s.policy.StreamIdle = time.Hour, time.Hour, time.Hour
				})
				c := dialRaw(t, s.addr).send(post(row.fields, row.body))
				until(t, "the body upstream", func() bool { return strings.HasSuffix(app.got(), row.upstream) })
				cut(&c.raw)
				select {
				case <-ended:
				case <-time.After(patience):
					t.Fatal("the upstream waits for a body that will not come")
				}
				if got := app.got(); !strings.HasSuffix(got, "\r\n\r\n"+row.upstream) {
					t.Errorf("the upstream got %q", got)
				}
				if end == "FIN" {
					c.expectEnd()
				}
				if app.accepted() != 1 {
					t.Errorf("a cut request was sent %d times", app.accepted())
				}
			})
		}
	}
}

// How a message is cut in a stream of HTTP/2, of which no frame was the last.
var cutsOfStreams = map[string]func(*framer){
	"CANCEL":   func(f *framer) { f.reset(1, http2.ErrCodeCancel) },
	"NO_ERROR": func(f *framer) { f.reset(1, http2.ErrCodeNo) },
	"FIN":      func(f *framer) { _ = f.nc.Close() },
}

func TestACutRequestInHTTP2IsCutForTheUpstream(t *testing.T) {
	for name, row := range map[string]struct{ fields, upstream string }{
		"a length":  {"Content-Length: 10\r\n", "hello"},
		"no length": {"", "5\r\nhello\r\n"},
	} {
		for end, cut := range cutsOfStreams {
			t.Run(name+" "+end, func(t *testing.T) {
				app := newUpstream(t, func(c *far) {
					c.readUntil("\r\n\r\n" + row.upstream)
					_ = c.awaitClose()
				})
				s := newSidecar(t, to(app), func(s *setup) { // no limit ends it instead
					s.settings.Limits.HalfClose, s.policy.Response, s.policy.StreamIdle = time.Hour, time.Hour, time.Hour
				})
				m, _ := requestInHTTP2(post(row.fields, "hello"))
				f := dialFrames(t, s.addr)
				_ = f.head(1, false, m.fields...)
				_ = f.WriteData(1, false, []byte(m.data))
				until(t, "the body upstream", func() bool { return strings.HasSuffix(app.got(), row.upstream) })
				cut(f)
				app.conn(0).expectGone()
				if got := app.got(); !strings.HasSuffix(got, "\r\n\r\n"+row.upstream) || app.accepted() != 1 {
					t.Errorf("the upstream got %q, in %d connections", got, app.accepted())
				}
			})
		}
	}
}

func TestACutRequestIsCutForABackendOfHTTP2(t *testing.T) {
	for name, row := range map[string]struct{ fields, body string }{
		"a length": {"Content-Length: 10\r\n", "hello"},
		"chunks":   {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"},
	} {
		for end, cut := range cuts {
			t.Run(name+" "+end, func(t *testing.T) {
				said := make(chan string, 10)
				addr := frames(t, func(f *framer) { f.tell(1, said) })
				s := newSidecar(t, at(addr), speaking(cluster.HTTP2), func(s *setup) {
					s.settings.Limits.HalfClose, s.policy.Response, s.policy.StreamIdle = time.Hour, time.Hour, time.Hour
				})
				c := dialRaw(t, s.addr).send(post(row.fields, row.body))
				for _, want := range []string{"HEADERS", "hello", "RST_STREAM"} {
					if got := heard(t, said); got != want {
						t.Fatalf("the backend got %s, want %s", got, want)
					}
					if want == "hello" {
						cut(&c.raw)
					}
				}
			})
		}
	}
}

func TestACutResponseOfABackendOfHTTP2IsCutForTheClient(t *testing.T) {
	for _, length := range []string{"10", ""} {
		for end, cut := range cutsOfStreams {
			t.Run("length "+length+" "+end, func(t *testing.T) {
				arrived := make(chan struct{})
				addr := frames(t, func(f *framer) {
					if h := f.hear(1); h.cut != nil {
						return
					}
					fields := []string{":status", "200"}
					if length != "" {
						fields = append(fields, "content-length", length)
					}
					_ = f.head(1, false, fields...)
					_ = f.WriteData(1, false, []byte("hello"))
					select {
					case <-arrived:
						cut(f)
					case <-t.Context().Done():
					}
					_, _ = io.Copy(io.Discard, f.nc)
				})
				s := newSidecar(t, at(addr), speaking(cluster.HTTP2))
				c := dialRaw(t, s.addr).send(get(""))
				if strings.Contains(c.head(), "chunked") {
					c.expect("5\r\n")
				}
				c.expect("hello")
				close(arrived)
				if rest, _ := c.rest(); strings.Contains(rest, "0\r\n") {
					t.Errorf("behind the cut the client got %q", rest)
				}
			})
		}
	}
}

// A head that is cut is no request at all.
func TestACutHeadGoesNowhere(t *testing.T) {
	app := newUpstream(t, answers(ok))
	s := newSidecar(t, to(app))
	for _, part := range []string{"G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"} {
		c := dialRaw(t, s.addr).send(part)
		c.fin()
		c.expectEnd()
	}
	if app.accepted() > 0 {
		t.Errorf("the upstream got %q", app.got())
	}
}

// No bytes are kept for ever, whoever sends them.
func TestATrailerSectionWithoutAnEndEndsBothSides(t *testing.T) {
	t.Run("of a request", func(t *testing.T) {
		begun, ended := make(chan struct{}), make(chan error, 1)
		app := newUpstream(t, func(c *far) {
			c.readUntil("hello\r\n")
			close(begun)
			ended <- c.awaitClose()
		})
		s := newSidecar(t, to(app))
		c := dialRaw(t, s.addr).send(post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"))
		<-begun
		c.send("0\r\nA: " + strings.Repeat("a", 40_000))
		if got := c.response(); got.StatusCode != 400 || !got.Close {
			t.Errorf("got %s", got.Status)
		}
		<-ended
		if got := app.got(); !strings.HasSuffix(got, "hello\r\n") {
			t.Errorf("the upstream got %q", got)
		}
	})
	t.Run("of a response", func(t *testing.T) {
		app := newUpstream(t, func(c *far) {
			c.request()
			c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: " + strings.Repeat("a", 40_000))
			c.awaitClose()
		})
		s := newSidecar(t, to(app))
		if got := s.exchange(t, get("")); got.body != "hello" || !errors.Is(got.err, io.ErrUnexpectedEOF) {
			t.Errorf("got %q and %v", got.body, got.err)
		}
	})
}
