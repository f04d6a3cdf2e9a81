package proxy_test

import (
	"testing"

	"outrider/sidecar/proxy"
)

// Each of them was answered and goes on sending: only so many are listened to.
func TestACrowdThatIsTurnedAwayLeavesFewTasksBehind(t *testing.T) {
	const crowd, mayLoiter, onTheirWay = 400, 256, 50
	sc := newSidecar(t, routed(asked{route: func(*proxy.Request) proxy.Decision { return says("here") }}))
	for range crowd {
		c := dialRaw(t, sc.addr).send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
		if a := c.response(); a.body != "here" {
			t.Fatalf("got %q", a.body)
		}
	}
	if n := sc.Clients(); n > mayLoiter+onTheirWay {
		t.Errorf("%d clients are still listened to", n)
	}
}

// Some clients send an empty line behind a body. A close over unread bytes is a
// reset, which can destroy the answer on its way.
func TestBytesBehindALastRequestDoNotDestroyTheAnswer(t *testing.T) {
	for range 20 {
		goOn := make(chan struct{})
		app := newUpstream(t, func(c *far) {
			c.request()
			<-goOn
			c.write(ok)
		})
		s := newSidecar(t, to(app))
		c := dialRaw(t, s.addr).send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
		until(t, "the request is upstream", func() bool { return app.accepted() == 1 })
		c.send("\r\nand more")
		close(goOn)
		if got := c.response(); got.StatusCode != 200 {
			t.Fatalf("got %s", got.Status)
		}
		c.expectEnd()
	}
}
