package admin

import (
	"errors"
	"net/http"
	"testing"
)

func TestProbesLearnWhetherTheSidecarLivesAndIsReady(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "up 1") })
	ready := serve(t, StatusHandler(&far{}, metrics))
	unready := serve(t, StatusHandler(&far{ready: errors.New("first checks are still running")}, metrics))

	for _, row := range []struct {
		name    string
		address string
		ask     ask
		status  int
		body    string
	}{
		{"alive", ready, ask{path: "/livez"}, 200, "ok\n"},
		{"alive though not ready", unready, ask{path: "/livez"}, 200, "ok\n"},
		{"ready", ready, ask{path: "/readyz"}, 200, "ok\n"},
		{"ready by HEAD", ready, ask{path: "/readyz", method: http.MethodHead}, 200, ""},
		{"not ready", unready, ask{path: "/readyz"}, 503, "first checks are still running\n"},
		{"not ready by HEAD", unready, ask{path: "/readyz", method: http.MethodHead}, 503, ""},
		{"metrics", unready, ask{path: "/metrics"}, 200, "up 1\n"},
		{"a query changes nothing", ready, ask{path: "/readyz?verbose"}, 200, "ok\n"},
		{"under any name", ready, ask{path: "/readyz", host: "web-1.shop.svc"}, 200, "ok\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			response, body := row.ask.to(t, row.address)
			if response.StatusCode != row.status || body != row.body {
				t.Errorf("answer %d %q, want %d %q", response.StatusCode, body, row.status, row.body)
			}
			wantField(t, response, "Content-Type", "text/plain; charset=utf-8")
			wantField(t, response, "Cache-Control", "no-store")
			wantField(t, response, "X-Content-Type-Options", "nosniff")
		})
	}
}

func TestProbesLearnNothingElse(t *testing.T) {
	sidecar := &far{}
	address := serve(t, StatusHandler(sidecar, http.NotFoundHandler()))

	for _, row := range []struct {
		ask    ask
		status int
		words  string
	}{
		{ask{path: "/"}, 404, `no "/" here`},
		{ask{path: "/status"}, 404, `no "/status" here`},
		{ask{path: "/metrics/"}, 404, `no "/metrics/" here`},
		{ask{path: "/livez/"}, 404, `no "/livez/" here`},
		{ask{path: "//livez"}, 404, `no "//livez" here`},
		{ask{path: "/reload", method: http.MethodPost, header: [][2]string{bearerOf(token)}}, 404, `no "/reload" here`},
		{ask{path: "/readyz", method: http.MethodPost}, 405, "takes GET, HEAD"},
	} {
		t.Run(row.ask.method+row.ask.path, func(t *testing.T) {
			response, body := row.ask.to(t, address)
			wantRefusal(t, response, body, row.status, row.words)
		})
	}
	if n := sidecar.reloads.Load(); n != 0 {
		t.Errorf("%d reloads by the status listener", n)
	}
}
