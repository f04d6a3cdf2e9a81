package admin

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

var json1 = [2]string{"Content-Type", "application/json"}

// post1 is a write with the token and a body.
func post1(path, body string) ask {
	return ask{method: post, path: path, header: [][2]string{bearerOf(token), json1}, body: strings.NewReader(body)}
}

func TestTheTextOfAScriptNeedsTheTokenAlsoOnLoopback(t *testing.T) {
	address := serveAPI(t, &far{script: ScriptText{Script: &ScriptStatus{}, Text: "function route() {}"}})
	response, body := ask{path: "/script"}.to(t, address)
	wantRefusal(t, response, body, 401, "GET /script needs the admin token")
	response, body = ask{path: "/script", header: [][2]string{bearerOf(token)}}.to(t, address)
	if response.StatusCode != http.StatusOK || !strings.Contains(body, "function route() {}") || !strings.Contains(body, `"editable": false`) {
		t.Errorf("answer %d %s", response.StatusCode, body)
	}
}

func TestADraftIsJudgedWithoutBeingSaved(t *testing.T) {
	sidecar := &far{tried: DraftReport{OK: true, Summary: "of the last 3 requests 1 moves"}}
	response, body := post1("/script/validate", `{"text":"function route() {}"}`).to(t, serveAPI(t, sidecar))
	if response.StatusCode != http.StatusOK || !strings.Contains(body, "1 moves") || strings.Contains(body, "null") {
		t.Errorf("answer %d %s", response.StatusCode, body)
	}
	if sidecar.saved != nil {
		t.Errorf("saved %+v", sidecar.saved)
	}
}

func TestAScriptIsSavedOnlyWhereThatIsAllowed(t *testing.T) {
	const draft = `{"text":"x","base":"b"}`
	sidecar := &far{}
	response, body := post1("/script", draft).to(t, serveAPI(t, sidecar))
	wantRefusal(t, response, body, 403, "admin: { edit: true }")

	address := serve(t, Handler(Options{Sidecar: sidecar, Token: token, Loopback: true, Edit: true, Log: silent()}))
	if response, body = post1("/script", draft).to(t, address); response.StatusCode != http.StatusOK {
		t.Errorf("answer %d %s", response.StatusCode, body)
	}
	if len(sidecar.saved) != 1 || sidecar.saved[0] != (Draft{"x", "b"}) {
		t.Errorf("saved %+v", sidecar.saved)
	}
	sidecar.save = errors.New("route.js:1:1: SyntaxError")
	response, body = post1("/script", draft).to(t, address)
	wantRefusal(t, response, body, 422, "route.js:1:1: SyntaxError")
}

func TestProfilesNeedTheTokenAndTheKey(t *testing.T) {
	for _, row := range []struct {
		pprof  bool
		header [][2]string
		status int
	}{{false, [][2]string{bearerOf(token)}, 404}, {true, nil, 401}, {true, [][2]string{bearerOf(token)}, 200}} {
		address := serve(t, Handler(Options{Sidecar: &far{}, Token: token, Loopback: true, Pprof: row.pprof, Log: silent()}))
		response, _ := ask{path: "/debug/pprof/heap", header: row.header}.to(t, address)
		if response.StatusCode != row.status {
			t.Errorf("%+v: answer %d", row, response.StatusCode)
		}
	}
}
