package app_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outrider/scripts"
)

// The same requests go to a sidecar without a script and to one with
// scripts/default.js: they must not differ on any.
func TestTheBuiltInRuleDecidesLikeTheDefaultScript(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))
	one, two := newBackends(t, "one"), newBackends(t, "two")
	script := filepath.Join(t.TempDir(), "default.js")
	writeFile(t, script, string(scripts.Default))
	configuration := twoClusters(one, two, seldom)
	builtin := dial(t, start(t, configuration))
	scripted := dial(t, start(t, configuration+fmt.Sprintf("script: { file: %q, timeout: 10s }\ndefault_cluster: two\n", script)))

	seen := make(map[string]int)
	const requests, batch = 10_000, 50
	for range requests / batch {
		var lines []string
		for range batch {
			lines = append(lines, randomRequest(rng))
		}
		by, js := builtin.ask(lines), scripted.ask(lines)
		for i, line := range lines {
			if by[i] != js[i] {
				t.Fatalf("seed %d: %q goes to %q by the rule, to %q by the script", seed, line, by[i], js[i])
			}
			seen[by[i]]++
		}
	}
	if seen["one"] < requests/10 || seen["two"] < requests/10 || seen["one"]+seen["two"] != requests {
		t.Errorf("the requests prove little: %v", seen)
	}
}

// randomRequest is the head of a request whose path is often nearly /one/.
func randomRequest(rng *rand.Rand) string {
	pieces := []string{"/one/", "/one", "/One/", "/two/", "/", "//", "one", "..", ".", "%2F", "%6Fne", "/o%6ee/", ";", "~", "a", "0", ":", "@", "%C3%A9", "%00", "*", "'"}
	var path strings.Builder
	path.WriteString("/")
	if rng.IntN(3) == 0 {
		path.Reset()
		path.WriteString("/one/")
	}
	for range rng.IntN(5) {
		path.WriteString(pieces[rng.IntN(len(pieces))])
	}
	if rng.IntN(4) == 0 {
		path.WriteString("?/one/=" + pieces[rng.IntN(5)])
	}
	target := path.String()
	if rng.IntN(10) == 0 {
		target = "http://test" + target
	}
	method := []string{"GET", "GET", "POST", "DELETE", "BREW"}[rng.IntN(5)]
	return method + " " + target + " HTTP/1.1\r\nHost: test\r\n\r\n"
}

// wire is one connection to a sidecar.
type wire struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dial(t testing.TB, s *sidecar) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t, conn, bufio.NewReader(conn)}
}

// ask sends requests in one go, and gives the bodies of the responses.
func (w *wire) ask(requests []string) (bodies []string) {
	w.t.Helper()
	_ = w.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(w.conn, strings.Join(requests, "")); err != nil {
		w.t.Fatal(err)
	}
	for _, request := range requests {
		bodies = append(bodies, w.read(request).body)
	}
	return bodies
}

// get asks for a path on this connection.
func (w *wire) get(path string) answer {
	w.t.Helper()
	_ = w.conn.SetDeadline(time.Now().Add(patience))
	request := "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n"
	if _, err := io.WriteString(w.conn, request); err != nil {
		w.t.Fatal(err)
	}
	return w.read(request)
}

func (w *wire) read(request string) answer {
	w.t.Helper()
	response, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.t.Fatalf("the answer to %q: %v", request, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatalf("the answer to %q: %v", request, err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}
