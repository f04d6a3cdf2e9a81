package admin

import (
	"net/http"
	"time"
)

// PeersStatus is what GET /peers answers. Keys are only ever added; lists are never
// null.
type PeersStatus struct {
	Enabled  bool              `json:"enabled"` // false: there is no section gossip, and all else is empty
	Self     PeerStatus        `json:"self"`
	Peers    []PeerStatus      `json:"peers"`    // that are alive, by name
	Score    int               `json:"score"`    // how much this sidecar's own hearing is to be doubted: 0 is well, 8 as bad as can be
	OnlyTCP  uint64            `json:"only_tcp"` // pings that UDP did not carry and TCP did: something blocks UDP
	Rejected map[string]uint64 `json:"rejected"` // what came from the network and was not taken, by reason
}

// PeerStatus is one sidecar.
type PeerStatus struct {
	Name     string    `json:"name"`
	ID       string    `json:"id"`       // the name and a random suffix, new at each start
	Address  string    `json:"address"`  // of its gossip
	Since    time.Time `json:"since"`    // when it was first seen alive; of Self: when it started
	Version  string    `json:"version"`  // of the program
	Script   string    `json:"script"`   // version of its routing script; empty: the built-in rule
	Config   string    `json:"config"`   // short hash of its configuration without what is its own
	Fronts   string    `json:"fronts"`   // what it stands before; empty: nothing
	Draining bool      `json:"draining"` // it asks for no new requests to that
	Drift    []string  `json:"drift"`    // which of version, script and config differ from those of Self
}

// HealthStatus is what GET /health answers: every backend, and what each sidecar says
// of it. Keys are only ever added; lists are never null.
type HealthStatus struct {
	Self     string          `json:"self"`     // this sidecar's name
	Peers    []string        `json:"peers"`    // the others, as they are called in claims
	Silence  string          `json:"silence"`  // why this one tells its peers nothing; empty: it does
	Backends []BackendHealth `json:"backends"` // by cluster, in the configuration's order
}

// BackendHealth is the verdict on a backend and what led to it. Ages are as of the
// answer.
type BackendHealth struct {
	Cluster   string        `json:"cluster"`
	Name      string        `json:"name"`
	Address   string        `json:"address"`
	State     string        `json:"state"` // up, suspect, down, trial or draining
	For       Seconds       `json:"for_seconds"`
	Shared    bool          `json:"shared"`           // it means the same to peers, so there are claims about it
	Own       OwnEvidence   `json:"own"`              // what this sidecar saw
	Claims    []ClaimStatus `json:"claims"`           // of peers, the latest first
	Claimed   bool          `json:"claimed"`          // this sidecar tells its peers that it is down
	Contested bool          `json:"contested"`        // a peer says down, and our own check has found it well
	DeafFor   Seconds       `json:"deaf_for_seconds"` // claims that it is down count for nothing as long
	Why       string        `json:"why"`              // all of it in a sentence
}

// OwnEvidence is what a sidecar saw of a backend itself.
type OwnEvidence struct {
	Well   bool    `json:"well"`                // the last evidence was good, or there is none
	Bad    int     `json:"bad"`                 // bad results in a row
	Reason string  `json:"reason"`              // of the last bad one; empty if there never was one
	Source string  `json:"source"`              // of it: check or traffic
	Age    Seconds `json:"checked_seconds_ago"` // since the last check; -1: there was none
}

// ClaimStatus is what a peer says of a backend.
type ClaimStatus struct {
	Peer  string  `json:"peer"`
	State string  `json:"state"` // up, down or draining
	Kind  string  `json:"kind"`  // how it came to that: tcp, tls, http, traffic or owner
	Age   Seconds `json:"age_seconds"`
}

// DrainStatus is what POST /drain and /undrain answer.
type DrainStatus struct {
	Draining bool `json:"draining"`
	Peers    int  `json:"peers"` // that were told
}

func (a *api) peers(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.sidecar.Peers())
}

func (a *api) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.sidecar.Health())
}

func (a *api) drain(w http.ResponseWriter, _ *http.Request) { a.drained(w, a.sidecar.Drain) }

func (a *api) undrain(w http.ResponseWriter, _ *http.Request) { a.drained(w, a.sidecar.Undrain) }

func (a *api) drained(w http.ResponseWriter, do func() error) {
	if err := do(); err != nil {
		refuse(http.StatusUnprocessableEntity, "%v", err).write(w)
		return
	}
	p := a.sidecar.Peers()
	writeJSON(w, http.StatusOK, DrainStatus{Draining: p.Self.Draining, Peers: len(p.Peers)})
}
