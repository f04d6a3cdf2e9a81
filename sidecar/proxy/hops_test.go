package proxy_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestOptionsGoesAsFarAsMaxForwardsSays(t *testing.T) {
	for _, row := range []struct{ sent, passed string }{
		{"OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 7\r\n\r\n", "Max-Forwards: 6\r\n"},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 1\r\n\r\n", "Max-Forwards: 0\r\n"},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\nmax-forwards: 12\r\n\r\n", "Max-Forwards: 11\r\n"},
		{"GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n", "Max-Forwards: 0\r\n"},
		{"GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: what\r\n\r\n", "Max-Forwards: what\r\n"},
	} {
		u := newUpstream(t, answers(ok))
		if a := newSidecar(t, to(u)).ask(t, row.sent); a.StatusCode != http.StatusOK {
			t.Errorf("%q: %s", row.sent, a.Status)
		}
		got := u.got()
		if strings.Count(strings.ToLower(got), "max-forwards") != 1 || !strings.Contains(got, "\r\n"+row.passed) {
			t.Errorf("%q went on as %q, want %q", row.sent, got, row.passed)
		}
	}
}

func TestTheLastRecipientOfOptionsAnswersItself(t *testing.T) {
	u := newUpstream(t, answers(ok))
	s := newSidecar(t, to(u))
	c := dialRaw(t, s.addr)
	for _, target := range []string{"*", "/one/", "http://x/"} {
		a := c.send("OPTIONS " + target + " HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n").response()
		if a.StatusCode != http.StatusOK || !strings.Contains(a.Header.Get("Allow"), "GET") || a.body != "" {
			t.Errorf("%s: %s, Allow %q, %q", target, a.Status, a.Header.Get("Allow"), a.body)
		}
	}
	s.rest(t)
	if u.accepted() != 0 {
		t.Error("a backend was asked")
	}
}

func TestAMaxForwardsThatIsNoNumberIsRefused(t *testing.T) {
	for _, value := range []string{"", "-1", "+1", "x", "1, 2", "1 2", "0x1", "99999999999999999999"} {
		u := newUpstream(t, answers(ok))
		a := newSidecar(t, to(u)).ask(t, "OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: "+value+"\r\n\r\n")
		expectFault(t, a, http.StatusBadRequest, "http_request_error")
		if u.accepted() != 0 {
			t.Errorf("%q: a backend was asked", value)
		}
	}
}
