package app_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

// reload makes a sidecar run with another configuration.
func (s *sidecar) reload(configuration string) {
	s.t.Helper()
	s.write(configuration)
	if err := s.Reload(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func TestAReloadChangesWhatTheProxyDoesWithTheNextRequest(t *testing.T) {
	one := newBackend(t, "one-a")
	one.does(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Request-Id"), " ", r.Header.Get("Via"))
	})
	clusters := fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\n", list(one), seldom)
	s := start(t, clusters)
	w := dial(t, s) // the same connection all the time
	get := func(path string) answer {
		t.Helper()
		request := "GET " + path + " HTTP/1.1\r\nHost: test\r\nX-Request-Id: mine\r\n\r\n"
		if _, err := io.WriteString(w.conn, request); err != nil {
			t.Fatal(err)
		}
		return w.read(request)
	}
	if a := get("//"); strings.HasPrefix(a.body, "mine") || !strings.Contains(a.body, "outrider-test-") {
		t.Fatalf("before: %+v", a)
	}
	s.reload("name: other\ntrusted_proxies: ['127.0.0.1/32']\n" + clusters)
	if a := get("//"); !strings.HasPrefix(a.body, "mine") || !strings.Contains(a.body, "outrider-other-") {
		t.Errorf("with another name, and trusted: %+v", a)
	}
	s.reload("ambiguous_paths: refuse\n" + clusters)
	if a := get("//"); a.status != 400 {
		t.Errorf("ambiguous paths are answered %+v", a)
	}
	s.reload("limits: { fields: 1 }\n" + clusters)
	if a := get("/"); a.status != 431 {
		t.Errorf("a second field is answered %+v", a)
	}
	if s.Status().Name != "test" {
		t.Errorf("the name is %q", s.Status().Name)
	}
}

func TestAReloadMovesListeners(t *testing.T) {
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	at := freeAddresses(t, 2)
	clusters := twoClusters(one, two, quick)
	s := start(t, fmt.Sprintf("listen: [{ name: main, address: %q }, { name: side, address: %q, cluster: two }]\n", at[0], at[1])+clusters)
	s.awaitReady()
	stays, leaves := dial(t, s), dialAt(t, at[1])
	if a := leaves.get("/one/"); a.body != "two-a" {
		t.Fatalf("got %+v", a)
	}
	entered, goOn := make(chan struct{}), make(chan struct{})
	two[0].does(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-goOn
		_, _ = io.WriteString(w, "to the end")
	})
	busy := dialAt(t, at[1])
	if _, err := io.WriteString(busy.conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered

	third := freeAddresses(t, 1)[0]
	s.reload(fmt.Sprintf("listen: [{ name: renamed, address: %q, cluster: two }, { name: other, address: %q, cluster: one }]\n", at[0], third) + clusters)
	if _, err := leaves.in.ReadByte(); err == nil {
		t.Error("an idle connection of the listener that is gone goes on")
	}
	if conn, err := net.Dial("tcp", at[1]); err == nil {
		_ = conn.Close()
		t.Error("the listener that is gone accepts")
	}
	close(goOn)
	if a := busy.read("GET"); a.body != "to the end" {
		t.Errorf("the request under way got %+v", a)
	}
	two[0].does(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "two-a") })
	if a := stays.get("/one/"); a.body != "two-a" {
		t.Errorf("a connection of the listener that stays got %+v", a)
	}
	if a := dialAt(t, third).get("/"); a.body != "one-a" {
		t.Errorf("the new listener got %+v", a)
	}
	if names := s.Status().Listeners; len(names) != 2 || names[0].Name != "renamed" || names[1].Address != third {
		t.Errorf("the status tells of %+v", names)
	}
}

func dialAt(t testing.TB, address string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t, conn, bufio.NewReader(conn)}
}

