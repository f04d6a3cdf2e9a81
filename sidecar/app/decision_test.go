package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const everyForm = `
function route(req, ctx) {
  switch (req.path) {
    case '/weights': return { one: 0, two: 100 };
    case '/weights-in-object': return { cluster: { one: 100, two: 0 }, rule: 'split' };
    case '/weights-down': return { gone: 1e9, two: 1e-9 };
    case '/weights-all-down': return { gone: 100 };
    case '/list-down': return ['gone', 'one'];
    case '/headers': return { cluster: 'one', requestHeaders: { 'X-From': 'script', 'X-Secret': null },
      responseHeaders: { 'X-Via-Script': 'yes', Server: null, 'Set-Cookie': [cookie('canary', 'on'), cookie('b', 'c', { httpOnly: true })] } };
    case '/path': return { cluster: 'one', path: '/other' };
    case '/path-query': return { cluster: 'one', path: '/other?only=this' };
    case '/hash': return { cluster: 'three', hashKey: req.query.get('key') };
    case '/timeout': return { cluster: 'one', timeout: 50 };
    case '/data': return ctx.data.go;
    case '/env': return ctx.env.STAGE === 'beta' && ctx.env.UNSET === undefined ? 'one' : 'two';
    case '/random': return Math.random() < 1 && ctx.now === Date.now() ? 'two' : 'one';
    case '/map': return new PrefixMap({ '/': 'one', '/map': 'two' }).get(req.path);
    case '/bad-header': return { cluster: 'one', requestHeaders: { 'Content-Length': '1' } };
    case '/bad-weights': return { one: -1 };
    case '/weights-unknown': return { one: 1, nobody: 1 };
    case '/list-unknown': return ['one', 'nobody'];
    case '/promise': return Promise.resolve('one');
    case '/number': return 42;
    case '/bool': return true;
    case '/empty': return '';
    case '/object': return {};
    case '/bad-path': return { cluster: 'one', path: 'no-slash' };
  }
  return 'one';
}
`

// manyForms runs a sidecar whose cluster three has three backends, and whose
// cluster gone has none that is up.
func manyForms(t *testing.T, more string) *sidecar {
	t.Helper()
	dir := t.TempDir()
	file, data := filepath.Join(dir, "route.js"), filepath.Join(dir, "data.json")
	writeFile(t, file, everyForm)
	writeFile(t, data, `{ "go": "two" }`)
	configuration := twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), quick)
	configuration += "  three: { backends: " + list(newBackends(t, "three-a", "three-b", "three-c")...) + ", " + quick + " }\n"
	configuration += "  gone: { backends: [\"127.0.0.9:1\"], " + quick + " }\n"
	s := start(t, configuration+fmt.Sprintf("script: { file: %q, data: %q, timeout: 10s%s }\n", file, data, more))
	s.awaitReady()
	eventually(t, "the cluster without backends is known to have none", func() bool {
		for _, c := range s.Status().Clusters {
			if c.Name == "gone" {
				return c.Usable == 0
			}
		}
		return false
	})
	return s
}

func TestEveryFormOfADecisionIsCarriedOut(t *testing.T) {
	s := manyForms(t, ", env: [STAGE, UNSET]")
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/weights", 200, "two-a"}, {"/weights-in-object", 200, "one-a"}, {"/weights-down", 200, "two-a"},
		{"/weights-all-down", 503, "cluster gone has no usable backend"}, {"/list-down", 200, "one-a"},
		{"/data", 200, "two-a"}, {"/map", 200, "two-a"}, {"/env", 200, "one-a"}, {"/random", 200, "two-a"},
		{"/bad-header", 500, "the routing script failed"}, {"/bad-weights", 500, "the routing script failed"},
		{"/weights-unknown", 500, "the routing script failed"}, {"/list-unknown", 500, "the routing script failed"},
		{"/promise", 500, "the routing script failed"}, {"/number", 500, "the routing script failed"}, {"/bool", 500, "the routing script failed"},
		{"/empty", 500, "the routing script failed"}, {"/object", 500, "the routing script failed"}, {"/bad-path", 500, "the routing script failed"},
	} {
		if a := s.get(c.path); a.status != c.status || !strings.Contains(a.body, c.body) {
			t.Errorf("%s: got %d %q, want %d %q", c.path, a.status, a.body, c.status, c.body)
		}
	}
	counted := s.Status().Script.Decisions
	for outcome, n := range map[string]uint64{"fallback": 2, "unknown_cluster": 2, "bad_return": 8} {
		if counted[outcome] != n {
			t.Errorf("%s is counted %d times, want %d (%v)", outcome, counted[outcome], n, counted)
		}
	}
}

func TestAScriptsKeyStaysOnOneBackend(t *testing.T) {
	s := manyForms(t, "")
	homes := make(map[string]int)
	for i := range 30 {
		path := fmt.Sprintf("/hash?key=%d", i)
		home := s.get(path).body
		homes[home]++
		for range 3 {
			if a := s.get(path); a.body != home {
				t.Fatalf("%s: %s, before %s", path, a.body, home)
			}
		}
	}
	if len(homes) != 3 {
		t.Errorf("30 keys live on %v", homes)
	}
}

