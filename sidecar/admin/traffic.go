package admin

import (
	"net/http"
	"strings"
	"time"
)

// TrafficStatus is what GET /traffic answers. Keys are only ever added; lists are
// never null.
type TrafficStatus struct {
	Clusters []ClusterTraffic `json:"clusters"` // in the configuration's order
	Backends []BackendTraffic `json:"backends"` // those that answered some of the recorded requests
	Last     uint64           `json:"last"`     // the second that all lists of seconds end with
}

// ClusterTraffic is what a cluster did in each of the last seconds.
type ClusterTraffic struct {
	Cluster string         `json:"cluster"`
	Seconds []SecondStatus `json:"seconds"` // the oldest first
}

// SecondStatus is one second of a cluster. The times are in milliseconds, from the
// first byte of a request to the end of its response; 0: there was no request.
type SecondStatus struct {
	Requests uint64  `json:"requests"`
	Failed   uint64  `json:"failed"` // answered with a status from 500 on
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
	P99      float64 `json:"p99_ms"`
}

// BackendTraffic is how long a backend took for those of the recorded requests that
// it answered.
type BackendTraffic struct {
	Cluster  string  `json:"cluster"`
	Address  string  `json:"address"`
	Requests int     `json:"requests"` // that the times are of
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
}

// Filter says which requests somebody wants to see. What is empty takes all.
type Filter struct {
	Words   string // each has to be somewhere in what is known of the request
	Cluster string
	Status  string // "5xx", "404"
}

// TapStatus is what each event of GET /tap carries.
type TapStatus struct {
	Requests []Tapped `json:"requests"` // the oldest first
	Missed   int      `json:"missed"`   // matched as well, and were too many
	Last     uint64   `json:"last"`     // the serial of the last request
	Off      bool     `json:"off"`      // nothing is recorded: script.record is 0
}

// Tapped is a request that is over.
type Tapped struct {
	Serial   uint64    `json:"serial"`
	At       time.Time `json:"at"` // when it began
	ID       string    `json:"id"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Cluster  string    `json:"cluster"` // empty: it did not come so far
	Backend  string    `json:"backend"`
	Status   int       `json:"status"` // that the client was answered; 0: nothing
	End      string    `json:"end"`    // who ended it, in which phase
	Rule     string    `json:"rule"`
	Outcome  string    `json:"outcome"` // of the decision, where it says more than the cluster
	Version  string    `json:"version"` // of the script that decided
	Took     float64   `json:"ms"`
	Attempts int       `json:"attempts"` // tries on backends
}

// Takes tells whether a request passes.
func (f *Filter) Takes(t *Tapped) bool {
	if f.Cluster != "" && f.Cluster != t.Cluster || f.Status != "" && !isStatus(f.Status, t.Status) {
		return false
	}
	if f.Words == "" {
		return true
	}
	said := strings.ToLower(strings.Join([]string{t.Method, t.Path, t.Cluster, t.Backend, t.Rule, t.Outcome, t.Version, t.End, t.ID}, " "))
	for word := range strings.FieldsSeq(strings.ToLower(f.Words)) {
		if !strings.Contains(said, word) {
			return false
		}
	}
	return true
}

// isStatus tells whether a status is such a one: "5xx" is any from 500 to 599.
func isStatus(want string, status int) bool {
	digits := string([]byte{'0' + byte(status/100%10), '0' + byte(status/10%10), '0' + byte(status%10)})
	if len(want) != len(digits) {
		return false
	}
	for i := range want {
		if want[i] != 'x' && want[i] != digits[i] {
			return false
		}
	}
	return true
}

func (a *api) traffic(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.sidecar.Traffic(0))
}
