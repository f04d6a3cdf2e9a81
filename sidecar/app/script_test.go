package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"outrider/sidecar/admin"
)

// scripted runs a sidecar with a script, on the clusters one and two with a
// backend each. The configuration goes on with more.
func scripted(t *testing.T, script, more string) (s *sidecar, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "route.js")
	writeFile(t, file, script)
	if !strings.Contains(more, "script:") {
		more += "script: { timeout: 10s }\n"
	}
	more = strings.Replace(more, "script: {", fmt.Sprintf("script: { file: %q,", file), 1)
	s = start(t, twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), quick)+more)
	s.awaitReady()
	return s, file
}

const everyOutcome = `
let kept;
function route(req, ctx) {
  switch (req.path) {
    case '/name': return 'one';
    case '/object': return { cluster: 'one', rule: 'because' };
    case '/list': return ['two', 'one'];
    case '/nothing': return;
    case '/null': return null;
    case '/respond': return { respond: { status: 418, headers: { 'X-Kind': 'teapot' }, body: 'short and stout' } };
    case '/unknown': return req.query.get('to');
    case '/throw': throw new Error('on purpose');
    case '/loop': for (;;) {}
    case '/number': return 42;
    case '/split': return { respond: { status: 200, headers: { 'X-A': 'b\r\nX-Evil: c' } } };
    case '/framing': return { respond: { status: 200, headers: { 'Content-Length': '100' } } };
    case '/healthy': return { respond: { status: 200, body: ctx.clusters.one.healthy + ' of ' + ctx.clusters.one.total } };
    case '/seen': return { respond: { status: 200, body: [req.method, req.host, req.ip, req.listener, req.query.get('q')].join(' ') } };
  }
  return 'two';
}
`

// Each outcome comes over one connection, which must serve the next request as
// if nothing had happened.
func TestWhatAScriptReturnsIsWhatHappens(t *testing.T) {
	s, _ := scripted(t, everyOutcome, "script: { timeout: 200ms }\n")
	w := dial(t, s)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/name", 200, "one-a"},
		{"/object", 200, "one-a"},
		{"/list", 200, "two-a"},
		{"/nothing", 404, "no cluster for this request"},
		{"/null", 404, "no cluster for this request"},
		{"/respond", 418, "short and stout"},
		{"/unknown?to=three", 500, "the routing script failed"},
		{"/throw", 500, "the routing script failed"},
		{"/loop", 500, "the routing script failed"},
		{"/number", 500, "the routing script failed"},
		{"/split", 500, "the routing script failed"},
		{"/framing", 500, "the routing script failed"},
		{"/healthy", 200, "1 of 1"},
		{"/seen?q=a+b", 200, "GET test 127.0.0.1 main a b"},
	} {
		a := w.get(c.path)
		if a.status != c.status || !strings.Contains(a.body, c.body) {
			t.Errorf("%s: got %d %q, want %d %q", c.path, a.status, a.body, c.status, c.body)
		}
		if a.header.Get("X-Evil") != "" {
			t.Errorf("%s: a script split the response", c.path)
		}
		if next := w.get("/"); next.body != "two-a" {
			t.Fatalf("after %s the same connection answers %+v", c.path, next)
		}
	}
	if a := w.get("/respond"); a.header.Get("X-Kind") != "teapot" {
		t.Errorf("the script's header is missing: %v", a.header)
	}
	thrown := s.log.all("the routing script failed a request")
	if len(thrown) == 0 {
		t.Fatal("nothing is logged of what failed")
	}
	causes := ""
	for _, l := range thrown {
		causes += fmt.Sprintln(l.fields["cause"])
	}
	for _, want := range []string{"route.js:12:26: Error: on purpose", "ran past its deadline of 200ms"} {
		if !strings.Contains(causes, want) {
			t.Errorf("the log does not say %q:\n%s", want, causes)
		}
	}
	if told := s.log.all(`no cluster "three"`); len(told) != 1 {
		t.Errorf("an unknown cluster is told %d times, want once: %v", len(told), told)
	}
	if strings.Contains(causes, "three") {
		t.Errorf("an unknown cluster is told twice:\n%s", causes)
	}
	counted := s.Status().Script.Decisions
	for outcome, n := range map[string]uint64{"ok": 17, "no_route": 2, "respond": 4, "unknown_cluster": 1, "exception": 1, "timeout": 1, "bad_return": 3} {
		if counted[outcome] != n {
			t.Errorf("%s is counted %d times, want %d (%v)", outcome, counted[outcome], n, counted)
		}
	}
}