func TestAReloadThatCanNotBeCarriedOutChangesNothingAtAll(t *testing.T) {
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	folder := t.TempDir()
	at := freeAddresses(t, 3)
	good := fmt.Sprintf("listen: %q\nadmin: { listen: %q }\n", at[0], at[1])
	s := start(t, good+twoClusters(one, two, seldom))
	s.awaitReady()
	_, port, _ := net.SplitHostPort(at[0])
	for name, c := range map[string]struct{ lines, want string }{
		"a port that is taken":         {fmt.Sprintf("listen: [{ name: main, address: %q }, { name: new, address: %q }, { name: bad, address: %q }]\n", at[0], at[2], taken.Addr()), "listener bad can not use " + taken.Addr().String()},
		"a status port that is taken":  {fmt.Sprintf("listen: [{ address: %q }, { name: new, address: %q }]\nstatus: { listen: %q }\n", at[0], at[2], taken.Addr()), "status.listen can not use"},
		"a port of our own":            {"listen: ':" + port + "'\n", "this sidecar itself has " + at[0]},
		"a log that can not be opened": {fmt.Sprintf("listen: [{ address: %q }, { name: new, address: %q }]\nlog: { access: { mode: all, file: %q } }\n", at[0], at[2], folder), "log.access.file can not be appended to"},
		"a token that can not be read": {fmt.Sprintf("listen: [{ address: %q }, { name: new, address: %q }]\nadmin: { listen: %q, token_file: /nowhere }\n", at[0], at[2], at[1]), "admin.token_file"},
		"a script that does not load":  {fmt.Sprintf("listen: [{ address: %q }, { name: new, address: %q }]\nscript: { file: %q }\nlog: { access: { mode: all, file: %q } }\n", at[0], at[2], wrongScript(t), folder+"/access.log"), "wrong.js"},
	} {
		t.Run(name, func(t *testing.T) {
			s.write(c.lines + "ambiguous_paths: refuse\ntrusted_proxies: [private]\n" + twoClusters(two, one, seldom)) // changed, too
			if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("the reload says %v", err)
			}
			if a := s.get("/one/..//"); a.body != "one-a" {
				t.Errorf("it had an effect: %+v", a)
			}
			if fault := s.Status().Config.LastReloadError; !strings.Contains(fault, c.want) {
				t.Errorf("the status says %q", fault)
			}
			if ln, err := net.Listen("tcp", at[2]); err != nil {
				t.Errorf("a listener of the refused configuration is open: %v", err)
			} else {
				_ = ln.Close()
			}
		})
	}
	s.reload(good + twoClusters(two, one, seldom))
	if a := s.get("/one/"); a.body != "two-a" {
		t.Errorf("after a good reload: %+v", a)
	}
}

func TestAReloadMovesAndChangesTheDoorsOfThoseWhoOperateIt(t *testing.T) {
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	at, clusters := freeAddresses(t, 4), twoClusters(newBackends(t, "one-a"), two, quick)
	token := filepath.Join(t.TempDir(), "token")
	writeFile(t, token, "first")
	var published []string
	s := start(t, fmt.Sprintf("status: { listen: %q }\nadmin: { listen: %q, token_file: %q }\n", at[0], at[1], token)+twoClusters(one, two, quick), func(o *app.Options) {
		o.Token = func(c config.Admin) (app.Token, error) {
			text, err := os.ReadFile(c.TokenFile)
			return app.Token{Text: string(text), Publish: func() error { published = append(published, c.Listen); return nil }}, err
		}
	})
	s.awaitReady()
	ask := func(address, path, bearer string) int {
		request, err := http.NewRequest(http.MethodGet, "http://"+address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+bearer)
		a, err := s.do(request)
		if err != nil {
			return 0
		}
		return a.status
	}
	if got := ask(at[1], "/decisions", "first"); got != 404 { // there is no script
		t.Fatalf("with the token: %d", got)
	}
	writeFile(t, token, "second")
	s.reload(fmt.Sprintf("status: { listen: %q }\nadmin: { listen: %q, token_file: %q }\n", at[0], at[1], token) + clusters)
	if old, now := ask(at[1], "/decisions", "first"), ask(at[1], "/decisions", "second"); old != 401 || now != 404 {
		t.Errorf("with the old token %d, with the new one %d", old, now)
	}
	s.get("/")
	s.reload(fmt.Sprintf("status: { listen: %q }\nadmin: { listen: %q, token_file: %q }\n", at[2], at[3], token) + clusters)
	if got := ask(at[3], "/decisions", "second"); got != 404 {
		t.Errorf("at the new address: %d", got)
	}
	if got := ask(at[2], "/readyz", ""); got != 200 {
		t.Errorf("at the new status address: %d", got)
	}
	if a, err := http.Get("http://" + at[2] + "/metrics"); err != nil {
		t.Error(err)
	} else {
		page, _ := io.ReadAll(a.Body)
		_ = a.Body.Close()
		if !strings.Contains(string(page), `outrider_requests_total{cluster="two",code="200"} 1`) {
			t.Errorf("the counters began anew:\n%s", ours(string(page)))
		}
	}
	eventually(t, "the old doors are shut", func() bool { return ask(at[0], "/livez", "") == 0 && ask(at[1], "/status", "") == 0 })
	s.reload(clusters)
	eventually(t, "all doors are shut", func() bool { return ask(at[2], "/livez", "") == 0 && ask(at[3], "/status", "") == 0 })
	if want := []string{at[1], at[3]}; fmt.Sprint(published) != fmt.Sprint(want) {
		t.Errorf("the token was published for %v, want %v", published, want)
	}
}

