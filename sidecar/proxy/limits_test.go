package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"outrider/sidecar/proxy"
)

func limited(change func(*proxy.Limits)) option {
	return func(s *setup) { change(&s.settings.Limits) }
}

func TestATurnedAwayConnectionLeavesTheOthersAlone(t *testing.T) {
	letGo := make(chan struct{})
	up := newUpstream(t, func(c *far) {
		for c.request() != nil {
			c.await(letGo)
			c.write(ok)
		}
	})
	sc := newSidecar(t, to(up), limited(func(l *proxy.Limits) { l.Connections = 2 }))
	first, second := dialRaw(t, sc.addr).send(getRoot), dialRaw(t, sc.addr).send(getRoot)
	until(t, "two requests", func() bool { return len(up.requests()) == 2 })
	third := dialRaw(t, sc.addr)
	third.expectTurnedAway()
	third.close()
	close(letGo)
	expectOK(t, first.response())
	expectOK(t, second.response())
	first.close()
	until(t, "a free place", func() bool { return sc.Clients() == 1 })
	expectOK(t, sc.exchange(t, getRoot))
}

func TestClientsThatSendNoRequestMakeRoomForThoseThatDo(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, addr string){
		"never sent anything":  func(t *testing.T, addr string) { dialRaw(t, addr) },
		"sent half a head":     func(t *testing.T, addr string) { dialRaw(t, addr).send("GET / HTTP/1.1\r\nHost: a\r\nX") },
		"had a request before": func(t *testing.T, addr string) { expectOK(t, dialRaw(t, addr).send(getRoot).response()) },
		"speaks HTTP/2": func(t *testing.T, addr string) {
			ask2(t, newHTTP2Client(t), newRequest2(t, "GET", "http://"+addr+"/", nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			const limit = 40
			sc := newSidecar(t, to(newUpstream(t, answers(ok))), limited(func(l *proxy.Limits) { l.Connections = limit }))
			for range limit {
				begin(t, sc.addr)
			}
			until(t, "all of them", func() bool { return sc.Clients() == limit })
			for range limit / 2 {
				until(t, "one of them to have waited for long enough", func() bool {
					c := dialRaw(t, sc.addr) // and it stays
					return !c.refusesHandshake() && c.send(getRoot).response().StatusCode == http.StatusOK
				})
			}
			if n := sc.Counts().Evicted; n != limit/2 {
				t.Errorf("%d were closed to make room for %d", n, limit/2)
			}
			until(t, "no more than are allowed", func() bool { return sc.Clients() == limit })
		})
	}
}

func TestAnIdleClientIsClosed(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up), limited(func(l *proxy.Limits) { l.ClientIdle = 100 * time.Millisecond }))
	fresh, used := dialRaw(t, sc.addr), dialRaw(t, sc.addr)
	expectOK(t, used.send(getRoot).response())
	fresh.expectEnd()
	used.expectEnd()
	until(t, "no clients", func() bool { return sc.Clients() == 0 })
}

func TestAClientThatNeverReadsIsCut(t *testing.T) {
	for _, version := range []string{"1.0", "1.1"} {
		t.Run(version, func(t *testing.T) {
			up := newUpstream(t, func(c *far) {
				c.request()
				c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				chunk := "4000\r\n" + strings.Repeat("x", 0x4000) + "\r\n"
				for {
					if _, err := io.WriteString(c.nc, chunk); err != nil {
						return
					}
				}
			})
			sc := newSidecar(t, to(up), idle(100*time.Millisecond))
			c := dialRaw(t, sc.addr).send("GET / HTTP/" + version + "\r\nHost: a\r\n\r\n")
			up.conn(0).expectGone()
			sc.rest(t)
			c.patient()
			resp, err := http.ReadResponse(c.in, nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if err == nil {
				t.Error("what the client can still read looks complete")
			}
		})
	}
}

func TestManySlowHeadsDoNotKeepOthersWaiting(t *testing.T) {
	up := newUpstream(t, answers(ok))
	sc := newSidecar(t, to(up), limited(func(l *proxy.Limits) { l.HeadTimeout = 2 * time.Second }))
	slow := make([]*client, 300)
	grown := growth(func(look func()) {
		for i := range slow {
			slow[i] = dialRaw(t, sc.addr).send("GET / HTTP/1.1\r\nHost: a\r\nX")
		}
		until(t, "all of them", func() bool { return sc.Clients() == len(slow) })
		look()
	})
	if per := grown / int64(len(slow)); per > 64<<10 {
		t.Errorf("a slow head takes %d KiB", per>>10)
	}
	quick := dialRaw(t, sc.addr)
	expectOK(t, quick.send(getRoot).response())
	quick.close()
	for _, c := range slow {
		if a := c.response(); a.StatusCode != http.StatusRequestTimeout {
			t.Fatalf("got %s", a.Status)
		}
		c.close()
	}
	until(t, "no clients", func() bool { return sc.Clients() == 0 })
}

func TestAFloodOfFieldsIsRefusedInLittleMemory(t *testing.T) {
	sc := newSidecar(t)
	grown := growth(func(look func()) {
		c := dialRaw(t, sc.addr).send("GET / HTTP/1.1\r\nHost: a\r\n")
		line := strings.NewReader(strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1<<10))
		for range 64 {
			line.Seek(0, io.SeekStart)
			if _, err := io.Copy(c.nc, line); err != nil {
				break
			}
			look()
		}
		if a := c.response(); a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %s", a.Status)
		}
	})
	if grown > bounded {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	sc.rest(t)
}

func TestManyTinyPipelinedRequestsAreAnsweredInLittleMemory(t *testing.T) {
	const n = 20_000
	sc := newSidecar(t, routed(asked{route: func(*proxy.Request) proxy.Decision { return says("tiny") }}))
	grown := growth(func(look func()) {
		c := dialRaw(t, sc.addr)
		go func() {
			for range n / 1000 {
				c.send(strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1000))
			}
		}()
		for i := range n {
			if a := c.response(); a.body != "tiny" {
				t.Fatalf("answer %d is %q", i, a.body)
			}
			if i%1000 == 0 {
				look()
			}
		}
	})
	if grown > bounded {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}
