package scripting

import (
	"slices"
	"testing"
	"time"
)

// reads is what one call of a script reads, and what it decides.
func reads(t *testing.T, code string, r Request, m Moment) (Reading, Decision) {
	t.Helper()
	var got []Reading
	s := load(t, code, func(o *Options) {
		o.OnCall = func(r *Reading, _ Decision) { got = append(got, *r) }
	})
	d := s.RouteAt(r, m)
	if len(got) != 1 {
		t.Fatalf("told of %d calls", len(got))
	}
	return got[0], d
}

func TestAReadingHoldsWhatTheCallReadAndNothingElse(t *testing.T) {
	request := get("/one/x?a=b").with("X-Beta", "1").with("Cookie", "u=alice; s=secret").with("X-Other", "2")
	got, _ := reads(t, `function route(req, ctx) {
		req.headers.get('X-Beta'); req.headers['x-absent']; req.cookies.u; req.cookies.none;
		return req.path === '/' ? 'two' : ctx.clusters.two.healthy > 0 ? 'one' : 'three';
	}`, request, Moment{})
	if string(got.ID) != "id-1" || got.Has != ReadPath || got.Path != "/one/x" || got.Host != "" || got.Seed != 0 {
		t.Errorf("read %+v", got)
	}
	if want := []NamedValue{{"X-Beta", "1", true}, {"x-absent", "", false}}; !slices.Equal(got.Headers, want) {
		t.Errorf("headers %v, want %v", got.Headers, want)
	}
	if want := []NamedValue{{"u", "alice", true}, {"none", "", false}}; !slices.Equal(got.Cookies, want) {
		t.Errorf("cookies %v, want %v", got.Cookies, want)
	}
	if want := []ClusterHealth{{"two", 2, 2, true}, {"one", 2, 2, true}}; !slices.Equal(got.Clusters, want) {
		t.Errorf("clusters %v, want %v", got.Clusters, want)
	}
}

func TestAReadingHoldsAllNamesWhenTheyWereAskedFor(t *testing.T) {
	request := get("/?a=b").with("X-Beta", "1").with("Cookie", "u=alice; s=secret")
	got, _ := reads(t, `function route(req) {
		Object.keys(req.headers); Object.keys(req.cookies); req.query.has('a'); req.url;
		return 'one';
	}`, request, Moment{})
	if want := []string{"x-beta", "cookie"}; got.Has&ReadHeaderNames == 0 || !slices.Equal(got.HeaderNames, want) {
		t.Errorf("names of headers %v, want %v", got.HeaderNames, want)
	}
	if want := []string{"u", "s"}; got.Has&ReadCookieNames == 0 || !slices.Equal(got.CookieNames, want) {
		t.Errorf("names of cookies %v, want %v", got.CookieNames, want)
	}
	if want := ReadQuery | ReadScheme | ReadHost | ReadPath; got.Has&want != want || got.RawQuery != "a=b" || got.Scheme != "http" {
		t.Errorf("read %+v", got)
	}
}

func TestACallThatFailsIsToldToo(t *testing.T) {
	got, d := reads(t, `function route(req) { throw new Error(req.method); }`, get("/"), Moment{})
	if d.Outcome != Exception || got.Has != ReadMethod {
		t.Errorf("%+v after reading %+v", d, got)
	}
}

func TestACallIsRepeatedByItsMoment(t *testing.T) {
	const code = `function route(req, ctx) {
		if (ctx.clusters.one.healthy === 0) return 'two';
		return { respond: { status: 200, body: [Math.random(), Math.random(), ctx.now, Date.now()].join(' ') } };
	}`
	first, d := reads(t, code, get("/"), Moment{})
	if first.Seed == 0 || first.Now.IsZero() {
		t.Fatalf("read %+v", first)
	}
	second, again := reads(t, code, get("/"), Moment{Now: first.Now, Seed: first.Seed})
	if again.Respond.Body != d.Respond.Body || second.Seed != first.Seed {
		t.Errorf("%q became %q", d.Respond.Body, again.Respond.Body)
	}
	if _, other := reads(t, code, get("/"), Moment{Now: first.Now}); other.Respond.Body == d.Respond.Body {
		t.Error("without the seed it is the same, too")
	}
	sick := newFleet()
	sick.set("one", 0)
	if _, d := reads(t, code, get("/"), Moment{Clusters: sick}); d.Cluster != "two" {
		t.Errorf("it does not see the moment's clusters: %+v", d)
	}
}

func TestTheMomentOfACallIsOverWithIt(t *testing.T) {
	s := load(t, `function route(req, ctx) { return { respond: { status: 200, body: ctx.now + ' ' + ctx.clusters.one.healthy } }; }`,
		func(o *Options) { o.Workers = 1 })
	sick := newFleet()
	sick.set("one", 0)
	if d := s.RouteAt(get("/"), Moment{Now: time.UnixMilli(1), Clusters: sick}); d.Respond.Body != "1 0" {
		t.Fatalf("at the moment: %q", d.Respond.Body)
	}
	if d := s.Route(get("/")); d.Respond.Body[:2] == "1 " || d.Respond.Body[len(d.Respond.Body)-1] != '2' {
		t.Errorf("afterwards: %q", d.Respond.Body)
	}
}
