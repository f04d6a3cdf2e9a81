package admin

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestStatusIsTheJSONThatIsDocumented(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)
	sidecar := &far{status: Status{
		Name: "web-1", Version: "1.2.3", Uptime: Seconds(90*time.Second + 250*time.Millisecond + 7), Ready: true,
		Listeners: []ListenerStatus{{Name: "main", Address: "127.0.0.1:6188"}, {Name: "in", Address: "127.0.0.1:8080", Cluster: "app"}},
		Clusters: []ClusterStatus{{Name: "one", Usable: 1, Total: 2, Backends: []BackendStatus{
			{Name: "app-a:8080", Address: "10.0.0.7:8080", State: "up", Requests: 12, InFlight: 1},
			{Name: "app-b:8080", Address: "10.0.0.8:8080", State: "down", Since: since, Reason: "2x timeout after 1s", Requests: 5, Failures: 1, Retried: 3},
		}}, {Name: "two"}},
		Script: &ScriptStatus{File: "route.js", Version: "1f3a", Decisions: map[string]uint64{"ok": 16, "default": 1},
			Since: since, Previous: "0c7e", OnProbation: true},
		Config:  ConfigStatus{File: "outrider.yaml", LoadedAt: since, LastReloadError: "outrider.yaml:3:1: <unknown>"},
		Clients: 4, Active: 2,
	}}
	const want = `{
  "name": "web-1",
  "version": "1.2.3",
  "uptime_seconds": 90.25,
  "ready": true,
  "listeners": [
    {
      "name": "main",
      "address": "127.0.0.1:6188",
      "cluster": ""
    },
    {
      "name": "in",
      "address": "127.0.0.1:8080",
      "cluster": "app"
    }
  ],
  "clusters": [
    {
      "name": "one",
      "usable": 1,
      "total": 2,
      "backends": [
        {
          "name": "app-a:8080",
          "address": "10.0.0.7:8080",
          "state": "up",
          "reason": "",
          "requests": 12,
          "failures": 0,
          "retried": 0,
          "in_flight": 1
        },
        {
          "name": "app-b:8080",
          "address": "10.0.0.8:8080",
          "state": "down",
          "since": "2026-01-02T03:04:05.6Z",
          "reason": "2x timeout after 1s",
          "requests": 5,
          "failures": 1,
          "retried": 3,
          "in_flight": 0
        }
      ]
    },
    {
      "name": "two",
      "usable": 0,
      "total": 0,
      "backends": []
    }
  ],
  "script": {
    "file": "route.js",
    "version": "1f3a",
    "decisions": {
      "default": 1,
      "ok": 16
    },
    "since": "2026-01-02T03:04:05.6Z",
    "previous": "0c7e",
    "on_probation": true,
    "shadow": null
  },
  "config": {
    "file": "outrider.yaml",
    "loaded_at": "2026-01-02T03:04:05.6Z",
    "last_reload_error": "outrider.yaml:3:1: <unknown>"
  },
  "clients": 4,
  "active": 2
}
`
	response, body := ask{}.to(t, serveAPI(t, sidecar))
	wantField(t, response, "Content-Type", "application/json")
	if body != want {
		t.Errorf("got %s\nwant %s", body, want)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	text, err := json.Marshal(Status{Script: &ScriptStatus{}}.withoutNulls())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"","version":"","uptime_seconds":0,"ready":false,"listeners":[],"clusters":[],` +
		`"script":{"file":"","version":"","decisions":{},"previous":"","on_probation":false,"shadow":null},` +
		`"config":{"file":"","loaded_at":"0001-01-01T00:00:00Z","last_reload_error":""},"clients":0,"active":0}`
	if string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
}

func TestAStatusSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := anyStatus().Draw(t, "status").withoutNulls()
		text, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		var after Status
		if err := json.Unmarshal(text, &after); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

func anyStatus() *rapid.Generator[Status] {
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	})
	uptime := rapid.Custom(func(t *rapid.T) Seconds {
		return Seconds(time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "ms")) * time.Millisecond)
	})
	backend := rapid.Custom(func(t *rapid.T) BackendStatus {
		return BackendStatus{
			Name: rapid.String().Draw(t, "name"), Reason: rapid.String().Draw(t, "reason"), Since: moment.Draw(t, "since"),
			Requests: rapid.Uint64().Draw(t, "requests"), InFlight: rapid.Int64().Draw(t, "in flight"),
		}
	})
	return rapid.Custom(func(t *rapid.T) Status {
		return Status{
			Name: rapid.String().Draw(t, "name"), Uptime: uptime.Draw(t, "uptime"),
			Clusters: []ClusterStatus{{Name: "one", Backends: rapid.SliceOf(backend).Draw(t, "backends")}},
			Script:   &ScriptStatus{Decisions: rapid.MapOf(rapid.String(), rapid.Uint64()).Draw(t, "decisions")},
			Config:   ConfigStatus{LoadedAt: moment.Draw(t, "loaded")},
		}
	})
}

func TestSecondsThatNoDurationHoldsAreRefused(t *testing.T) {
	for _, text := range []string{`"1"`, `null`, `1e300`, `-1e300`, `true`} {
		var s Seconds
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s was read as %s", text, s)
		}
	}
	text, err := json.Marshal(Seconds(math.MaxInt64))
	if err != nil || string(text) != "9223372036.854776" {
		t.Errorf("the longest is %s, %v", text, err)
	}
}
