package scripting

import (
	"testing"
)

func TestAReadingTellsWhereRouteReturned(t *testing.T) {
	const code = `
const help = (path) => path === '/helped' ? 'one' : 'two';
function choose(path) {
  if (path === '/a') {
    return 'one';
  }
  return help(path);
}
function route(req) {
  if (req.path === '/none') return;
  if (req.path === '/object')
    return { cluster: 'one', rule: 'why not' };
  if (req.path === '/throw') throw new Error('x');
  return choose(req.path);
}`
	var place string
	s := load(t, code, func(o *Options) {
		o.Places = true
		o.OnCall = func(n *Reading, _ Decision) { place = n.Place }
	})
	for path, want := range map[string]string{
		"/object": "route.js:12:5", "/a": "route.js:14:3", "/helped": "route.js:14:3", "/none": "", "/throw": "",
	} {
		s.Route(get(path))
		if place != want {
			t.Errorf("%s: returned at %q, want %q", path, place, want)
		}
	}
}

func TestAnArrowReturnsWhereItsExpressionIs(t *testing.T) {
	var place string
	s := load(t, "const route = (req) =>\n  req.path === '/x' ? 'one' : 'two';", func(o *Options) {
		o.Places = true
		o.OnCall = func(n *Reading, _ Decision) { place = n.Place }
	})
	if d := s.Route(get("/x")); d.Cluster != "one" || place != "route.js:2:3" {
		t.Errorf("%+v at %q", d, place)
	}
}