func TestAListFallsBackToTheFirstClusterWithABackend(t *testing.T) {
	s, _ := scripted(t, `function route() { return ['one', 'two']; }`, "")
	if a := s.get("/"); a.body != "one-a" {
		t.Fatalf("got %+v", a)
	}
	s.write(strings.Replace(s.text(), "127.0.0.1:", "127.0.0.9:", 1)) // nobody is at this one
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one is down", func() bool { return s.Status().Clusters[0].Usable == 0 })
	if a := s.get("/"); a.body != "two-a" {
		t.Errorf("got %+v", a)
	}
}

func TestNothingGoesToTheDefaultCluster(t *testing.T) {
	s, _ := scripted(t, `function route() {}`, "default_cluster: one\n")
	if a := s.get("/"); a.body != "one-a" {
		t.Errorf("got %+v", a)
	}
}

func TestAFailedScriptGoesToTheClusterOfOnError(t *testing.T) {
	s, _ := scripted(t, everyOutcome, "script: { timeout: 100ms, on_error: one }\n")
	w := dial(t, s)
	for _, path := range []string{"/throw", "/loop", "/number", "/unknown?to=three"} {
		if a := w.get(path); a.status != 200 || a.body != "one-a" {
			t.Errorf("%s: got %+v", path, a)
		}
		if a := w.get("/"); a.body != "two-a" {
			t.Errorf("after %s: got %+v", path, a)
		}
	}
}

// Sorting is one built-in call of the engine, which nothing can interrupt.
const stuck = `
function route(req) {
  if (req.path !== '/stuck') return 'two';
  new Array(900000).fill('all the same').sort();
  return 'one';
}
`

func TestAScriptInAnUninterruptibleCallIsAnsweredToo(t *testing.T) {
	for onError, want := range map[string]answer{"fail": {status: 500}, "two": {status: 200, body: "two-a"}} {
		t.Run(onError, func(t *testing.T) {
			s, _ := scripted(t, stuck, fmt.Sprintf("script: { timeout: 50ms, on_error: %s }\n", onError))
			w := dial(t, s)
			a := w.get("/stuck")
			if a.status != want.status || want.body != "" && a.body != want.body {
				t.Errorf("got %+v", a)
			}
			s.log.await(t, "built-in that cannot be interrupted")
			told := s.log.await(t, "the routing script failed a request")
			if cause := fmt.Sprint(told.fields["cause"]); !strings.Contains(cause, "route did not return within") {
				t.Errorf("the answer waited for the call: %s", cause)
			}
			if a := w.get("/"); a.body != "two-a" {
				t.Errorf("the next request on the same connection: %+v", a)
			}
			eventually(t, "the call has returned", func() bool { return !running("(*scriptRouter).Route") })
			if got := s.Status().Script.Decisions; len(got) != 2 || got["timeout"] != 1 || got["ok"] != 1 {
				t.Errorf("the two requests were counted as %v", got)
			}
		})
	}
}

