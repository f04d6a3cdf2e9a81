//go:build linux

package scripts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"outrider/integration/program"
)

// What a script can do to harm, by accident or on purpose, and what becomes of it.
// Each runs in a real sidecar, a process that gets mostMemory of address space:
// who asks for more is ended by its runtime. The script is asked about /hostile
// first, and then about other requests, which must not notice.
const (
	deadline   = 100 * time.Millisecond
	mostTime   = 3 * time.Second // for the answer to /hostile, on a machine that may be busy
	mostMemory = 3 << 20         // KiB of address space, of which Go reserves a part that it does not use
	mostRSS    = 600 << 10       // KiB in use
)

// hostile is one script: what it does for /hostile, and the outcome.
type hostile struct {
	name, body string
	status     int    // what the client of /hostile gets; 0: it depends on how fast the machine is
	why        string // what the log says of it
}

const (
	thrown  = "RangeError"
	overdue = "ran past its deadline of 100ms"
)

func hostiles() []hostile {
	return []hostile{
		// Time: what an interrupt ends.
		{"an endless loop", "for (;;);", 500, overdue},
		{"an endless loop in a getter of the decision", "return { get cluster() { for (;;); } };", 500, overdue},
		{"an endless loop in toString of what is thrown", "throw { toString() { for (;;); } };", 500, overdue},
		{"a comparator that never ends", "return [2, 1].sort(() => { for (;;); });", 500, overdue},
		{"a Proxy as decision", "return new Proxy({}, { get() { for (;;); }, ownKeys() { return ['cluster']; }, getOwnPropertyDescriptor() { return { configurable: true, enumerable: true }; } });", 500, ""},
		{"deep recursion", "(function f() { return f() + 1; })();", 500, thrown},
		{"deep recursion through a built-in", "(function f() { return [1].map(f); })();", 500, thrown},
		{"deep recursion through toString", "(function f() { return String({ toString: f }); })();", 500, thrown},
		// Time: what no interrupt ends.
		{"a sort of many equals", "Array(900000).fill('all the same').sort();", 0, ""},
		{"a regular expression over a hostile path", "return /^(a+)+$/.test('a'.repeat(60) + '!') ? 'one' : 'two';", 200, ""},
		{"a regular expression with /g on other than ASCII", "const r = /(x+x+)+y|ü/g, s = 'ü' + 'x'.repeat(40); r.exec(s); r.exec(s);", 500, ""},
		{"a regular expression from lastIndex", "const r = /(x+x+)+y/g; r.lastIndex = 1; r.exec('a' + 'x'.repeat(40));", 500, ""},
		// Memory.
		{"a text that doubles", "let s = 'x'; for (;;) s += s;", 500, ""},
		{"a text of many parts", "let s = ''; const part = 'x'.repeat(1e6); for (;;) s += part;", 500, ""},
		{"a list that grows", "const all = []; for (;;) all.push('x'.repeat(1e5) + all.length);", 500, ""},
		{"a list that doubles", "let a = [1]; for (;;) a = a.concat(a);", 500, ""},
		{"objects in objects", "let o = {}; for (;;) o = { o, p: 'x'.repeat(1e5) + Math.random() };", 500, ""},
		{"repeat", "'x'.repeat(2 ** 40);", 500, thrown},
		{"padStart", "'x'.padStart(2 ** 40);", 500, thrown},
		{"padEnd", "'x'.padEnd(2 ** 40);", 500, thrown},
		{"concat of texts", "'x'.repeat(1e6).concat('x'.repeat(1e6));", 500, thrown},
		{"concat of huge arrays", "[].concat(Array(4294967295));", 500, thrown},
		{"fill of a huge array", "Array(4294967295).fill(0);", 500, thrown},
		{"join of a huge array", "Array(4294967295).join('x');", 500, thrown},
		{"Array.from", "Array.from({ length: 2 ** 31 });", 500, thrown},
		{"spread of a huge array", "Math.max(...Array(4294967295));", 500, thrown},
		{"apply to something huge", "Math.max.apply(null, { length: 2 ** 31 });", 500, thrown},
		{"ArrayBuffer", "new ArrayBuffer(2 ** 40);", 500, thrown},
		{"a typed array", "new Float64Array(2 ** 31);", 500, thrown},
		{"a sparse sort", "const a = []; a[4294967290] = 1; a.sort();", 500, thrown},
		{"JSON.parse of something deep", "JSON.parse('['.repeat(1e6));", 500, thrown},
		{"JSON.stringify of something that grows", "let a = 1; for (let i = 0; i < 40; i++) a = [a, a]; JSON.stringify(a);", 500, ""},
		{"a regular expression that nests", "new RegExp('('.repeat(1e5));", 500, thrown},
		{"replace that multiplies", "'x'.repeat(1e6).replace(/x/g, 'y'.repeat(1e3));", 500, thrown},
		// Escapes.
		{"Function", "(() => 1).constructor('return 1')();", 500, "TypeError"},
		{"eval", "eval('1');", 500, "TypeError"},
		{"BigInt", "BigInt(2) ** BigInt(1e9);", 500, "TypeError"},
		{"a Promise", "return Promise.resolve('two');", 500, "a Promise"},
		{"a header that splits the response", "return { respond: { status: 200, headers: { A: 'b\\r\\nC: d' } } };", 500, "control character"},
		{"a body without end", "return { respond: { status: 200, body: 'x'.repeat(1e6) } };", 500, "the most is 65536"},
		{"many lines of log", "for (let i = 0; i < 1e5; i++) console.log('x'.repeat(1000));", 500, ""},
		{"a changed prototype", "Object.prototype.cluster = 'one'; Array.prototype.push = null; String.prototype.startsWith = () => true; return 'two';", 200, ""},
		{"a kept request", "globalThis.kept = globalThis.kept ?? req; return globalThis.kept === req ? 'two' : globalThis.kept.path;", 200, ""},
	}
}

