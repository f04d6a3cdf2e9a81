package app_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"outrider/sidecar/admin"
)

// ask sends a request with some fields.
func (s *sidecar) ask(path string, fields ...[2]string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.addr+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range fields {
		r.Header.Set(f[0], f[1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}

const explain = "X-Outrider-Explain"

func TestARequestWithTheTokenIsToldWhatWasDecidedOnIt(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	seen := make(chan http.Header, 16)
	for _, b := range one {
		b.does(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	}
	s := start(t, twoClusters(one, newBackends(t, "two-a"), seldom)+"admin: { listen: '127.0.0.1:0' }\n")
	s.awaitReady()
	for name, fields := range map[string][][2]string{
		"no field": nil, "a wrong token": {{explain, "sesame"}}, "no token": {{explain, "1"}}, "the token elsewhere": {{"Authorization", "Bearer open-sesame"}},
	} {
		if a := s.ask("/one/", fields...); a.header.Get(explain) != "" || a.header.Get("Server-Timing") != "" {
			t.Errorf("%s: told %q", name, a.header)
		}
		if h := <-seen; h.Get(explain) != "" {
			t.Errorf("%s: the backend sees %q", name, h)
		}
	}
	a := s.ask("/one/", [2]string{explain, "open-sesame"})
	if !regexp.MustCompile(`^id="[0-9a-f]{16}", outcome="ok", cluster="one", backend="127.0.0.1:\d+", tries=1$`).MatchString(a.header.Get(explain)) {
		t.Errorf("told %q", a.header.Get(explain))
	}
	if h := <-seen; h.Get(explain) != "" {
		t.Errorf("the backend sees the token: %q", h)
	}
	for _, b := range one {
		b.die()
	}
	a = s.ask("/one/", [2]string{explain, "open-sesame"})
	if told := a.header.Get(explain); a.status < 500 || strings.Count(told, "connection refused") != 2 || !strings.Contains(told, "failed=(\"127.0.0.1:") {
		t.Errorf("%d, told %q", a.status, told)
	}
}

func TestInDevelopmentEveryAnswerTellsItsTiming(t *testing.T) {
	s := start(t, twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), quick)+"dev: true\n")
	s.awaitReady()
	a := s.ask("/one/", [2]string{explain, "1"})
	const number = `\d+\.\d{3}`
	if !regexp.MustCompile(`^route;dur=` + number + `, pick;dur=` + number + `, connect;dur=` + number + `, upstream;dur=` + number + `$`).MatchString(a.header.Get("Server-Timing")) {
		t.Errorf("timing %q", a.header.Get("Server-Timing"))
	}
	if !strings.Contains(a.header.Get(explain), `cluster="one"`) {
		t.Errorf("told %q", a.header.Get(explain))
	}
}

func TestARecordedRequestIsExplainedTryByTry(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	s := start(t, twoClusters(one, newBackends(t, "two-a"), seldom)+"trusted_proxies: [private]\n")
	s.awaitReady()
	one[0].die()
	retried := ""
	for _, id := range []string{"first", "second"} { // one of them meets the dead one
		if a := s.ask("/one/x?token=secret", [2]string{"X-Request-Id", id}); a.body != "one-b" {
			t.Fatalf("%+v", a)
		}
		var e *admin.Explanation
		eventually(t, "the exchange to be recorded", func() (is bool) { // its client has the answer before
			e, is = recalled(s, id)
			return is
		})
		if len(e.Exchange.Attempts) == 2 {
			retried = id
		}
	}
	e, err := s.Recall(retried)
	if err != nil {
		t.Fatalf("no request was retried: %v", err)
	}
	tries := e.Exchange.Attempts
	if tries[0].Backend != one[0].addr || !strings.Contains(tries[0].Failure, "refused") || tries[1] != (admin.Attempt{Backend: one[1].addr, After: tries[1].After}) {
		t.Errorf("tries %+v", tries)
	}
	if e.Cluster != "one" || e.Exchange.Status != 200 || e.Exchange.End != "done" || e.Request != "GET /one/x" {
		t.Errorf("%+v %+v", e, e.Exchange)
	}
	s.awaitState(one[0], "down")
	if e, err = s.Recall(retried); err != nil {
		t.Fatal(err)
	}
	for _, b := range e.Backends {
		if b.Address == one[0].addr && (b.State == "down" || !strings.Contains(b.Why, "later: ") || !strings.Contains(b.Why, "refused")) {
			t.Errorf("of the dead one it knows %+v", b)
		}
	}
	if _, err := s.Recall("third"); err == nil {
		t.Error("a request that never was is recalled")
	}
}

// recalled is what is recorded of an exchange that is over.
func recalled(s *sidecar, id string) (e *admin.Explanation, is bool) {
	e, err := s.Recall(id)
	return e, err == nil && e.Exchange != nil
}

func TestAMadeUpRequestIsExplainedWithEachCandidateAndWhy(t *testing.T) {
	one := newBackends(t, "one-a", "one-b")
	s := start(t, twoClusters(one, newBackends(t, "two-a"), quick))
	s.awaitReady()
	one[1].die()
	s.awaitState(one[1], "down")
	e, err := s.Explain(admin.Question{Method: "GET", URL: "/one/x"})
	if err != nil {
		t.Fatal(err)
	}
	if e.Cluster != "one" || e.Rule != "the built-in rule" || !strings.Contains(e.Then, "1 of 2 backends") {
		t.Errorf("%+v", e)
	}
	for i, want := range []admin.Candidate{{State: "up", Usable: true}, {State: "down", Skip: "it is down"}} {
		got := e.Backends[i]
		if got.State != want.State || got.Usable != want.Usable || got.Skip != want.Skip || !strings.Contains(got.Why, "checked ") {
			t.Errorf("candidate %+v", got)
		}
	}
	if n := one[0].served.Load(); n != 0 {
		t.Errorf("a backend was asked %d times", n)
	}
	if _, err := s.Explain(admin.Question{Method: "GET", URL: "x"}); err == nil {
		t.Error("a path without a slash is explained")
	}
}

// A name may have several addresses: which one it was is a part of the answer.
func TestABackendThatIsConfiguredByNameIsExplainedWithItsAddress(t *testing.T) {
	one := newBackends(t, "one-a")[0]
	name := "localhost" + one.addr[strings.LastIndexByte(one.addr, ':'):]
	s := start(t, fmt.Sprintf("clusters: { one: { backends: [%q] } }\ntrusted_proxies: [private]\n", name))
	s.awaitReady()
	if a := s.ask("/one/", [2]string{"X-Request-Id", "first"}); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	var e *admin.Explanation
	eventually(t, "the exchange to be recorded", func() (is bool) {
		e, is = recalled(s, "first")
		return is
	})
	if try := e.Exchange.Attempts[0]; try.Backend != name || try.Resolved != one.addr {
		t.Errorf("try %+v, want %s", try, one.addr)
	}
	ahead, err := s.Explain(admin.Question{Method: "GET", URL: "/one/"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []admin.Candidate{e.Backends[0], ahead.Backends[0]} {
		if c.Address != name || c.Resolved != one.addr {
			t.Errorf("candidate %+v, want %s", c, one.addr)
		}
	}
}

func TestAMadeUpRequestIsNeitherCountedNorRecorded(t *testing.T) {
	s, _ := scripted(t, "function route(req) {\n  return req.headers.get('authorization') ? 'one' : 'two';\n}", "")
	e, err := s.Explain(admin.Question{Method: "GET", URL: "/", Headers: [][2]string{{"Authorization", "Bearer very-secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	if e.Cluster != "one" || e.Place != "route.js:2:3" || len(e.Read) != 1 || strings.Contains(e.Read[0].Value, "secret") {
		t.Errorf("%+v", e)
	}
	if script := s.Status().Script; len(script.Decisions) != 0 {
		t.Errorf("counted: %v", script.Decisions)
	}
	if err := s.WriteDecisions(io.Discard, "test"); err == nil {
		t.Error("recorded")
	}
}