func TestAReloadChangesTheLogs(t *testing.T) {
	folder, book := t.TempDir(), newLogbook(t)
	clusters := twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), quick)
	s := start(t, "log: { access: { mode: off } }\n"+clusters, func(o *app.Options) {
		o.Requests = book.logger
		o.SetLog = func(c config.Log) {
			if level, err := logrus.ParseLevel(c.Level); err == nil {
				book.logger.SetLevel(level)
			}
		}
	})
	text := func(name string) string {
		content, _ := os.ReadFile(filepath.Join(folder, name))
		return string(content)
	}
	s.get("/nobody-writes")
	s.reload(fmt.Sprintf("log: { level: debug, access: { mode: all, file: %q } }\n", folder+"/a") + clusters)
	s.get("/first")
	eventually(t, "a line", func() bool { return strings.Contains(text("a"), `"path":"/first"`) })
	if l := book.await(t, "request"); l.fields["path"] != "/first" {
		t.Errorf("at debug the log has %+v", l)
	}
	s.reload(fmt.Sprintf("log: { format: text, access: { mode: all, file: %q } }\n", folder+"/b") + clusters)
	s.get("/second")
	eventually(t, "a line", func() bool { return strings.Contains(text("b"), `"GET /second HTTP/1.1" 200`) })
	if err := os.Rename(folder+"/b", folder+"/c"); err != nil {
		t.Fatal(err)
	}
	s.get("/third")
	if err := s.ReopenLogs(); err != nil {
		t.Fatal(err)
	}
	s.get("/fourth")
	eventually(t, "a line", func() bool { return strings.Contains(text("b"), "/fourth") })
	if !strings.Contains(text("c")+text("b"), "/third") {
		t.Error("the line of a request before the rotation is lost")
	}
	s.reload("log: { access: { mode: off } }\n" + clusters)
	s.get("/fifth")
	s.end()
	if lines := text("a") + text("b") + text("c"); strings.Contains(lines, "nobody-writes") || strings.Contains(lines, "fifth") || len(book.all("request")) != 1 {
		t.Errorf("a log that is off has lines:\n%s", lines)
	}
}

func TestAReloadKeepsMoreOrFewerDecisions(t *testing.T) {
	s, _ := scripted(t, `function route(req) { return 'one'; }`, "script: { timeout: 10s, record: 3 }\n")
	text := s.text()
	kept := func() (n int) {
		var lines strings.Builder
		if err := s.WriteDecisions(&lines, ""); err != nil {
			return -1
		}
		return strings.Count(lines.String(), "\n")
	}
	version := s.Status().Script.Version
	for _, step := range []struct{ record, before, after int }{{5, 3, 5}, {2, 2, 2}, {0, -1, -1}, {4, 0, 4}} {
		for range 6 {
			s.get("/")
		}
		s.reload(strings.Replace(text, "record: 3", fmt.Sprint("record: ", step.record), 1))
		if n := kept(); n != step.before {
			t.Errorf("right after the change to %d there are %d, want %d", step.record, n, step.before)
		}
		for range 6 {
			s.get("/")
		}
		if n := kept(); n != step.after {
			t.Errorf("of %d there are %d, want %d", step.record, n, step.after)
		}
	}
	if now := s.Status().Script; now.Version != version || now.OnProbation {
		t.Errorf("the script is %+v", now)
	}
}

// A draft is a random configuration, which may be broken.
type draft struct {
	one, two []*backend
	side     string // address
	folder   string
	taken    string // address
}

