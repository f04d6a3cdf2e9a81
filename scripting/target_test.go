package scripting

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// shares routes many requests and counts where they go.
func shares(s *rig, n int, change func(i int) (Request, Moment)) map[string]int {
	counts := make(map[string]int)
	for i := range n {
		r, m := change(i)
		d := s.RouteAt(r, m)
		counts[d.Cluster+" "+d.Outcome.String()]++
	}
	return counts
}

func TestWeightsSplitTheRequests(t *testing.T) {
	for _, code := range []string{"return {one: 3, two: 1, three: 0};", "return {cluster: {one: 3, two: 1}};"} {
		s := load(t, route(code))
		got := shares(s, 4000, func(i int) (Request, Moment) { return get("/"), Moment{Seed: uint64(i + 1)} })
		if n := got["one ok"]; len(got) != 2 || math.Abs(float64(n)-3000) > 150 {
			t.Errorf("%s: %v", code, got)
		}
	}
}

func TestASideWithoutUsableBackendsIsDrawnAgain(t *testing.T) {
	s := load(t, route("return {one: 50, two: 50, three: 0};"))
	s.fleet.set("one", 0)
	got := shares(s, 1000, func(i int) (Request, Moment) { return get("/"), Moment{Seed: uint64(i + 1)} })
	if len(got) != 2 || got["two ok"]+got["two fallback"] != 1000 || got["two fallback"] < 400 {
		t.Errorf("%v", got)
	}
	s.fleet.set("two", 0)
	s.fleet.set("three", 0)
	if d := s.Route(get("/")); d.Cluster != "one" || d.Outcome != OK {
		t.Errorf("without any usable side: %+v", d)
	}
}

func TestAHashKeyHasItsSideOfASplit(t *testing.T) {
	s := load(t, route("return {cluster: {one: 50, two: 50}, hashKey: req.path};"))
	sides := make(map[string]int)
	for i := range 200 {
		path := fmt.Sprintf("/%d", i)
		first := s.Route(get(path))
		sides[first.Cluster]++
		for range 3 {
			if d := s.Route(get(path)); d.Cluster != first.Cluster || d.HashKey != path {
				t.Fatalf("%s: %+v, before %+v", path, d, first)
			}
		}
	}
	if sides["one"] < 70 || sides["two"] < 70 {
		t.Errorf("%v", sides)
	}
	s.fleet.set("two", 0) // those of one stay
	for i := range 200 {
		if d := s.Route(get(fmt.Sprintf("/%d", i))); d.Cluster != "one" || d.Outcome == OK != (hash(fmt.Sprintf("/%d", i)) < 0.5) {
			t.Fatalf("%d: %+v", i, d)
		}
	}
}

func TestBehindClusterASplitMayNameAnything(t *testing.T) {
	s := load(t, route("return {cluster: {path: 1, rule: 0}};"))
	s.fleet.set("path", 1)
	s.fleet.set("rule", 1)
	if d := s.Route(get("/")); d.Cluster != "path" || d.Outcome != OK {
		t.Errorf("%+v", d)
	}
}

func TestAnUnknownClusterInASplitFails(t *testing.T) {
	if d := load(t, route("return {one: 1, tow: 0};"), onErrorTwo).Route(get("/")); d.Outcome != UnknownCluster || d.Cluster != "two" || !strings.Contains(d.Err.Error(), `did you mean "two"?`) {
		t.Errorf("%+v", d)
	}
}

func TestAnObjectSaysEverything(t *testing.T) {
	s := load(t, route(`return {
		cluster: ['one', 'two'], rule: 'all of it', hashKey: 'ann', path: '/new?x=1', timeout: '2s',
		requestHeaders: {'X-A': 'b', Cookie: null, Host: 'other.example:8080'},
		responseHeaders: {'Set-Cookie': ['a=1', 'b=2'], Server: null, 'X-C': ''},
	};`))
	got := s.Route(get("/"))
	want := Decision{
		Cluster: "one", Rule: "all of it", HashKey: "ann", Path: "/new?x=1", Timeout: 2 * time.Second,
		RequestHeaders:  []HeaderEdit{{"X-A", []string{"b"}}, {"Cookie", nil}, {"Host", []string{"other.example:8080"}}},
		ResponseHeaders: []HeaderEdit{{"Set-Cookie", []string{"a=1", "b=2"}}, {"Server", nil}, {"X-C", []string{""}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestATimeoutIsMillisecondsOrADuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"1500": 1500 * time.Millisecond, "0.5": time.Millisecond, "'2m'": 2 * time.Minute, "null": 0, "86400000": 24 * time.Hour} {
		if d := load(t, route("return {cluster: 'one', timeout: "+text+"};")).Route(get("/")); d.Timeout != want || d.Outcome != OK {
			t.Errorf("%s: %+v", text, d)
		}
	}
}
