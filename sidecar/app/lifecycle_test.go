package app_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/admin"
	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

func TestAGracefulStopFinishesTheRequestUnderWay(t *testing.T) {
	one := newBackends(t, "one-a")
	arrived, goOn := make(chan struct{}), make(chan struct{})
	one[0].does(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		_, _ = io.WriteString(w, "to the end")
	})
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\nshutdown: { grace: 20s }\n", list(one...), seldom))
	s.awaitReady()
	idle := dial(t, s)
	got := make(chan answer, 1)
	var client sync.WaitGroup
	defer client.Wait()
	client.Go(func() {
		a, err := s.try("/")
		if err != nil {
			t.Errorf("the request under way: %v", err)
		}
		got <- a
	})
	<-arrived
	client.Go(s.end)
	eventually(t, "nobody is let in any more", func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if _, err := idle.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection ends with %v, want its end", err)
	}
	if err := s.Ready(); err == nil || err.Error() != "stopping" {
		t.Errorf("a sidecar that stops is ready: %v", err)
	}
	close(goOn)
	if a := <-got; a.body != "to the end" {
		t.Errorf("the request under way got %+v", a)
	}
}

func TestDrainServesOnWhileUnready(t *testing.T) {
	one := newBackends(t, "one-a")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\nshutdown: { drain: 1m, grace: 1s }\n", list(one...), seldom))
	s.awaitReady()
	w := dial(t, s)
	w.get("/")
	var stopping sync.WaitGroup
	defer stopping.Wait()
	stopping.Go(s.end)
	eventually(t, "unready", func() bool { return s.Ready() != nil })
	if a := w.get("/"); a.body != "one-a" {
		t.Errorf("while it drains: %+v", a)
	}
	newcomer := dial(t, s)
	if a := newcomer.get("/"); a.body != "one-a" {
		t.Errorf("a new client while it drains: %+v", a)
	}
	_ = newcomer.conn.Close()
	_ = w.conn.Close() // the last client has left: it need not wait for the minute
}

func TestARequestBeyondTheGraceIsCut(t *testing.T) {
	one := newBackends(t, "one-a")
	hang(one[0])
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\nshutdown: { grace: 100ms }\n", list(one...), seldom))
	w := dial(t, s)
	if _, err := io.WriteString(w.conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the backend has it", func() bool { return one[0].served.Load() == 1 })
	s.end()
	if _, err := w.in.ReadByte(); err == nil {
		t.Error("the request got an answer")
	}
}

// There are many clusters, so that it takes a moment until all know their backends.
func TestTheFirstRequestOfAllFindsABackend(t *testing.T) {
	far := newBackends(t, "far")
	many := func(prefix string) string {
		text := fmt.Sprintf("listen: [{ address: '127.0.0.1:0', cluster: %s99 }]\nclusters:\n", prefix)
		for i := range 100 {
			text += fmt.Sprintf("  %s%d: { backends: %s, check: { type: off } }\n", prefix, i, list(far...))
		}
		return text
	}
	early := make(chan net.Conn, 1)
	start(t, many("a"), func(o *app.Options) {
		o.Listen = func(_, address string) (net.Listener, error) {
			ln, err := net.Listen("tcp", address)
			if err != nil {
				return nil, err
			}
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				return nil, err
			}
			early <- conn
			_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			return ln, err
		}
	})
	conn := <-early
	defer func() { _ = conn.Close() }()
	w := &wire{t, conn, bufio.NewReader(conn)}
	if a := w.read("the first request"); a.body != "far" {
		t.Errorf("it got %+v", a)
	}
}

func TestAClusterThatAReloadBringsHasItsBackendsAtOnce(t *testing.T) {
	far := newBackends(t, "far")
	some := func(n int) string {
		text := "clusters:\n"
		for i := range n {
			text += fmt.Sprintf("  c%d: { backends: %s, check: { type: off } }\n", i, list(far...))
		}
		return text + fmt.Sprintf("default_cluster: c%d\n", n-1)
	}
	s := start(t, some(1))
	s.awaitReady()
	s.write(some(100))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/"); a.body != "far" {
		t.Errorf("right after the reload: %+v", a)
	}
}

func TestFiveSidecarsInOneProcess(t *testing.T) {
	var sidecars []*sidecar
	for i := range 5 {
		one, two := newBackends(t, fmt.Sprintf("one-%d", i)), newBackends(t, fmt.Sprintf("two-%d", i))
		sidecars = append(sidecars, start(t, "name: same\n"+twoClusters(one, two, quick)))
		if i == 2 {
			one[0].die()
		}
	}
	for i, s := range sidecars {
		s.awaitReady()
		if i == 2 {
			eventually(t, "one cluster of the third is down", func() bool { return s.get("/one/").status == 503 })
			continue
		}
		for path, want := range map[string]string{"/one/": fmt.Sprintf("one-%d", i), "/": fmt.Sprintf("two-%d", i)} {
			if a := s.get(path); a.body != want {
				t.Errorf("sidecar %d answers %s with %+v", i, path, a)
			}
		}
	}
	sidecars[0].end()
	if a := sidecars[1].get("/"); a.body != "two-1" {
		t.Errorf("when another one has ended: %+v", a)
	}
}