// serveHTTP runs a backend of net/http until the test ends.
func serveHTTP(t *testing.T, handle http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// echo runs a backend that answers with what it was sent.
func echo(t *testing.T) (address string) {
	t.Helper()
	return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "echo")
		w.Header().Set("Set-Cookie", "theirs=1")
		fmt.Fprintf(w, "%s from=%q secret=%q", r.URL, r.Header.Get("X-From"), r.Header.Get("X-Secret"))
	})
}

func TestAScriptEditsHeadersAndPath(t *testing.T) {
	file := filepath.Join(t.TempDir(), "route.js")
	writeFile(t, file, everyForm)
	s := start(t, fmt.Sprintf("script: { file: %q, timeout: 10s }\nclusters:\n  one: { backends: [%q] }\n  two: { backends: [%q] }\n", file, echo(t), echo(t)))
	s.awaitReady()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/headers", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Secret", "mine")
	a, err := s.do(request)
	if err != nil {
		t.Fatal(err)
	}
	if a.body != `/headers from="script" secret=""` {
		t.Errorf("the backend saw %s", a.body)
	}
	cookies := strings.Join(a.header.Values("Set-Cookie"), " | ")
	if a.header.Get("X-Via-Script") != "yes" || a.header.Get("Server") != "" || cookies != "theirs=1 | canary=on; Path=/ | b=c; Path=/; HttpOnly" {
		t.Errorf("the client saw %v", a.header)
	}
	for path, want := range map[string]string{"/path?a=b": "/other?a=b ", "/path": "/other ", "/path-query?a=b": "/other?only=this "} {
		if a := s.get(path); !strings.HasPrefix(a.body, want) {
			t.Errorf("%s: the backend saw %s, want %s", path, a.body, want)
		}
	}
}

func TestAScriptsTimeoutShortensTheClusters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "route.js")
	writeFile(t, file, everyForm)
	over := make(chan struct{})
	defer close(over)
	slow := serveHTTP(t, func(http.ResponseWriter, *http.Request) { <-over })
	s := start(t, fmt.Sprintf("script: { file: %q, timeout: 10s }\nclusters:\n  one: { backends: [%q] }\n  two: { backends: [%q] }\n", file, slow, slow))
	s.awaitReady()
	if a := s.get("/timeout"); a.status != 504 || !strings.Contains(a.body, "50ms") {
		t.Errorf("got %+v", a)
	}
}

func TestARuleIsAMetricAndAFieldOfTheAccessLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	page := new(status)
	file := filepath.Join(t.TempDir(), "route.js")
	writeFile(t, file, everyForm)
	s := start(t, twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), quick)+withStatus+
		fmt.Sprintf("script: { file: %q, timeout: 10s }\nlog: { access: { mode: all, file: %q } }\n", file, log), page.option)
	s.awaitReady()
	s.get("/weights-in-object")
	eventually(t, "the access log has it", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(text), `"rule":"split"`)
	})
	page.awaitLines(t, `outrider_rule_requests_total{rule="split"} 1`)
}

const whoAsks = `
function route(req) {
  return { respond: { status: 200, body: [req.ip, req.scheme, req.id.replace(/^[0-9a-f]{16}$/, 'ours')].join(' ') } };
}
`

func TestTrustedProxiesDecideWhatAScriptSeesOfTheClient(t *testing.T) {
	for _, c := range []struct{ trusted, told, want string }{
		{"127.0.0.1", "", "127.0.0.1 http ours"},
		{"192.0.2.0/24", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs\r\n", "127.0.0.1 http ours"}, // who asks is nobody
		{"127.0.0.1", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs\r\n", "203.0.113.9 https theirs"},
		{"127.0.0.1", "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n", "203.0.113.9 http ours"}, // the first is what the client made up
		{"127.0.0.1, 10.0.0.0/8", "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\nX-Forwarded-For: 10.1.2.3\r\n", "203.0.113.9 http ours"},
		{"127.0.0.1, 10.0.0.0/8", "X-Forwarded-For: 10.9.9.9, 10.1.2.3\r\n", "10.9.9.9 http ours"},
		{"127.0.0.1", "X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9 http ours"},
		{"127.0.0.1", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1 http ours"},
		{"127.0.0.1", "X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1 http ours"},
		{"127.0.0.1", "X-Forwarded-For: [2001:db8::1]:443\r\n", "2001:db8::1 http ours"},
		{"127.0.0.1", "X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9 http ours"},
		{"127.0.0.1, 10.0.0.0/8", "X-Forwarded-For: unknown, 10.1.2.3\r\n", "10.1.2.3 http ours"}, // beyond what is no address nothing is known
		{"127.0.0.1", "X-Forwarded-For: ,\r\nX-Request-Id: a b\r\n", "127.0.0.1 http ours"},
	} {
		s, _ := scripted(t, whoAsks, "trusted_proxies: ["+c.trusted+"]\n")
		if got := dial(t, s).ask([]string{"GET / HTTP/1.1\r\nHost: a\r\n" + c.told + "\r\n"})[0]; got != c.want {
			t.Errorf("%s is trusted and says %q: the script sees %q, want %q", c.trusted, c.told, got, c.want)
		}
	}
}
