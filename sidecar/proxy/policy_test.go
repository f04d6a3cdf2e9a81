package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

func TestARequestsOwnTimeoutBoundsTheWaitForItsAnswer(t *testing.T) {
	told := new(failures)
	up := newUpstream(t, func(c *far) {
		c.request()
		<-c.gone
	})
	c := newCluster("app", cluster.Policy{
		Connect: patience, Response: patience, StreamIdle: patience, UpstreamIdle: patience,
	}, up.addr)
	sc := newSidecar(t, told.option(), routed(asked{route: func(*proxy.Request) proxy.Decision {
		return proxy.Decision{Cluster: c, Timeout: 50 * time.Millisecond}
	}}))
	a := sc.ask(t, getRoot)
	expectFault(t, a, http.StatusGatewayTimeout, "http_response_timeout")
	if !strings.Contains(a.body, "within 50ms") {
		t.Errorf("the answer is %q", a.body)
	}
	if errs := told.all(); len(errs) != 0 {
		t.Errorf("OnFailure got %v: the backend had no chance", errs)
	}
}

func TestARouteThatAnswersSaysSoInProxyStatus(t *testing.T) {
	sc := newSidecar(t, routed(asked{route: func(*proxy.Request) proxy.Decision { return says("here") }}))
	status := sc.ask(t, getRoot).Header.Get("Proxy-Status")
	if !strings.Contains(status, `details="answered here, without a backend"`) || strings.Contains(status, "error=") {
		t.Errorf("Proxy-Status: %q", status)
	}
}

func TestWhenTheRetryBudgetIsUsedUpTheFailureGoesToTheClient(t *testing.T) {
	sc := newSidecar(t, at(refusing(t), refusing(t)), retries(1))
	for range 100 {
		if a := sc.ask(t, getRoot); strings.Contains(a.Header.Get("Proxy-Status"), "retry budget of cluster") {
			expectFault(t, a, http.StatusBadGateway, "connection_refused")
			return
		}
	}
	t.Error("100 requests were all tried twice")
}
