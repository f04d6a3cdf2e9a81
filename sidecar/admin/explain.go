package admin

import (
	"net/http"
	"time"
)

// Question is what POST /explain takes: a made-up request.
type Question struct {
	Method   string      `json:"method"`
	URL      string      `json:"url"` // a path, or absolute
	Headers  [][2]string `json:"headers"`
	IP       string      `json:"ip"`       // of the client; empty: 127.0.0.1
	Listener string      `json:"listener"` // empty: the first that asks the script
}

// An Explanation is one decision, what led to it, and what it leads to. GET and POST
// /explain answer it. Keys are only ever added.
type Explanation struct {
	Request  string    `json:"request"`     // method and URL, as far as they are known
	Asked    string    `json:"asked"`       // who decided: the files, the sidecar that runs, or its record
	ID       string    `json:"id"`          // of a recorded request
	At       time.Time `json:"at,omitzero"` // when that was
	Script   string    `json:"script,omitempty"`
	Version  string    `json:"version,omitempty"` // as `outrider status` shows it
	Outcome  string    `json:"outcome"`           // as it is counted: ok, fallback, default, exception ...
	Cluster  string    `json:"cluster,omitempty"`
	Rule     string    `json:"rule,omitempty"`
	Place    string    `json:"place,omitempty"` // where the script returned: file:line:column
	Respond  *Answer   `json:"respond,omitempty"`
	Forward  *Forward  `json:"forward,omitempty"` // what is done to the request on its way
	Error    string    `json:"error,omitempty"`   // why the script failed
	Console  []string  `json:"console,omitempty"`
	Read     []Reading `json:"read,omitempty"` // what the script read; of credentials a hash
	Saw      []Sight   `json:"saw,omitempty"`  // the clusters that it looked at
	Then     string    `json:"then"`           // what becomes of the request, in words
	Exchange *Exchange `json:"exchange,omitempty"`

	Took     time.Duration `json:"took_ns,omitempty"` // the first call in a new runtime; later ones are faster
	Backends []Candidate   `json:"backends,omitempty"`
}

// A Reading is one thing that the script read of the request.
type Reading struct {
	What   string `json:"what"` // req.path, req.headers['x-beta']
	Value  string `json:"value"`
	Absent bool   `json:"absent,omitempty"` // the request had none
	Hidden bool   `json:"hidden,omitempty"` // the value is a hash, or has some in it
}

// A Sight is a cluster as the script saw it.
type Sight struct {
	Cluster string `json:"cluster"`
	Healthy int    `json:"healthy"`
	Total   int    `json:"total"`
	Missing bool   `json:"missing,omitempty"` // there is no such cluster
}

// A Forward is what a decision does to a request on its way, and to its response.
type Forward struct {
	RequestHeaders  []Edit `json:"requestHeaders,omitempty"`
	ResponseHeaders []Edit `json:"responseHeaders,omitempty"`
	Path            string `json:"path,omitempty"` // empty: as received
	HashKey         string `json:"hashKey,omitempty"`
	Backend         string `json:"backend,omitempty"` // that the key picks; empty: not known without resolving names
	Timeout         string `json:"timeout,omitempty"` // empty: the cluster's
}

// An Edit sets a header to values; null: it is removed.
type Edit struct {
	Name   string   `json:"name"`
	Values []string `json:"values"` // null: it is removed
}

// An Answer is what the script answers by itself.
type Answer struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers,omitempty"` // names and values, in the order of the script
	Body    string      `json:"body,omitempty"`
}

// A Candidate is a backend of the cluster that was decided for. What only a sidecar
// that runs knows is empty where the files were asked.
type Candidate struct {
	Address  string `json:"address"`            // as configured
	Resolved string `json:"resolved,omitempty"` // where that is a name; empty where the files were asked
	Weight   int    `json:"weight"`
	Usable   bool   `json:"usable"`
	State    string `json:"state,omitempty"` // up, suspect, down, trial or draining
	Skip     string `json:"skip,omitempty"`  // why it is passed over; empty: it takes its turn
	Why      string `json:"why,omitempty"`   // the state: who says what, since when
	InFlight int64  `json:"in_flight,omitempty"`
}

// An Exchange is what became of a recorded request.
type Exchange struct {
	Status    int       `json:"status"` // that the client was answered; 0: nothing
	Backend   string    `json:"backend,omitempty"`
	End       string    `json:"end"` // who ended it, in which phase
	Detail    string    `json:"detail,omitempty"`
	Trace     string    `json:"trace,omitempty"` // the id of the trace that it was a part of
	Took      float64   `json:"ms"`              // milliseconds, as the others; 0: not measured
	Route     float64   `json:"route_ms,omitempty"`
	Connect   float64   `json:"connect_ms,omitempty"`
	FirstByte float64   `json:"first_byte_ms,omitempty"`
	Attempts  []Attempt `json:"attempts,omitempty"` // in order; the last one was answered, unless it has a failure
}

// An Attempt is one try on a backend.
type Attempt struct {
	Backend  string  `json:"backend"`
	Resolved string  `json:"resolved,omitempty"` // its address, where it is a name
	Failure  string  `json:"failure,omitempty"`  // empty: this one answered
	After    float64 `json:"after_ms"`           // from the start of the request to its failure; of the one that answered: to the end
}

func (a *api) explain(w http.ResponseWriter, r *http.Request) {
	var q Question
	if refused := readJSON(w, r, &q); refused != nil {
		refused.write(w)
		return
	}
	e, err := a.sidecar.Explain(q)
	if err != nil {
		refuse(http.StatusUnprocessableEntity, "%v", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, e)
}

func (a *api) recall(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if id == "" {
		refuse(http.StatusBadRequest, "which request? GET /explain?id=X-REQUEST-ID, or POST a made-up one").write(w)
		return
	}
	e, err := a.sidecar.Recall(id)
	if err != nil {
		refuse(http.StatusNotFound, "%v", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, e)
}
