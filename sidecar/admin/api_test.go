package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
)

const post = http.MethodPost

func TestTheAPILetsInWhoMayAsk(t *testing.T) {
	right := [][2]string{bearerOf(token)}
	origin := func(value string) [][2]string { return [][2]string{{"Origin", value}} }
	withBody := func(kind string) [][2]string { return [][2]string{bearerOf(token), {"Content-Type", kind}} }

	for _, row := range []struct {
		name   string
		remote bool // the listener is not on loopback
		ask    ask
		status int
		words  string // of the refusal
	}{
		{"reading on loopback", false, ask{}, 200, ""},
		{"reading by HEAD", false, ask{method: http.MethodHead}, 200, ""},
		{"reading off loopback", true, ask{}, 401, "GET /status needs the admin token"},
		{"reading off loopback by HEAD", true, ask{method: http.MethodHead, header: right}, 200, ""},
		{"reading off loopback with the token", true, ask{header: right}, 200, ""},
		{"reading off loopback with another token", true, ask{header: [][2]string{bearerOf("x")}}, 401, "not the admin token"},

		{"writing without a token", false, ask{method: post, path: "/reload"}, 401, "POST /reload needs the admin token"},
		{"writing with the token", false, ask{method: post, path: "/reload", header: right}, 200, ""},
		{"writing off loopback with the token", true, ask{method: post, path: "/reload", header: right}, 200, ""},
		{"the scheme in any case", false, ask{method: post, path: "/reload", header: [][2]string{{"Authorization", "bearer " + token}}}, 200, ""},
		{"another token", false, ask{method: post, path: "/reload", header: [][2]string{bearerOf("wrong")}}, 401, "not the admin token"},
		{"the beginning of the token", false, ask{method: post, path: "/reload", header: [][2]string{bearerOf(token[:5])}}, 401, "not the admin token"},
		{"the token and more", false, ask{method: post, path: "/reload", header: [][2]string{bearerOf(token + "x")}}, 401, "not the admin token"},
		{"an empty token", false, ask{method: post, path: "/reload", header: [][2]string{bearerOf("")}}, 401, "needs the admin token"},
		{"another scheme", false, ask{method: post, path: "/reload", header: [][2]string{{"Authorization", "Basic " + token}}}, 401, "needs the admin token"},
		{"two tokens", false, ask{method: post, path: "/reload", header: [][2]string{bearerOf(token), bearerOf("x")}}, 401, "needs the admin token"},
		{"the token in the query", false, ask{method: post, path: "/reload?token=" + token}, 401, "needs the admin token"},

		{"by localhost", false, ask{host: "localhost:6189"}, 200, ""},
		{"by localhost without a port", false, ask{host: "LocalHost."}, 200, ""},
		{"by IPv6 address", false, ask{host: "[::1]:6189"}, 200, ""},
		{"by IPv6 address without a port", false, ask{host: "[fd00::7]"}, 200, ""},
		{"by another IPv4 address", false, ask{host: "10.0.0.7"}, 200, ""},
		{"by a name in hosts", false, ask{host: "Admin.Example:6189"}, 200, ""},
		{"by a name and port in hosts", false, ask{host: "tunnel.example:8443"}, 200, ""},
		{"by that name on another port", false, ask{host: "tunnel.example:80"}, 421, "add it to admin.hosts"},
		{"by a name that was rebound", false, ask{host: "evil.example:6189"}, 421, `"evil.example:6189" is not a name of this listener: add it to admin.hosts`},
		{"by a name that looks like an address", false, ask{host: "127.0.0.1.evil.example"}, 421, "add it to admin.hosts"},
		{"by a name below localhost", false, ask{host: "evil.localhost"}, 421, "add it to admin.hosts"},
		{"a rebound write with the token", false, ask{method: post, path: "/reload", host: "evil.example", header: right}, 421, "add it to admin.hosts"},

		{"from our own page", false, ask{host: "localhost:6189", header: origin("http://localhost:6189")}, 200, ""},
		{"from our own page behind TLS", false, ask{host: "admin.example", header: origin("https://admin.example")}, 200, ""},
		{"from another port", false, ask{host: "localhost:6189", header: origin("http://localhost:3000")}, 403, "not the origin of"},
		{"from another host", false, ask{host: "localhost:6189", header: origin("https://evil.example")}, 403, "not the origin of"},
		{"from a sandboxed page", false, ask{header: origin("null")}, 403, "not the origin of"},
		{"from an extension", false, ask{host: "localhost", header: origin("moz-extension://localhost")}, 403, "not the origin of"},
		{"a cross-origin write with the token", false, ask{method: post, path: "/reload", header: append(origin("http://evil.example"), right...)}, 403, "not the origin of"},

		{"a body of no type", false, ask{method: post, path: "/reload", header: right, body: strings.NewReader("{}")}, 415, "Content-Type: application/json"},
		{"a form", false, ask{method: post, path: "/reload", header: withBody("application/x-www-form-urlencoded"), body: strings.NewReader("a=b")}, 415, "Content-Type: application/json"},
		{"plain text", false, ask{method: post, path: "/reload", header: withBody("text/plain"), body: strings.NewReader("{}")}, 415, "Content-Type: application/json"},
		{"an empty object", false, ask{method: post, path: "/reload", header: withBody("application/json; charset=utf-8"), body: strings.NewReader(" {} \n")}, 200, ""},
		{"an empty chunked body", false, ask{method: post, path: "/reload", header: withBody("application/json"), body: strings.NewReader(""), length: -1}, 200, ""},
		{"broken JSON", false, ask{method: post, path: "/reload", header: withBody("application/json"), body: strings.NewReader(`{"a":`)}, 400, "not what /reload takes"},
		{"a list", false, ask{method: post, path: "/reload", header: withBody("application/json"), body: strings.NewReader(`[]`)}, 400, "not what /reload takes"},
		{"an unknown parameter", false, ask{method: post, path: "/reload", header: withBody("application/json"), body: strings.NewReader(`{"force":true}`)}, 400, `unknown field "force"`},
		{"two values", false, ask{method: post, path: "/reload", header: withBody("application/json"), body: strings.NewReader(`{}{}`)}, 400, "something follows"},
		{"a body that says it is large", false, ask{method: post, path: "/reload", header: withBody("application/json"), body: &spaces{left: 1 << 30}, length: 1 << 30}, 413, "larger than 1 MiB"},
		{"a body that is large", false, ask{method: post, path: "/reload", header: withBody("application/json"), body: &spaces{left: 1 << 30}, length: -1}, 413, "larger than 1 MiB"},
		{"a large body without a token", false, ask{method: post, path: "/reload", body: &spaces{left: 1 << 30}, length: -1}, 401, "needs the admin token"},
		{"a large body that nobody asked for", false, ask{body: &spaces{left: 1 << 30}, length: 1 << 30}, 413, "larger than 1 MiB"},

		{"an unknown path", false, ask{path: "/nothing"}, 404, `no "/nothing" here`},
		{"an unknown path by POST", false, ask{path: "/nothing", method: post}, 404, `no "/nothing" here`},
		{"a path that only looks known", false, ask{path: "/status/"}, 404, `no "/status/" here`},
		{"a path with dots", false, ask{path: "/x/../status"}, 404, `no "/x/../status" here`},
		{"reading what is written", false, ask{path: "/reload"}, 405, `/reload takes POST, not "GET"`},
		{"writing what is read", false, ask{method: http.MethodDelete}, 405, `/status takes GET, HEAD, not "DELETE"`},
		{"a browser's question", false, ask{method: http.MethodOptions, path: "/reload"}, 405, "takes POST"},
	} {
		t.Run(row.name, func(t *testing.T) {
			sidecar := &far{}
			address := serve(t, Handler(Options{
				Sidecar: sidecar, Token: token, Loopback: !row.remote, Log: silent(),
				Hosts: []string{"admin.example", "Tunnel.Example:8443"},
			}))
			response, body := row.ask.to(t, address)

			if row.status != 200 {
				wantRefusal(t, response, body, row.status, row.words)
			} else if response.StatusCode != 200 {
				t.Errorf("answer %d %s, want 200", response.StatusCode, body)
			}
			wantField(t, response, "Cache-Control", "no-store")
			wantField(t, response, "X-Content-Type-Options", "nosniff")
			if reloaded := sidecar.reloads.Load() > 0; reloaded != (row.status == 200 && row.ask.method == post) {
				t.Errorf("reloaded: %t, after %d", reloaded, response.StatusCode)
			}
		})
	}
}

