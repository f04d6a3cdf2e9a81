package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTheClientReadsTheStatusThatTheSidecarGave(t *testing.T) {
	want := Status{Name: "web-1", Uptime: Seconds(1500 * time.Millisecond), Clusters: []ClusterStatus{{Name: "one", Usable: 1, Total: 1,
		Backends: []BackendStatus{{Name: "app-a:8080", State: "up", Since: time.Now().UTC().Round(time.Millisecond)}}}}}.withoutNulls()
	address := serveAPI(t, &far{status: want})
	got, err := Client{Address: address}.Status(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestTheClientReloads(t *testing.T) {
	sidecar := &far{}
	client := Client{Address: serveAPI(t, sidecar), Token: token}
	if err := client.Reload(t.Context()); err != nil || sidecar.reloads.Load() != 1 {
		t.Errorf("%v after %d reloads", err, sidecar.reloads.Load())
	}
}

func TestTheClientRollsBack(t *testing.T) {
	client := Client{Address: serveAPI(t, &far{status: Status{Script: &ScriptStatus{Version: "0c7e"}}}), Token: token}
	if script, err := client.Rollback(t.Context()); err != nil || script.Version != "0c7e" {
		t.Errorf("%+v, %v", script, err)
	}
}

func TestTheClientAsksForPeersAndHealthAndDrains(t *testing.T) {
	sidecar := &far{}
	client := Client{Address: serveAPI(t, sidecar), Token: token}
	if p, err := client.Peers(t.Context()); err != nil || p.Peers[0].Name != "web-2" {
		t.Errorf("%+v, %v", p, err)
	}
	if h, err := client.Health(t.Context()); err != nil || h.Self != "web-1" {
		t.Errorf("%+v, %v", h, err)
	}
	if d, err := client.Drain(t.Context(), false); err != nil || d != (DrainStatus{Draining: true, Peers: 1}) {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := client.Drain(t.Context(), true); err != nil || d.Draining {
		t.Errorf("%+v, %v", d, err)
	}
	sidecar.refuses = errors.New("there is no gossip")
	if _, err := client.Drain(t.Context(), false); err == nil || err.Error() != "refused: there is no gossip" {
		t.Errorf("%v", err)
	}
	client.Token = ""
	if _, err := client.Drain(t.Context(), false); err == nil {
		t.Error("it drains without the token")
	}
}

func TestTheClientReadsDecisions(t *testing.T) {
	client := Client{Address: serveAPI(t, &far{decisions: map[string]string{"a b": "{1}\n", "c": "{2}\n"}}), Token: token}
	if lines, err := client.Decisions(t.Context(), ""); err != nil || string(lines) != "{1}\n{2}\n" {
		t.Errorf("%q, %v", lines, err)
	}
	if lines, err := client.Decisions(t.Context(), "a b"); err != nil || string(lines) != "{1}\n" {
		t.Errorf("%q, %v", lines, err)
	}
	if _, err := client.Decisions(t.Context(), "d"); err == nil || !strings.Contains(err.Error(), "no decision on d") {
		t.Errorf("%v", err)
	}
}

func TestTheClientReachesAListenerOnAllInterfaces(t *testing.T) {
	_, port, _ := net.SplitHostPort(serveAPI(t, &far{}))
	for _, address := range []string{":" + port, "0.0.0.0:" + port, "127.0.0.1:" + port} {
		if _, err := (Client{Address: address}).Status(t.Context()); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for given, want := range map[string]string{"[::]:6189": "[::1]:6189", "[::1]:6189": "[::1]:6189", "web-1:6189": "web-1:6189"} {
		if got, err := dialable(given); got != want {
			t.Errorf("%s is asked at %s, %v", given, got, err)
		}
	}
}

func TestTheClientSaysWhatWentWrong(t *testing.T) {
	sidecar := &far{reload: func(context.Context) error { return errors.New("outrider.yaml:3:1: unknown key") }}
	api := serveAPI(t, sidecar)
	closed := freeAddress(t)

	for _, row := range []struct {
		name string
		ask  func(context.Context) error
		want string
	}{
		{"nothing listens", Client{Address: closed}.Reload,
			"nothing listens on " + closed + ": is outrider running, and is admin.listen the same in this configuration?"},
		{"no token", Client{Address: api}.Reload, api + " answers: POST /reload needs the admin token"},
		{"a wrong token", Client{Address: api, Token: "x"}.Reload, api + " answers: this is not the admin token of this sidecar"},
		{"a token that cannot be sent", Client{Address: api, Token: "x\n"}.Reload, "ask " + api + ": "},
		{"refused", Client{Address: api, Token: token}.Reload, "refused: outrider.yaml:3:1: unknown key"},
		{"off", Client{}.Reload, "the admin listener is off: set admin.listen"},
		{"no address", Client{Address: "6189"}.Reload, `"6189" is not an address: write host:port`},
		{"the status listener", Client{Address: serve(t, StatusHandler(sidecar, http.NotFoundHandler()))}.Reload, `there is no "/reload" here`},
		{"another server", Client{Address: serve(t, http.NotFoundHandler())}.Reload, "but not as outrider's admin listener does"},
		{"another server that is glad", Client{Address: serve(t, answering("<h1>hello</h1>"))}.Reload, "but not as outrider's admin listener does"},
		{"a redirect", Client{Address: serve(t, http.RedirectHandler("http://"+api+"/reload", http.StatusTemporaryRedirect)), Token: token}.Reload,
			`answers "307 Temporary Redirect", but not as outrider`},
		{"a closed door", Client{Address: listenOnce(t, closeUnanswered)}.Reload, "closed the connection before its answer was whole"},
		{"half an answer", Client{Address: listenOnce(t, answerHalf)}.Reload, "closed the connection before its answer was whole"},
		{"silence", func(ctx context.Context) error {
			soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			return Client{Address: listenOnce(t, func(net.Conn) {})}.Reload(soon)
		}, "does not answer in time: context deadline exceeded"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := row.ask(t.Context()); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %s", err, row.want)
			}
		})
	}
}

func freeAddress(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func answering(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func closeUnanswered(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 4096))
	conn.Close()
}

func answerHalf(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 4096))
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
	conn.Close()
}

// listenOnce is a server for one connection, which is closed with the test.
func listenOnce(t *testing.T, do func(net.Conn)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var conn net.Conn
	go func() {
		defer close(ended)
		if conn, err = ln.Accept(); err == nil {
			do(conn)
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-ended
		if conn != nil {
			conn.Close()
		}
	})
	return ln.Addr().String()
}
