package proxy_test

import (
	"strings"
	"testing"
	"time"

	"outrider/sidecar/proxy"
)

// decided routes every request by one decision.
type decided struct{ proxy.Decision }

func (d decided) Route(*proxy.Request) proxy.Decision { return d.Decision }
func (decided) Limit() time.Duration                  { return 0 }
func (d decided) Overdue() proxy.Decision             { return d.Decision }

func responding(r proxy.Respond) option {
	return func(s *setup) { s.router = decided{proxy.Decision{Respond: &r}} }
}

func TestARouterCanAnswerItself(t *testing.T) {
	s := newSidecar(t, responding(proxy.Respond{
		Status: 418, Header: [][2]string{{"X-A", "b"}, {"date", "now"}, {"X-A", "c"}}, Body: "short and stout",
	}))
	const head = "HTTP/1.1 418 I'm a teapot\r\nX-A: b\r\ndate: now\r\nX-A: c\r\nProxy-Status: sidecar-under-test; details=\"answered here, without a backend\"\r\nContent-Length: 15\r\n"
	c := dialRaw(t, s.addr).send(get(""))
	c.expect(head + "\r\nshort and stout")
	c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").expect(head + "\r\n")
	c.send(post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")).expect(head + "\r\nshort and stout")
	c.send("GET / HTTP/1.0\r\n\r\n").expect(strings.Replace(head, "1.1", "1.0", 1) + "Connection: close\r\n\r\nshort and stout")
	c.expectEnd()
}

func TestARoutersAnswerHasNoBodyWhereThereCanBeNone(t *testing.T) {
	for _, status := range []int{204, 304} {
		s := newSidecar(t, responding(proxy.Respond{Status: status, Body: "hello"}))
		c := dialRaw(t, s.addr)
		for range 2 {
			if head := c.send(get("")).head(); strings.Contains(head, "Content-Length") || !strings.Contains(head, "\r\nDate: ") {
				t.Errorf("client got %q", head)
			}
		}
	}
}

// A script's mistake, or what it copied from a request, writes no second head.
func TestARoutersAnswerThatCanNotBeSentIsA500(t *testing.T) {
	for name, r := range map[string]proxy.Respond{
		"a line break in a value":   {Status: 200, Header: [][2]string{{"X-A", "b\r\nSet-Cookie: c"}}},
		"a bare LF in a value":      {Status: 200, Header: [][2]string{{"X-A", "b\nc"}}},
		"a bare CR in a value":      {Status: 200, Header: [][2]string{{"X-A", "b\rc"}}},
		"a NUL in a value":          {Status: 200, Header: [][2]string{{"X-A", "b\x00"}}},
		"a line break in a name":    {Status: 200, Header: [][2]string{{"X-A: b\r\nX-B", "c"}}},
		"a blank in a name":         {Status: 200, Header: [][2]string{{"X A", "b"}}},
		"a colon in a name":         {Status: 200, Header: [][2]string{{"X-A:", "b"}}},
		"no name":                   {Status: 200, Header: [][2]string{{"", "b"}}},
		"a length":                  {Status: 200, Header: [][2]string{{"content-length", "0"}}},
		"a coding":                  {Status: 200, Header: [][2]string{{"Transfer-Encoding", "chunked"}}},
		"a connection":              {Status: 200, Header: [][2]string{{"Connection", "close"}}},
		"an upgrade":                {Status: 200, Header: [][2]string{{"Upgrade", "h2c"}}},
		"a trailer":                 {Status: 200, Header: [][2]string{{"Trailer", "X-A"}}},
		"an interim status":         {Status: 103},
		"a switch":                  {Status: 101},
		"no status":                 {},
		"a status of four digits":   {Status: 2000},
		"a status that is negative": {Status: -200},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSidecar(t, responding(r))
			c := dialRaw(t, s.addr)
			for range 2 {
				got := c.send(get("")).response()
				if got.StatusCode != 500 || got.Header.Get("X-A") != "" || got.Header.Get("Set-Cookie") != "" {
					t.Errorf("got %s %v", got.Status, got.Header)
				}
			}
		})
	}
}

// An answer of our own is no reason to lose count of a body.
func TestOurOwnAnswerToARequestWithABody(t *testing.T) {
	for name, row := range map[string]struct {
		request string
		stays   bool
	}{
		"a body that has come":         {post("Content-Length: 35\r\n", smuggled), true},
		"chunks that have come":        {post("Transfer-Encoding: chunked\r\n", "23\r\n"+smuggled+"\r\n0\r\n\r\n"), true},
		"a body that is still coming":  {post("Content-Length: 36\r\n", smuggled), false},
		"chunks that are still coming": {post("Transfer-Encoding: chunked\r\n", "24\r\n"+smuggled), false},
		"chunks that are broken":       {post("Transfer-Encoding: chunked\r\n", "zz\r\n"+smuggled), false},
		"a body that waits":            {post("Expect: 100-continue\r\nContent-Length: 5\r\n", ""), false},
	} {
		for who, answered := range map[string]option{
			"a router": responding(proxy.Respond{Status: 503}),
			"a fault":  func(*setup) {}, // no backend
		} {
			t.Run(name+", by "+who, func(t *testing.T) {
				s := newSidecar(t, answered)
				c := dialRaw(t, s.addr).send(row.request)
				if got := c.response(); got.StatusCode/100 == 2 || got.Close == row.stays {
					t.Errorf("got %s, close %v", got.Status, got.Close)
				}
				if !row.stays {
					c.expectEnd()
					return
				}
				if got := c.send(get("Via: 1.1 sidecar-under-test\r\n")).response(); got.StatusCode != 508 {
					t.Errorf("then got %s", got.Status)
				}
			})
		}
	}
}

// Proxy-Status is a structured field: ASCII, with two escapes (RFC 9651, 3.3.3).
func TestProxyStatusIsWellFormedWhateverTheDetail(t *testing.T) {
	s := newSidecar(t, func(s *setup) {
		s.router = decided{proxy.Decision{Fault: &proxy.Fault{Status: 503, Type: "destination_not_found", Detail: "a \"b\" \\ c\u00e4\r\nX: d\x7f"}}}
	})
	got := s.exchange(t, get(""))
	want := `sidecar-under-test; error=destination_not_found; details="a \"b\" \\ c???X: d?"`
	if h := got.Header; h.Get("Proxy-Status") != want || h.Get("X") != "" {
		t.Errorf("got %v, want Proxy-Status %s", h, want)
	}
}

func TestAConnectionTooManyIsTurnedAway(t *testing.T) {
	s := newSidecar(t, func(s *setup) { s.settings.Limits.Connections = 1 })
	dialRaw(t, s.addr)
	until(t, "the first client", func() bool { return s.Clients() == 1 })
	dialRaw(t, s.addr).expectTurnedAway()
}