// spaces is a body of white space, which JSON may begin with.
type spaces struct{ left int }

func (s *spaces) Read(p []byte) (int, error) {
	n := min(len(p), s.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	s.left -= n
	return n, nil
}

// counted is a body that tells how much of it was read.
type counted struct {
	spaces

	read int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.spaces.Read(p)
	c.read += n
	return n, err
}

func TestNoMoreOfABodyIsReadThanIsTaken(t *testing.T) {
	handler := Handler(Options{Sidecar: &far{}, Token: token, Loopback: true, Edit: true, Log: silent()})
	for _, route := range handler.(*api).routes {
		if !isWrite(route) {
			continue
		}
		for who, most := range map[string]int{"nobody": 0, token: maxBody + 1} { // the byte that is one too many
			if route.anyone {
				most = maxBody + 1
			}
			body := &counted{spaces: spaces{left: 1 << 30}}
			r := httptest.NewRequest(route.method, "http://localhost"+route.path, body)
			r.ContentLength = -1
			r.Header.Set("Content-Type", "application/json")
			if who == token {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, r)
			if body.read > most || answer.Code < 400 {
				t.Errorf("%s by %s: %d bytes of a gigabyte are read, want %d at most; answer %d", route.path, who, body.read, most, answer.Code)
			}
		}
	}
}

func TestARequestWithoutAHostIsRefused(t *testing.T) {
	address := serveAPI(t, &far{})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /status HTTP/1.0\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("answer %s, want 421", response.Status)
	}
}

