package scripting

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"
)

// deadline is the timeout of scripts in tests that are not about time: loaded
// machines pause processes for longer than the default.
const deadline = 500 * time.Millisecond

func TestMain(m *testing.M) {
	if err := limitRegexps(deadline); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

// A req is a Request made of plain values.
type req struct {
	method, path, query, host, scheme, ip, id, listener string
	header                                              [][2]string // lower case
	tls                                                 *TLS
}

func (r *req) Method() string   { return r.method }
func (r *req) Path() string     { return r.path }
func (r *req) RawQuery() string { return r.query }
func (r *req) Host() string     { return r.host }
func (r *req) Scheme() string   { return r.scheme }
func (r *req) IP() string       { return r.ip }
func (r *req) ID() string       { return r.id }
func (r *req) Listener() string { return r.listener }
func (r *req) TLS() *TLS        { return r.tls }

func (r *req) Header(name string) (string, bool) {
	var values []string
	for _, field := range r.header {
		if strings.EqualFold(field[0], name) {
			values = append(values, field[1])
		}
	}
	return strings.Join(values, ", "), values != nil
}

func (r *req) HeaderNames() []string {
	var names []string
	for _, field := range r.header {
		if !slices.Contains(names, field[0]) {
			names = append(names, field[0])
		}
	}
	return names
}

func get(path string) *req {
	path, query, _ := strings.Cut(path, "?")
	return &req{method: "GET", path: path, query: query, host: "example.com", scheme: "http", ip: "192.0.2.7", id: "id-1", listener: "main"}
}

func (r *req) with(name, value string) *req {
	r.header = append(r.header, [2]string{strings.ToLower(name), value})
	return r
}

// A fleet is a Clusters with changeable health.
type fleet struct {
	mu      sync.Mutex
	healthy map[string]int
}

func newFleet() *fleet {
	return &fleet{healthy: map[string]int{"one": 2, "two": 2, "three": 2}}
}

func (f *fleet) set(name string, healthy int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healthy[name] = healthy
}

func (f *fleet) Names() []string { return []string{"one", "two", "three"} }

func (f *fleet) Health(name string) (healthy, total int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	healthy, ok = f.healthy[name]
	return healthy, 2, ok
}

// A rig is a loaded script with what surrounds it.
type rig struct {
	*Script
	fleet *fleet
	logs  *test.Hook
}

func options(log logrus.FieldLogger, f *fleet) Options {
	return Options{Log: log, Clusters: f, Timeout: deadline, Workers: 2}
}

func load(t testing.TB, code string, change ...func(*Options)) *rig {
	t.Helper()
	r, err := tryLoad(t, code, change...)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return r
}

func tryLoad(t testing.TB, code string, change ...func(*Options)) (*rig, error) {
	t.Helper()
	log, hook := test.NewNullLogger()
	r := &rig{fleet: newFleet(), logs: hook}
	opts := options(log, r.fleet)
	for _, c := range change {
		c(&opts)
	}
	script, err := Load(Source{Name: "route.js", Code: []byte(code)}, opts)
	if err != nil {
		return nil, err
	}
	t.Cleanup(script.Close)
	r.Script = script
	return r, nil
}

func (r *rig) messages() string {
	var b strings.Builder
	for _, entry := range r.logs.AllEntries() {
		b.WriteString(entry.Level.String() + ": " + entry.Message + "\n")
	}
	return b.String()
}

// eval routes a request and gives the body that the script answered.
func (r *rig) eval(t testing.TB, request Request) string {
	t.Helper()
	d := r.Route(request)
	if d.Respond == nil {
		t.Fatalf("no answer: %+v", d)
	}
	return d.Respond.Body
}