func TestNoScriptHarmsMoreThanItsOwnRequest(t *testing.T) {
	binary := buildSidecar(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") }))
	t.Cleanup(backend.Close)
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			script := "function route(req, ctx) {\n  if (req.path === '/hostile') {\n" + h.body + "\n  }\n  return 'two';\n}\n"
			sc := startHostile(t, binary, script, backend.Listener.Addr().String(), deadline)
			began := time.Now()
			status, body := sc.get("/hostile")
			took := time.Since(began)
			if h.status != 0 && status != h.status {
				t.Errorf("the client of /hostile got %d %s, want %d", status, body, h.status)
			}
			if took > mostTime {
				t.Errorf("the answer took %v", took)
			}
			for range 20 { // as many as there are runtimes, and more
				if status, body := sc.get("/next"); status != 200 || body != "served" {
					t.Fatalf("the next client got %d %s", status, body)
				}
			}
			if rss := sc.peak(); rss > mostRSS {
				t.Errorf("the process had %d KiB at most", rss)
			}
			if h.why != "" && !strings.Contains(sc.log.String(), h.why) {
				t.Errorf("the log does not say %q:\n%s", h.why, sc.log)
			}
		})
	}
}

// What one call leaves behind, the next ones pay for: over many of them the memory
// has to stay where it is, and every client is served.
func TestWhatAScriptKeepsDoesNotGrowForEver(t *testing.T) {
	binary := buildSidecar(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") }))
	t.Cleanup(backend.Close)
	for name, script := range map[string]string{
		"variables of the top level": "const kept = [];\nfunction route(req) {\n  kept.push('x'.repeat(2e4) + kept.length);\n  return 'two';\n}\n",
		"promises that never end":    "function route(req) {\n  const big = 'x'.repeat(2e4) + req.id;\n  Promise.resolve().then(() => big);\n  new Promise(() => {}).then(() => big);\n  return 'two';\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			sc := startHostile(t, binary, script, backend.Listener.Addr().String(), deadline)
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() { sc.getMany("/kept", 12_500) })
			}
			clients.Wait()
			if rss := sc.peak(); rss > mostRSS {
				t.Errorf("the process had %d KiB at most", rss)
			}
		})
	}
}

// getMany asks over one connection, until something goes wrong.
func (p *process) getMany(path string, times int) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: 20 * time.Second, Transport: transport}
	for range times {
		response, err := client.Get("http://" + p.addr + path)
		if err != nil {
			p.t.Error(err)
			return
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			p.t.Errorf("a client got %d %s %v\n%.4000s", response.StatusCode, text, err, p.log)
			return
		}
	}
}