// Sidecars of one name stand in a row in many places: only coming back is a loop.
func TestOneSidecarBehindAnotherIsNoLoopButTwoInACircleAre(t *testing.T) {
	far := newBackends(t, "far")
	near := start(t, fmt.Sprintf("name: same\nclusters:\n  one:\n    backends: %s\n    check: { type: off }\n", list(far...)))
	front := start(t, fmt.Sprintf("name: same\nclusters:\n  one:\n    backends: [%q]\n    check: { type: off }\n", near.addr))
	if a := front.get("/"); a.body != "far" {
		t.Errorf("through both: %+v", a)
	}
	near.write(fmt.Sprintf("name: same\nclusters:\n  one:\n    backends: [%q]\n    check: { type: off }\n", front.addr))
	if err := near.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a circle", func() bool { return front.get("/").status == 508 })
}

func TestABusyPortNamesItselfAndLeavesNothingOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for key, text := range map[string]string{
		"listener main": "listen: %q\nstatus: { listen: '' }\nadmin: { listen: '' }\n",
		"status.listen": "listen: '127.0.0.1:0'\nadmin: { listen: '' }\nstatus: { listen: %q }\n",
		"admin.listen":  "listen: '127.0.0.1:0'\nstatus: { listen: '' }\nadmin: { listen: %q }\n",
	} {
		t.Run(key, func(t *testing.T) {
			c, err := config.Load(config.Source{
				Env: []string{"OUTRIDER_CONFIG=" + fmt.Sprintf(text, taken.Addr()) + "clusters: { one: { backends: ['127.0.0.1:1'] } }\n"},
			})
			if err != nil {
				t.Fatal(err)
			}
			a, err := app.New(c, app.Options{Log: newLogbook(t).logger, OnOpen: func() error {
				t.Error("told to be open")
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			err = a.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), taken.Addr().String()) || !strings.Contains(err.Error(), "in use") {
				t.Fatalf("it says %v", err)
			}
			for _, address := range a.Addresses() {
				if ln, err := net.Listen("tcp", address); err == nil {
					_ = ln.Close()
				} else {
					t.Errorf("%s is still open", address)
				}
			}
		})
	}
}

func TestRunEndsWhenOnOpenFails(t *testing.T) {
	c, err := config.Load(config.Source{Env: []string{"OUTRIDER_CONFIG=listen: '127.0.0.1:0'\nstatus: { listen: '' }\nadmin: { listen: '' }\nclusters: { one: { backends: ['127.0.0.1:1'] } }\n"}})
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("no room for the token")
	a, err := app.New(c, app.Options{Log: newLogbook(t).logger, OnOpen: func() error { return why }})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); !errors.Is(err, why) {
		t.Errorf("it ends with %v", err)
	}
}

func TestTheDoorsOfThoseWhoOperateIt(t *testing.T) {
	ports := freeAddresses(t, 2)
	status, operator := ports[0], ports[1]
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	s := start(t, fmt.Sprintf("status: { listen: %q }\nadmin: { listen: %q }\n", status, operator)+twoClusters(one, two, quick))
	s.awaitReady()
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/status": 404} {
		response, err := s.client.Get("http://" + status + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s is answered %d, want %d", path, response.StatusCode, want)
		}
	}
	client := admin.Client{Address: operator, Token: "open-sesame"}
	known, err := client.Status(t.Context())
	if err != nil || !known.Ready || len(known.Clusters) != 2 || known.Listeners[0].Address != s.addr {
		t.Errorf("the status is %+v, %v", known, err)
	}
	if err := client.Reload(t.Context()); err != nil {
		t.Errorf("a reload with the token: %v", err)
	}
	if err := (admin.Client{Address: operator, Token: "wrong"}).Reload(context.Background()); err == nil || len(s.log.all("reloaded")) != 1 {
		t.Errorf("a reload with a wrong token: %v", err)
	}
}

// freeAddresses are addresses that nobody listens on.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		addresses = append(addresses, ln.Addr().String())
	}
	return addresses
}

func TestAListenerOfAClusterAsksNobody(t *testing.T) {
	one, two := newBackends(t, "one-a"), newBackends(t, "two-a")
	s := start(t, "listen: [{ name: fixed, address: '127.0.0.1:0', cluster: one }]\n"+twoClusters(one, two, quick))
	if a := s.get("/anything"); a.body != "one-a" {
		t.Errorf("got %+v", a)
	}
}

func TestRequestsAreLoggedAtDebugWithTheBackendChosen(t *testing.T) {
	book := newLogbook(t)
	book.logger.SetLevel(logrus.DebugLevel)
	one := newBackends(t, "one-a")
	s := start(t, fmt.Sprintf("clusters:\n  one:\n    backends: %s\n    %s\n", list(one...), quick), func(o *app.Options) { o.Requests = book.logger })
	s.get("/path?query")
	l := book.await(t, "request")
	for key, want := range map[string]any{
		"method": "GET", "path": "/path", "status": 200, "cluster": "one", "backend": one[0].addr, "client": "127.0.0.1",
	} {
		if l.fields[key] != want {
			t.Errorf("%s is %v, want %v", key, l.fields[key], want)
		}
	}
}