func TestARefusalHelpsTheClient(t *testing.T) {
	address := serveAPI(t, &far{})

	response, body := ask{path: "/nothing"}.to(t, address)
	var lost struct{ Paths []string }
	if err := json.Unmarshal([]byte(body), &lost); err != nil || response.StatusCode != 404 {
		t.Fatalf("answer %s %s", response.Status, body)
	}
	if want := []string{"GET /status", "GET /clusters", "GET /health", "GET /peers", "GET /config", "GET /script", "GET /decisions", "GET /explain",
		"GET /traffic", "GET /events", "GET /tap", "POST /session", "POST /invite", "POST /reload", "POST /rollback", "POST /drain", "POST /undrain", "POST /explain", "POST /script/validate", "POST /script", "GET /"}; !slices.Equal(lost.Paths, want) {
		t.Errorf("paths %q, want %q", lost.Paths, want)
	}

	response, _ = ask{method: http.MethodPut}.to(t, address)
	wantField(t, response, "Allow", "GET, HEAD")
	response, _ = ask{method: post, path: "/reload"}.to(t, address)
	wantField(t, response, "WWW-Authenticate", `Bearer realm="outrider"`)
}

func TestWithoutATokenNothingIsWritten(t *testing.T) {
	for _, header := range [][][2]string{nil, {bearerOf("")}, {bearerOf("x")}} {
		address := serve(t, Handler(Options{Sidecar: &far{}, Loopback: true, Log: silent()}))
		response, body := ask{method: post, path: "/reload", header: header}.to(t, address)
		wantRefusal(t, response, body, 401, "set admin.token_file")
	}
}

