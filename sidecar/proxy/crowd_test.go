package proxy_test

import (
	"net/http"
	"testing"

	"outrider/sidecar/proxy"
)

// Each idle one holds memory: of the 1 MiB that they may hold together there is room
// for some 40, and the others take the places of those that have been idle for longest.
func TestACrowdOfIdleTLSClientsHoldsBoundedMemoryAndLetsOthersIn(t *testing.T) {
	if *transport != "tls" {
		return
	}
	sc := newSidecar(t, to(newUpstream(t, answers(ok))), limited(func(l *proxy.Limits) { l.Memory = 2 << 20 }))
	for range 100 {
		until(t, "one of them to have waited for long enough", func() bool {
			c := dialRaw(t, sc.addr) // and it stays
			return !c.refusesHandshake() && c.send(getRoot).response().StatusCode == http.StatusOK
		})
	}
	if n := sc.Clients(); n > 45 {
		t.Errorf("there are %d clients", n)
	}
	if sc.Counts().Evicted == 0 {
		t.Error("none was closed for the others")
	}
}
