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