func TestAnEditedScriptIsActiveSoonAndNoRequestFails(t *testing.T) {
	s, file := scripted(t, `function route() { return 'one'; }`, "")
	var sent atomic.Int64
	stop := load(t, s, "/", &sent)
	eventually(t, "some requests before", func() bool { return sent.Load() > 50 })
	before := s.Status().Script.Version

	writeFile(t, file, `function route() { return 'two'; }`)
	eventually(t, "the edited script decides", func() bool { return s.get("/").body == "two-a" })
	edited := s.Status().Script.Version
	if edited == before {
		t.Errorf("another script, but version %s as before", before)
	}
	s.log.await(t, "script "+edited+" active in")

	writeFile(t, file, "function route() {\n  return 'one' + ;\n}")
	refused := s.log.await(t, "script refused, "+edited+" stays: route.js:2:18: SyntaxError")
	if !strings.Contains(refused.message, "return 'one' + ;") {
		t.Errorf("the offending line is not shown: %s", refused.message)
	}
	holdsFor(t, time.Second, "it is told once", func() bool { return len(s.log.all("script refused")) == 1 })
	if fault := s.Status().Config.LastReloadError; !strings.Contains(fault, "route.js:2:18") {
		t.Errorf("the status does not tell of it: %q", fault)
	}
	if a := s.get("/"); a.body != "two-a" {
		t.Errorf("after a broken edit: %+v", a)
	}

	writeFile(t, file, `function route() { return 'two'; }`)
	eventually(t, "taking the edit back clears the fault", func() bool { return s.Status().Config.LastReloadError == "" })
	writeFile(t, file, `function route() { return 'one'; }`)
	eventually(t, "the next edit decides", func() bool { return s.get("/").body == "one-a" })
	stop()
	if n := len(s.log.all("script refused")); n != 1 {
		t.Errorf("the broken edit was told %d times, want once", n)
	}
	if n := len(s.log.all(" active in ")); n != 2 {
		t.Errorf("two edits were told %d times", n)
	}
}

func TestAnEditRightAfterTheStartIsNotMissed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "route.js")
	writeFile(t, file, `function route() { return 'one'; }`)
	edit := func() error {
		writeFile(t, file, `function route() { return 'two'; }`)
		return nil
	}
	configuration := twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), quick) + fmt.Sprintf("script: { file: %q, timeout: 10s }\n", file)
	s := start(t, configuration, andOnOpen(edit))
	eventually(t, "the edited script decides", func() bool { return s.get("/").body == "two-a" })
}

func TestNothingOfAScriptIsLeftWhenRunReturns(t *testing.T) {
	s, _ := scripted(t, everyOutcome, "")
	s.get("/")
	s.end()
	// A goroutine that has said that it is done may still be on its way out.
	eventually(t, "the end of the script's goroutines", func() bool { return !running("scripting.(*Script)") })
}

// running reports whether a function is on a goroutine's stack.
func running(function string) bool {
	stacks := make([]byte, 1<<20)
	return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(function))
}

func TestARequestThatWaitsInTheScriptDoesNotHoldOthersUp(t *testing.T) {
	s, _ := scripted(t, everyOutcome, "script: { timeout: 1s }\n")
	looping, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = looping.Close() }()
	if _, err := io.WriteString(looping, "GET /loop HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is in the script", func() bool { return s.Status().Active == 1 })
	for range 20 {
		if a := s.get("/"); a.body != "two-a" {
			t.Fatalf("got %+v", a)
		}
	}
	_ = looping.SetReadDeadline(time.Now().Add(patience))
	head := make([]byte, 12)
	if _, err := io.ReadFull(looping, head); err != nil || string(head) != "HTTP/1.1 500" {
		t.Errorf("the endless call ends with %q, %v", head, err)
	}
}

func TestADraftIsSavedByWayOfTheAdminListener(t *testing.T) {
	s, file := scripted(t, "function route() { return 'one'; }", "")
	if a := s.get("/"); a.body != "one-a" {
		t.Fatalf("%+v", a)
	}
	before, err := s.ScriptText()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.TryScript(admin.Draft{Text: "function route() {\n  return 'tow';\n}"}); err != nil || !r.OK || len(r.Warnings) != 1 || r.Warnings[0].Line != 2 {
		t.Errorf("a name that does not exist: %+v %v", r, err)
	}
	if r, err := s.TryScript(admin.Draft{Text: "function route() { return 'two'; }"}); err != nil || !r.OK || r.Moved != 1 || r.Moves[0].To != "two" {
		t.Errorf("a draft that moves the request: %+v %v", r, err)
	}
	if err := s.SaveScript(admin.Draft{Text: "function route( {", Base: before.Base}); err == nil {
		t.Error("a broken draft is saved")
	}
	if err := s.SaveScript(admin.Draft{Text: "function route() { return 'two'; }", Base: before.Base}); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/"); a.body != "two-a" {
		t.Errorf("after saving: %+v", a)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "function route() { return 'two'; }" {
		t.Errorf("the file holds %q %v", text, err)
	}
}
