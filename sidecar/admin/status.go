package admin

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Status is what GET /status answers. Keys are only ever added, and every key is
// always there but `since`. Lists are never null; `script` is null when the
// built-in rule routes. Times are RFC 3339.
type Status struct {
	Name      string           `json:"name"`
	Version   string           `json:"version"` // of the program
	Uptime    Seconds          `json:"uptime_seconds"`
	Ready     bool             `json:"ready"`
	Listeners []ListenerStatus `json:"listeners"`
	Clusters  []ClusterStatus  `json:"clusters"`
	Script    *ScriptStatus    `json:"script"`
	Config    ConfigStatus     `json:"config"`
	Clients   int              `json:"clients"` // connections of clients that are open
	Active    int              `json:"active"`  // requests that are being served
}

// ListenerStatus is one door for requests.
type ListenerStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"` // as bound, "127.0.0.1:6188"
	Cluster string `json:"cluster"` // where everything goes; empty: the script decides
}

// ClusterStatus is a cluster and its backends, in the order of the configuration.
type ClusterStatus struct {
	Name     string          `json:"name"`
	Usable   int             `json:"usable"` // backends that are not down
	Total    int             `json:"total"`
	Backends []BackendStatus `json:"backends"`
}

// BackendStatus is the verdict on one backend and what it was asked. Counts are
// since the start of the sidecar.
type BackendStatus struct {
	Name     string    `json:"name"`           // as configured, "app-a:8080"
	Address  string    `json:"address"`        // as resolved, "10.0.0.7:8080"
	State    string    `json:"state"`          // up, suspect, down or trial
	Since    time.Time `json:"since,omitzero"` // when it got into that state; absent before the first verdict
	Reason   string    `json:"reason"`         // of the last bad evidence; empty if there never was one
	Requests uint64    `json:"requests"`       // sent to it, retries included
	Failures uint64    `json:"failures"`       // whose client saw an error because of it
	Retried  uint64    `json:"retried"`        // failed here, then given to another try
	InFlight int64     `json:"in_flight"`
}

// ScriptStatus is the routing script in force.
type ScriptStatus struct {
	File      string            `json:"file"`
	Version   string            `json:"version"`   // short hash of all that it is made of
	Decisions map[string]uint64 `json:"decisions"` // of this version, by outcome: "ok", "default", "exception"

	Since       time.Time `json:"since,omitzero"` // when this version became active
	Previous    string    `json:"previous"`       // the version that a rollback brings back; empty: none
	OnProbation bool      `json:"on_probation"`   // what it fails on is decided by the version before

	Shadow *ShadowStatus `json:"shadow"` // null: none is configured
}

// ShadowStatus is the script that is asked beside the active one. Counts are since
// its version is asked.
type ShadowStatus struct {
	File    string       `json:"file"`
	Version string       `json:"version"` // empty: the file holds none that works
	Fault   string       `json:"fault"`   // why not
	Asked   int          `json:"asked"`   // requests on which it was asked
	Failed  int          `json:"failed"`  // on which it failed
	Moves   []MoveStatus `json:"moves"`   // the most frequent first
}

// MoveStatus is where requests would go that go elsewhere now.
type MoveStatus struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Requests int      `json:"requests"`
	Samples  []string `json:"samples"` // up to three of them
}

// ConfigStatus is the configuration in force.
type ConfigStatus struct {
	File            string    `json:"file"` // empty: the environment alone
	LoadedAt        time.Time `json:"loaded_at"`
	LastReloadError string    `json:"last_reload_error"` // empty when the last reload became active
}

// withoutNulls gives empty lists and maps for those that are nil. The slices of s
// are the caller's own, see [Sidecar].
func (s Status) withoutNulls() Status {
	s.Listeners = orEmpty(s.Listeners)
	s.Clusters = orEmpty(s.Clusters)
	for i := range s.Clusters {
		s.Clusters[i].Backends = orEmpty(s.Clusters[i].Backends)
	}
	if s.Script != nil && s.Script.Decisions == nil {
		script := *s.Script
		script.Decisions = map[string]uint64{}
		s.Script = &script
	}
	return s
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Seconds is a duration that JSON shows as a number of seconds, to the millisecond.
type Seconds time.Duration

// MarshalJSON writes 90061.5.
func (s Seconds) MarshalJSON() ([]byte, error) {
	rounded := time.Duration(s).Round(time.Millisecond)
	return strconv.AppendFloat(nil, rounded.Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	number, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number of seconds: %w", text, err)
	}
	if math.Abs(number) > math.MaxInt64/1e9 {
		return fmt.Errorf("%s seconds are more than a duration holds", text)
	}
	*s = Seconds(time.Duration(math.Round(number*1e3)) * time.Millisecond)
	return nil
}

func (s Seconds) String() string { return time.Duration(s).String() }