func TestManyWrongTokensAreRefusedUnseenButTheRightOnePasses(t *testing.T) {
	log, hook := test.NewNullLogger()
	address := serve(t, Handler(Options{Sidecar: &far{}, Token: token, Log: log}))
	wrong := ask{header: [][2]string{bearerOf("wrong")}}

	seen := 0
	within(t, 20*time.Second, func() bool {
		response, body := wrong.to(t, address)
		if response.StatusCode == http.StatusTooManyRequests {
			wantRefusal(t, response, body, 429, "too many wrong tokens")
			wantField(t, response, "Retry-After", "1")
			return true
		}
		wantRefusal(t, response, body, 401, "not the admin token")
		seen++
		return false
	})
	if seen < wrongsPerSecond {
		t.Errorf("%d wrong tokens were told so, want at least %d", seen, wrongsPerSecond)
	}
	if entries := len(hook.AllEntries()); entries != seen {
		t.Errorf("%d log lines for %d refusals", entries, seen)
	}
	for _, entry := range hook.AllEntries() {
		if text, _ := entry.String(); strings.Contains(text, "token=") || strings.Contains(text, "Bearer") {
			t.Errorf("the log shows what was sent: %s", text)
		}
	}
	response, _ := ask{header: [][2]string{bearerOf(token)}}.to(t, address)
	if response.StatusCode != http.StatusOK {
		t.Errorf("the right token is answered %s", response.Status)
	}
}

func TestReloadTellsWhatIsInForce(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sidecar := &far{status: Status{Config: ConfigStatus{File: "/etc/outrider/outrider.yaml", LoadedAt: at}}}
	response, body := ask{method: post, path: "/reload", header: [][2]string{bearerOf(token)}}.to(t, serveAPI(t, sidecar))
	const want = `{
  "config": {
    "file": "/etc/outrider/outrider.yaml",
    "loaded_at": "2026-01-02T03:04:05Z",
    "last_reload_error": ""
  }
}
`
	if response.StatusCode != http.StatusOK || body != want {
		t.Errorf("answer %d %s, want 200 %s", response.StatusCode, body, want)
	}
}

func TestARefusedReloadTellsEveryFault(t *testing.T) {
	sidecar := &far{reload: func(context.Context) error {
		return errors.New("outrider.yaml:3:5: unknown key <clustr>\noutrider.yaml:9:1: no cluster")
	}}
	response, body := ask{method: post, path: "/reload", header: [][2]string{bearerOf(token)}}.to(t, serveAPI(t, sidecar))
	wantRefusal(t, response, body, 422, "unknown key <clustr>\noutrider.yaml:9:1: no cluster")
}

func TestDecisionsNeedTheTokenAlsoOnLoopback(t *testing.T) {
	address := serveAPI(t, &far{decisions: map[string]string{"a": "{1}\n", "b": "{2}\n"}})
	response, body := ask{path: "/decisions"}.to(t, address)
	wantRefusal(t, response, body, 401, "GET /decisions needs the admin token")
	for path, want := range map[string]string{"/decisions": "{1}\n{2}\n", "/decisions?id=b": "{2}\n"} {
		response, body := ask{path: path, header: [][2]string{bearerOf(token)}}.to(t, address)
		wantField(t, response, "Content-Type", "application/x-ndjson")
		if response.StatusCode != http.StatusOK || body != want {
			t.Errorf("%s: answer %d %q, want %q", path, response.StatusCode, body, want)
		}
	}
	response, body = ask{path: "/decisions?id=c", header: [][2]string{bearerOf(token)}}.to(t, address)
	wantRefusal(t, response, body, 404, "no decision on c")
}

func TestARollbackTellsWhichVersionIsActive(t *testing.T) {
	sidecar := &far{status: Status{Script: &ScriptStatus{Version: "0c7e"}}}
	response, body := ask{method: post, path: "/rollback", header: [][2]string{bearerOf(token)}}.to(t, serveAPI(t, sidecar))
	if response.StatusCode != http.StatusOK || !strings.Contains(body, `"version": "0c7e"`) {
		t.Errorf("answer %d %s", response.StatusCode, body)
	}
}

func TestARollbackToNothingIsRefused(t *testing.T) {
	sidecar := &far{rollback: func() error { return errors.New("there is no version before") }}
	response, body := ask{method: post, path: "/rollback", header: [][2]string{bearerOf(token)}}.to(t, serveAPI(t, sidecar))
	wantRefusal(t, response, body, 422, "there is no version before")
}

func TestAReloadEndsWithTheClientWhoAskedForIt(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	sidecar := &far{reload: func(ctx context.Context) error {
		close(began)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}}
	address := serveAPI(t, sidecar)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- Client{Address: address, Token: token}.Reload(ctx) }()

	<-began
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the reload goes on though nobody waits for it")
	}
}
