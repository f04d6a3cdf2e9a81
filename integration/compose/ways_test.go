//go:build integration

package compose_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// called is what an app says of a call that it was asked to make.
type called struct {
	App    string
	Status int
	Body   string
}

func (s *shop) call(app, target string) called {
	s.t.Helper()
	a := ask(s.url("pair-"+strings.TrimPrefix(app, "app-"), inFront, "/call?url="+url.QueryEscape(target)))
	var c called
	if err := json.Unmarshal([]byte(a.body), &c); err != nil || !a.fine() {
		s.t.Fatalf("%s calls %s: %v", app, target, a)
	}
	return c
}

func TestThreeWaysIn(t *testing.T) {
	s := openShop(t)

	t.Run("in front: the app's port is the sidecar's, and the script is not asked", func(t *testing.T) {
		var answers record
		for range 100 {
			answers = append(answers, ask(s.url("pair-a", inFront, "/one/")))
		}
		answers.expectFine(t, 100)
		answers.expectShares(t, 0, "app-a")
	})

	t.Run("base URL: the app calls its sidecar on loopback", func(t *testing.T) {
		shares := map[string]int{}
		for range 100 {
			if c := s.call("app-c", "http://127.0.0.1:6188/one/orders"); c.Status == http.StatusOK {
				shares[c.App]++
			}
		}
		if shares["app-a"] != 50 || shares["app-b"] != 50 {
			t.Errorf("app-c was answered by %v", shares)
		}
	})

	t.Run("HTTP_PROXY: the app calls any name, and the script sees it as the host", func(t *testing.T) {
		s.write("default.js", `function route(req) { return req.host === 'orders.shop' ? 'one' : 'two'; }`)
		s.eventually("the script by host is active", func() bool { return strings.Contains("app-a app-b", s.call("app-c", "http://orders.shop/").App) })
		for target, cluster := range map[string]string{"http://orders.shop/x?y=z": "app-a app-b", "http://else.shop/x?y=z": "app-c app-d"} {
			for range 100 {
				c := s.call("app-c", target)
				if c.Status != http.StatusOK || !strings.Contains(cluster, c.App) || !strings.Contains(c.Body, `"path": "/x?y=z"`) {
					t.Errorf("%s: %+v", target, c)
				}
			}
		}
	})

	t.Run("CONNECT is told what to do instead", func(t *testing.T) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.at("a", ""), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "CONNECT orders.shop:443 HTTP/1.1\r\nHost: orders.shop:443\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(string(text), "use http:// and let the cluster do TLS") {
			t.Errorf("CONNECT is answered %s %s", response.Status, text)
		}
	})
}
