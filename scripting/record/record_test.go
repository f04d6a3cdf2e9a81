package record_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"outrider/scripting"
	"outrider/scripting/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sent is a request made of plain values.
type sent struct {
	method, path, query, ip string
	tls                     *scripting.TLS
	header                  [][2]string
}

func (s sent) Method() string      { return s.method }
func (s sent) Path() string        { return s.path }
func (s sent) RawQuery() string    { return s.query }
func (sent) Host() string          { return "example.com" }
func (sent) Scheme() string        { return "https" }
func (s sent) IP() string          { return s.ip }
func (s sent) ID() string          { return "id of " + s.path }
func (sent) Listener() string      { return "main" }
func (s sent) TLS() *scripting.TLS { return s.tls }

func (s sent) Header(name string) (string, bool) {
	var values []string
	for _, field := range s.header {
		if strings.EqualFold(field[0], name) {
			values = append(values, field[1])
		}
	}
	return strings.Join(values, ", "), values != nil
}

func (s sent) HeaderNames() []string {
	var names []string
	for _, field := range s.header {
		if name := strings.ToLower(field[0]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// health is that of the clusters one, two and three: how many of two backends.
type health map[string]int

func (health) Names() []string { return []string{"one", "two", "three"} }

func (h health) Health(name string) (healthy, total int, ok bool) {
	healthy, ok = h[name]
	return healthy, 2, ok
}

func well() health { return health{"one": 2, "two": 2, "three": 2} }

// load loads a script whose calls are recorded.
func load(t testing.TB, code string, ring *record.Ring, clusters scripting.Clusters) *scripting.Script {
	log, _ := test.NewNullLogger()
	s, err := scripting.Load(scripting.Source{Name: "route.js", Code: []byte(code)}, scripting.Options{
		Log: log, Clusters: clusters, Timeout: 5 * time.Second, Workers: 1,
		OnCall: func(n *scripting.Reading, d scripting.Decision) { ring.Add("v1", n, d) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

const everything = `function route(req, ctx) {
  const to = ['one', 'two', 'three'];
  switch (req.path.length % 13) {
    case 0: return to[Math.floor(Math.random() * 3)];
    case 1: return req.headers.get('X-A') === null ? 'one' : 'two';
    case 2: return to[Object.keys(req.headers).length % 3];
    case 3: return req.cookies.u ? to[req.cookies.u.length % 3] : 'one';
    case 4: return Object.keys(req.cookies).length > 1 ? 'one' : 'two';
    case 5: return req.query.get('q') === 'x' ? 'one' : 'two';
    case 6: return ctx.clusters.one.healthy > 1 ? 'one' : 'two';
    case 7: return ['one', 'two', 'three'];
    case 8: return to[ctx.now % 3];
    case 9: return req.nothing.here;
    case 10: return { respond: { status: 200 + req.ip.length, body: req.id } };
    case 12: return req.tls && req.tls.subject === 'CN=web' ? req.tls.names[0] || 'one' : 'two';
    case 11: return to[Math.floor(ctx.hash(req.url + req.method + req.listener) * 3)];
  }
}`

func anyRequest() *rapid.Generator[sent] {
	word := rapid.SampledFrom([]string{"", "x", "beta", "some-thing"})
	return rapid.Custom(func(t *rapid.T) sent {
		s := sent{
			method: rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"),
			path:   "/" + strings.Repeat("p", rapid.IntRange(0, 24).Draw(t, "path")),
			query:  rapid.SampledFrom([]string{"", "q=x", "q=y&r=%20"}).Draw(t, "query"),
			ip:     rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1"}).Draw(t, "ip"),
		}
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"X-A", "X-B", "Accept"}), 0, 4).Draw(t, "names") {
			s.header = append(s.header, [2]string{name, word.Draw(t, "value")})
		}
		s.tls = rapid.SampledFrom([]*scripting.TLS{nil, {Version: "1.2"}, {Version: "1.3", Subject: "CN=web"}, {Version: "1.3", Subject: "CN=web", Names: []string{"three"}}}).Draw(t, "tls")
		if rapid.Bool().Draw(t, "cookies") {
			s.header = append(s.header, [2]string{"Cookie", "u=" + word.Draw(t, "u") + "; v=" + word.Draw(t, "v")})
		}
		return s
	})
}

func TestARecordedDecisionIsMadeAgainJustSo(t *testing.T) {
	ring := record.NewRing(4)
	script := load(t, everything, ring, well())
	rapid.Check(t, func(t *rapid.T) {
		then := health{}
		for _, name := range well().Names() {
			then[name] = rapid.IntRange(0, 2).Draw(t, name)
		}
		r := anyRequest().Draw(t, "request")
		script.RouteAt(r, scripting.Moment{Clusters: then})
		entries := ring.Entries()
		before := entries[len(entries)-1]
		var dump bytes.Buffer
		if err := record.Write(&dump, []record.Entry{before}); err != nil {
			t.Fatal(err)
		}
		text := dump.String()
		after, err := record.Parse(&dump)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again := after[0].Again(script, well())
		if again.Decision != before.Decision || len(again.Unknown) > 0 {
			t.Fatalf("%+v became %+v of the record %s", before.Decision, again, text)
		}
	})
}

func TestWhatARecordDoesNotHoldIsNamed(t *testing.T) {
	ring := record.NewRing(1)
	old := load(t, `function route(req) { return req.headers.get('x-a') ? 'one' : 'two'; }`, ring, well())
	old.Route(sent{method: "GET", path: "/"})
	entry := ring.Entries()[0]
	for reads, want := range map[string]string{
		"req.headers.get('X-A')": "", "req.path": "req.path", "req.headers.get('x-b')": "req.headers['x-b']", "req.cookies.u": "req.cookies['u']",
		"req.query.has('q')": "req.query", "Math.random()": "Math.random", "Object.keys(req.headers)": "the names of req.headers", "req.id": "",
		"req.tls": "req.tls",
		"ctx.now": "", "ctx.clusters.three.healthy": "",
	} {
		script := load(t, "function route(req, ctx) { "+reads+"; return 'one'; }", record.NewRing(1), well())
		if got := strings.Join(entry.Again(script, well()).Unknown, ", "); got != want {
			t.Errorf("%s: %q is unknown, want %q", reads, got, want)
		}
	}
}

func TestCredentialsAreKeptAsHashes(t *testing.T) {
	const secret = "s3cr3t-s3cr3t-s3cr3t"
	ring := record.NewRing(1)
	script := load(t, `function route(req) {
	  for (const name of ['Authorization', 'cookie', 'X-Api-Key', 'x-csrf-token', 'set-cookie']) req.headers.get(name);
	  req.cookies.sid; req.cookies.uid; req.query.get('access_token'); req.url;
	  return req.cookies.canary === 'on' ? 'one' : 'two';
	}`, ring, well())
	r := sent{method: "GET", path: "/", query: "a=b&access_token=" + secret, header: [][2]string{
		{"Authorization", "Bearer " + secret}, {"X-Api-Key", secret}, {"X-Csrf-Token", secret}, {"Set-Cookie", secret},
		{"Cookie", "sid=abc; uid=" + secret + "; canary=on"},
	}}
	if d := script.Route(r); d.Cluster != "one" {
		t.Fatalf("%+v", d)
	}
	var dump bytes.Buffer
	if err := record.Write(&dump, ring.Entries()); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{secret, `"abc"`} {
		if strings.Contains(dump.String(), leak) {
			t.Errorf("%s is in the dump: %s", leak, dump.String())
		}
	}
	for _, kept := range []string{`"name":"canary","value":"on"`, "a=b&access_token=hash:", `"name":"uid","value":"hash:`} {
		if !strings.Contains(dump.String(), kept) {
			t.Errorf("%s is not in the dump: %s", kept, dump.String())
		}
	}
	again := ring.Entries()[0].Again(script, well())
	if len(again.Unknown) == 0 {
		t.Error("a decision that read a credential is made again as if it were known")
	}
}

func TestARingKeepsTheLastDecisionsInOrder(t *testing.T) {
	ring := record.NewRing(3)
	script := load(t, `function route(req) { return 'one'; }`, ring, well())
	for i := range 5 {
		script.Route(sent{path: fmt.Sprint(i)})
	}
	var ids []string
	for _, e := range ring.Entries() {
		ids = append(ids, e.ID)
	}
	if want := []string{"id of 2", "id of 3", "id of 4"}; !slices.Equal(ids, want) {
		t.Errorf("it keeps %v, want %v", ids, want)
	}
	if _, ok := ring.Find("id of 1"); ok {
		t.Error("a decision that has left is found")
	}
	if e, ok := ring.Find("id of 3"); !ok || e.ID != "id of 3" || e.Decision.Cluster != "one" {
		t.Errorf("found %+v, %v", e, ok)
	}
}

func TestARingOfAnotherSizeGoesOnWithTheLastDecisions(t *testing.T) {
	for size, want := range map[int]string{2: "4 5 6", 5: "1 2 3 4 5 6", 9: "1 2 3 4 5 6"} {
		ring := record.NewRing(5)
		script := load(t, `function route(req) { return 'one'; }`, ring, well())
		for i := range 6 { // the first one is driven out
			script.Route(sent{path: fmt.Sprint(i)})
		}
		next := ring.Resized(size)
		again := load(t, `function route(req) { return 'one'; }`, next, well())
		again.Route(sent{path: "6"})
		var ids []string
		for _, e := range next.Entries() {
			ids = append(ids, strings.TrimPrefix(e.ID, "id of "))
		}
		all := strings.Fields(want)
		if want := all[max(0, len(all)-size):]; next.Size() != size || !slices.Equal(ids, want) {
			t.Errorf("of size %d it keeps %v, want %v", size, ids, want)
		}
	}
}

func TestARingIsReadWhileItIsWritten(t *testing.T) {
	ring := record.NewRing(8)
	script := load(t, `function route(req) { return req.headers.get('x-a') ? 'one' : 'two'; }`, ring, well())
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 500 {
				script.Route(sent{path: "/", header: [][2]string{{"X-A", "1"}}})
			}
		})
	}
	for range 100 {
		for _, e := range ring.Entries() {
			if len(e.Read.Headers) != 1 || e.Decision.Cluster != "one" {
				t.Errorf("half an entry: %+v", e)
			}
		}
	}
	writers.Wait()
}

func TestMovesAreToldTheMostFrequentFirst(t *testing.T) {
	ring := record.NewRing(2000)
	old := load(t, `function route(req) { return req.path < '/m' ? 'one' : 'two'; }`, ring, well())
	for i := range 1200 {
		old.Route(sent{method: "GET", path: fmt.Sprintf("/%c", 'a'+i%26)})
	}
	next := load(t, `function route(req) { return req.path < '/l' ? 'one' : req.path > '/x' ? { respond: { status: 404 } } : 'two'; }`, record.NewRing(1), well())
	moves := record.Moves{}
	for _, e := range ring.Entries() {
		moves.Note(&e, e.Again(next, well()))
	}
	if want := "of the last 1,200 requests 138 move: 92 two->respond 404, 46 one->two"; moves.String() != want {
		t.Errorf("%s\nwant %s", moves.String(), want)
	}
	if samples := moves.Samples[record.Move{From: "one", To: "two"}]; len(samples) != 3 || samples[0] != "/l" {
		t.Errorf("samples %q", samples)
	}
	other := load(t, `function route(req) { return req.ip ? 'one' : 'two'; }`, record.NewRing(1), well())
	moves = record.Moves{}
	for _, e := range ring.Entries()[:3] {
		moves.Note(&e, e.Again(other, well()))
	}
	if want := "of the last 3 requests none moves; of 3 it is not known: they were recorded without what it reads"; moves.String() != want {
		t.Errorf("%s\nwant %s", moves.String(), want)
	}
}

func TestADumpThatIsNoneIsRefusedByItsLine(t *testing.T) {
	_, err := record.Parse(strings.NewReader("{\"id\":\"a\"}\n\n{\"id\":\"b\",\"what\":1}\n"))
	if err == nil || !strings.Contains(err.Error(), "line 3 is no recorded decision") {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"a","at":"2026-01-02T03:04:05Z","version":"v1","seed":"7","read":{"path":"/","headers":[{"name":"a","value":"b"}],"cookie_names":[]},"clusters":[{"name":"one","healthy":1,"total":2}],"decision":{"outcome":"ok","cluster":"one"}}`))
	f.Add([]byte("{}\n{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := record.Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		var dump bytes.Buffer
		if err := record.Write(&dump, entries); err != nil {
			return // a time that JSON cannot write
		}
		again, err := record.Parse(&dump)
		if err != nil || !reflect.DeepEqual(entries, again) {
			t.Fatalf("%+v became %+v, %v", entries, again, err)
		}
	})
}
