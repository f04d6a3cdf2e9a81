package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestAClientOfAnotherProtocolIsToldSoAndLogged(t *testing.T) {
	for name, row := range map[string]struct {
		hello, protocol, detail string
		status                  int
	}{
		"TLS":      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS", "this is a TLS handshake, but the listener speaks cleartext HTTP", 400},
		"HTTP/0.9": {"GET /\r\n", "HTTP/0.9", "this is HTTP/0.9", 400},
		"SOCKS 4":  {"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", "SOCKS", "this is a SOCKS handshake", 400},
		"SOCKS 5":  {"\x05\x01\x00", "SOCKS", "this is a SOCKS handshake", 400},
		"PROXY 1":  {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + getRoot, "PROXY protocol", "this is a PROXY protocol header", 400},
		"PROXY 2":  {"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + strings.Repeat("\x01", 12) + getRoot, "PROXY protocol", "this is a PROXY protocol header", 400},
		"SSH":      {"SSH-2.0-OpenSSH_9.2\r\n", "SSH", "this is an SSH client", 400},
		"garbage":  {"\x80\x2e\x01\x03\x01", "", "this is not an HTTP/1 message", 400},
	} {
		t.Run(name, func(t *testing.T) {
			app := newUpstream(t, answers(ok))
			hook, log := logged()
			s := newSidecar(t, to(app), log)
			for range 3 {
				c := dialRaw(t, s.addr).send(row.hello)
				got := c.response()
				if got.StatusCode != row.status || !got.Close || !strings.Contains(got.body, row.detail) ||
					!strings.Contains(got.Header.Get("Proxy-Status"), row.detail) {
					t.Errorf("got %s %v %q", got.Status, got.Header, got.body)
				}
				c.expectEnd()
			}
			entries := hook.AllEntries()
			if row.protocol == "" {
				if len(entries) != 0 {
					t.Errorf("the log says %v", entries)
				}
				return
			}
			if len(entries) != 1 || entries[0].Data["protocol"] != row.protocol || entries[0].Data["client"] != "127.0.0.1" || entries[0].Data["listener"] != "test" {
				t.Errorf("the log says %v, want it once", entries)
			}
			if app.accepted() > 0 {
				t.Errorf("the upstream got %q", app.got())
			}
		})
	}
}

func TestABackendOfAnotherProtocolIsNamed(t *testing.T) {
	const settings = "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"
	for name, row := range map[string]struct{ hello, reason string }{
		"a TLS alert":     {"\x15\x03\x01\x00\x02\x02\x46", "it answers in TLS: give the cluster `tls`"},
		"a TLS handshake": {"\x16\x03\x03\x00\x7a\x02\x00", "it answers in TLS: give the cluster `tls`"},
		"HTTP/2":          {settings, "it answers in HTTP/2"},
		"SSH":             {"SSH-2.0-OpenSSH_9.2\r\n", "it is an SSH server"},
		"SMTP":            {"220 mail.example ESMTP\r\n", "it greets like an SMTP or FTP server"},
		"Redis":           {"-ERR unknown command 'GET'\r\n", "it answers like a Redis server"},
		"HTTP/0.9":        {"<html>hello</html>\n", "it sends a page without a head"},
		"garbage":         {"\x01\x02\x03", "this is not an HTTP/1 message"},
	} {
		for when, early := range map[string]bool{"as an answer": false, "at once": true} {
			t.Run(name+" "+when, func(t *testing.T) {
				hook, log := logged()
				app := newUpstream(t, func(c *far) {
					if !early {
						c.request()
					}
					c.write(row.hello)
					c.awaitClose()
				})
				s := newSidecar(t, to(app), log)
				for range 2 {
					got := s.exchange(t, get(""))
					expectFault(t, got, http.StatusBadGateway, "http_protocol_error")
					if !strings.Contains(got.body, row.reason) || !strings.Contains(got.Header.Get("Proxy-Status"), row.reason) {
						t.Errorf("the client is told %q and %v", got.body, got.Header)
					}
				}
				entries := hook.AllEntries()
				if len(entries) != 1 || !strings.Contains(fmt.Sprint(entries[0].Data["reason"]), row.reason) {
					t.Errorf("the log says %v, want it once", entries)
				}
			})
		}
	}
}