// Each call that cannot be interrupted holds a core. After more than four the
// script is not asked any more, and script.on_error decides for everybody.
func TestCallsThatDoNotEndQuarantineTheScript(t *testing.T) {
	binary := buildSidecar(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") }))
	t.Cleanup(backend.Close)
	sc := startHostile(t, binary, "function route(req) {\n  if (req.path === '/hostile') Array(900000).fill('all the same').sort();\n  return 'two';\n}\n", backend.Listener.Addr().String(), 10*time.Millisecond) // far less than the sort takes, on any machine
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(sc.log.String(), "is not asked any more"); {
		if time.Now().After(deadline) {
			t.Fatalf("the script is asked still:\n%.4000s", sc.log)
		}
		if status, body := sc.get("/hostile"); status != 500 {
			t.Errorf("a client of /hostile got %d %s", status, body)
		}
	}
	if status, body := sc.get("/next"); status != 500 {
		t.Errorf("the next client got %d %s: on_error is fail", status, body)
	}
}

// A top level that does not end, or takes everything, keeps the script from
// loading; and so do sources that no parser should see.
func TestAHostileScriptIsRefusedWhenItIsLoaded(t *testing.T) {
	binary := buildSidecar(t)
	for name, c := range map[string]struct{ script, says string }{
		"an endless top level":      {"for (;;);", "route.js:1:"},
		"a top level that grows":    {"let s = 'x'; for (;;) s += s;", "route.js"},
		"brackets without end":      {strings.Repeat("[", 500_000), "nested too deeply"},
		"operators without end":     {"x = " + strings.Repeat("!", 500_000) + "1", "nested too deeply"},
		"a large source":            {"//" + strings.Repeat("x", 10<<20), "the most is 1048576"},
		"BigInt literals":           {"const x = 10n ** 1000000000n;", "BigInt is not available"},
		"a backtracking expression": {"const r = /^(?=(a+)+b)/; function route() { return 'two'; }", "route.js:1:11: this regular expression needs backtracking"},
		"a property class":          {"const r = /\\p{L}/u; function route() { return 'two'; }", "route.js:1:11: \\p{...} does not work"},
		"an async route":            {"async function route() { return 'two'; }", "route.js:1:1: route may not be async"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeConfig(t, dir, c.script, "127.0.0.1:0", "127.0.0.1:2", deadline)
			began := time.Now()
			out, err := limited(t.Context(), binary, "validate", "-c", filepath.Join(dir, "outrider.yaml")).CombinedOutput()
			if ended, ok := errors.AsType[*exec.ExitError](err); !ok || ended.ExitCode() != 1 {
				t.Errorf("it ends with %v", err)
			}
			if !bytes.Contains(out, []byte(c.says)) {
				t.Errorf("it says %.400s, not %s", out, c.says)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func buildSidecar(t *testing.T) string {
	t.Helper()
	binary, err := program.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// limited is a command whose process gets little memory.
func limited(ctx context.Context, binary string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "sh", append([]string{"-c", fmt.Sprintf("ulimit -v %d; exec \"$@\"", mostMemory), "sh", binary}, args...)...)
	command.Env = append(os.Environ(), "GOMEMLIMIT=512MiB")
	return command
}

type process struct {
	t    *testing.T
	addr string
	pid  int
	log  *program.Log
}

func writeConfig(t *testing.T, dir, script, addr, backend string, timeout time.Duration) {
	t.Helper()
	config := fmt.Sprintf(`
listen: %q
status: { listen: "" }
admin: { listen: "" }
log: { access: { mode: "off" } }
script: { file: route.js, timeout: %v }
clusters:
  one: { backends: ["127.0.0.1:1"], check: { type: off } }
  two: { backends: [%q], check: { type: off } }
`, addr, timeout, backend)
	for name, text := range map[string]string{"outrider.yaml": config, "route.js": script} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func startHostile(t *testing.T, binary, script, backend string, timeout time.Duration) *process {
	t.Helper()
	p := &process{t: t, addr: program.FreeAddress(t), log: new(program.Log)}
	dir := t.TempDir()
	writeConfig(t, dir, script, p.addr, backend, timeout)
	command := limited(context.Background(), binary, "run", "-c", filepath.Join(dir, "outrider.yaml"))
	command.Stdout, command.Stderr = p.log, p.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = command.Process.Pid
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		end := time.AfterFunc(20*time.Second, func() { _ = command.Process.Kill() })
		defer end.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("the sidecar ended with %v:\n%.4000s", err, p.log)
		}
		if strings.Contains(p.log.String(), "panic") {
			t.Errorf("the sidecar panicked:\n%.4000s", p.log)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("tcp", p.addr); err == nil {
			_ = conn.Close()
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sidecar does not serve:\n%s", p.log)
		}
	}
}

func (p *process) get(path string) (status int, body string) {
	p.t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + p.addr + path)
	if err != nil {
		p.t.Fatalf("%s: %v\n%.4000s", path, err, p.log)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
	return response.StatusCode, string(text)
}

// peak is the most memory that the process has had, in KiB.
func (p *process) peak() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				p.t.Fatal(err)
			}
			return n
		}
	}
	p.t.Fatal("the process has no VmHWM")
	return 0
}