func (d *draft) text(r *rand.Rand) (configuration string, broken bool) {
	some := func(of ...string) string { return of[r.IntN(len(of))] }
	configuration = some("name: a", "name: b", "dev: true") + "\n" +
		some("listen: '127.0.0.1:0'", fmt.Sprintf("listen: [{ name: m%d, address: '127.0.0.1:0' }, { name: side, address: %q, cluster: two }]", r.IntN(3), d.side)) + "\n" +
		some("limits: { connections: 500, head: 32KiB }", "limits: { backlog: 128, buffers: 64MiB }", "limits: { client_idle: 40s }") + "\n" +
		some("trusted_proxies: [private]", "trusted_proxies: ['127.0.0.1/32']", "ambiguous_paths: refuse") + "\n" +
		some("status: { listen: '' }", "status: { listen: '127.0.0.1:0' }") + "\n" +
		some("admin: { listen: '' }", "admin: { listen: '127.0.0.1:0' }", "admin: { listen: '127.0.0.1:0', hosts: [a.example] }") + "\n" +
		some("log: { access: { mode: off } }", "log: { level: warn }", fmt.Sprintf("log: { format: text, access: { mode: all, sample: 50%%, file: %q } }", d.folder+some("/a", "/b"))) + "\n" +
		some("", fmt.Sprintf("script: { file: %q, timeout: 10s, record: %d, env: [STAGE] }", d.folder+"/route.js", r.IntN(3)*50)) + "\n" +
		some("shutdown: { grace: 1s }", "shutdown: { grace: 2s }") + "\ndefault_cluster: two\nclusters:\n" +
		fmt.Sprintf("  one: { backends: %s, retries: %d, %s }\n", list(d.one[:1+r.IntN(len(d.one))]...), r.IntN(3), some(quick, seldom, "slow_start: 1s")) +
		fmt.Sprintf("  two: { backends: %s, timeouts: { response: %ds } }\n", list(d.two...), 20+r.IntN(20)) +
		some("", fmt.Sprintf("  three: { backends: %s }\n", list(d.one...)))
	if r.IntN(3) > 0 {
		return configuration, false
	}
	return configuration + some(
		"clusterz: {}\n", "  four: { backends: [] }\n", "  : [\n", "  four: { backends: ['127.0.0.1:1'], tls: { server_name: a, ca: /nowhere } }\n",
		fmt.Sprintf("gossip: { listen: %q }\n", d.taken), "state_dir: /somewhere\n",
		fmt.Sprintf("shadow_of_a_doubt: %d\n", r.IntN(9)),
	), true
}

func TestFiveHundredReloadsOfEverythingFailNoRequestAndLeakNothing(t *testing.T) {
	const reloads = 500
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	d := &draft{
		one: newBackends(t, "one-a", "one-b", "one-c"), two: newBackends(t, "two-a"), side: freeAddresses(t, 1)[0],
		folder: t.TempDir(), taken: taken.Addr().String(),
	}
	writeFile(t, d.folder+"/route.js", `function route(req) { return req.path.startsWith('/one/') ? 'one' : 'two'; }`)
	settled := "clusters:\n" + fmt.Sprintf("  one: { backends: %s, %s }\n  two: { backends: %s }\n", list(d.one...), seldom, list(d.two...))
	s := start(t, settled)
	s.awaitReady()
	var sent atomic.Int64
	settle := func() (descriptors, goroutines int, heap uint64) {
		s.reload(settled)
		s.client.CloseIdleConnections()
		eventually(t, "no client", func() bool { return s.Status().Clients == 0 })
		eventually(t, "nothing runs for scripts", func() bool { return goroutinesIn("outrider/scripting.") == 0 })
		return openFiles(), runtime.NumGoroutine(), liveHeap()
	}
	warm := load(t, s, "/one/", &sent)
	eventually(t, "some requests", func() bool { return sent.Load() > 100 })
	warm()
	files, goroutines, heap := settle()

	stopOne, stopTwo := load(t, s, "/one/", &sent), load(t, s, "/", &sent)
	r := rand.New(rand.NewPCG(1, uint64(os.Getpid())))
	good, refused := 0, 0
	for range reloads {
		text, broken := d.text(r)
		s.write(text)
		err := s.Reload(t.Context())
		switch {
		case (err != nil) != broken:
			t.Fatalf("broken is %v, and the reload says %v:\n%s", broken, err, text)
		case broken:
			refused++
		default:
			good++
		}
	}
	stopOne()
	stopTwo()
	t.Logf("%d reloads and %d refusals under %d requests", good, refused, sent.Load())
	if sent.Load() < reloads {
		t.Errorf("only %d requests were sent meanwhile", sent.Load())
	}
	var filesNow, goroutinesNow int
	var heapNow uint64
	eventually(t, "as many descriptors and goroutines as before", func() bool {
		filesNow, goroutinesNow, heapNow = settle()
		return filesNow <= files+2 && goroutinesNow <= goroutines+4
	})
	if heapNow > heap+heap/2+8<<20 {
		t.Errorf("%d KiB are in use, %d KiB before", heapNow>>10, heap>>10)
	}
}

// openFiles counts the descriptors of this process, where the system tells.
func openFiles() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}
