package scripting

import "testing"

func TestACallByRouteOnceFindsARuntimeThatHasServedNothing(t *testing.T) {
	s := load(t, "let n = 0; function route() { return { cluster: 'one', rule: String(n++) }; }", func(o *Options) { o.Workers = 1 })
	for range 20 {
		d := s.RouteOnce(get("/"), Moment{})
		for d.Outcome == Busy { // the runtime of the call before is being replaced
			d = s.RouteOnce(get("/"), Moment{})
		}
		if d.Rule != "0" {
			t.Fatalf("%+v", d)
		}
	}
	slow := load(t, "function route() { for (;;) {} }", func(o *Options) { o.Workers = 1 })
	if d := slow.RouteOnce(get("/"), Moment{}); d.Outcome != Timeout {
		t.Errorf("%+v", d)
	}
}
