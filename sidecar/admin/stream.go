package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"
)

const (
	streamEvery = time.Second
	streamLasts = 5 * time.Minute // then who is there asks again, and is looked at again
	maxStreams  = 16
)

// Snapshot is what each event of GET /events carries: all that the dashboard shows
// of this moment. Of the traffic, the first event has all that is remembered, and
// later ones what has come since.
type Snapshot struct {
	At      time.Time     `json:"at"`
	Status  Status        `json:"status"`
	Health  HealthStatus  `json:"health"`
	Peers   PeersStatus   `json:"peers"`
	Traffic TrafficStatus `json:"traffic"`
	Edit    bool          `json:"edit"` // the script may be saved (admin.edit)
}

func (a *api) events(w http.ResponseWriter, r *http.Request) {
	last := uint64(0)
	a.stream(w, r, func() (any, bool) {
		s := Snapshot{
			At: time.Now(), Status: a.sidecar.Status().withoutNulls(), Health: a.sidecar.Health(), Peers: a.sidecar.Peers(),
			Traffic: a.sidecar.Traffic(last), Edit: a.edit,
		}
		last = s.Traffic.Last
		return s, true
	})
}

// tap answers the requests that have come to their end, as they do. It begins with
// those that are still on record.
func (a *api) tap(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	filter := Filter{Words: query.Get("words"), Cluster: query.Get("cluster"), Status: query.Get("status")}
	last, first := uint64(0), true
	a.stream(w, r, func() (any, bool) {
		s := a.sidecar.Tap(last, &filter)
		s.Requests = orEmpty(s.Requests)
		news := first || len(s.Requests) > 0
		last, first = s.Last, false
		return s, news
	})
}

// stream answers with server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): every second what
// next has, unless that is no news, until who asked has gone, the server ends, or it
// has lasted long.
func (a *api) stream(w http.ResponseWriter, r *http.Request, next func() (data any, news bool)) {
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		refuse(http.StatusServiceUnavailable, "%d are looking already, which is the most", maxStreams).with("Retry-After", "5").write(w)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	to := eventWriter{w, http.NewResponseController(w)}
	tick, over := time.NewTicker(streamEvery), time.NewTimer(streamLasts)
	defer tick.Stop()
	defer over.Stop()
	for {
		if to.write(next()) != nil {
			return // who asked has gone
		}
		select {
		case <-tick.C:
		case <-over.C:
			return
		case <-r.Context().Done():
			return
		case <-endOf(r.Context()):
			return
		}
	}
}

type eventWriter struct {
	http.ResponseWriter

	control *http.ResponseController
}

// write sends an event, or without news a comment, by which a connection that is dead
// shows.
func (w eventWriter) write(data any, news bool) error {
	text := bytes.NewBufferString(":")
	if news {
		text = bytes.NewBufferString("data: ")
		encoder := json.NewEncoder(text)
		encoder.SetEscapeHTML(false) // who shows it puts it in as text
		if err := encoder.Encode(data); err != nil {
			return err
		}
	} else {
		text.WriteByte('\n')
	}
	text.WriteByte('\n')
	if err := w.control.SetWriteDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return err
	}
	if _, err := w.ResponseWriter.Write(text.Bytes()); err != nil {
		return err
	}
	return w.control.Flush()
}

type endKey struct{}

// withEnd lets requests know when the server begins to end, by which those end that
// would not by themselves.
func withEnd(h http.Handler, end <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), endKey{}, end)))
	})
}

// endOf is closed when the server begins to end; nil: nobody tells.
func endOf(ctx context.Context) <-chan struct{} {
	end, _ := ctx.Value(endKey{}).(<-chan struct{})
	return end
}
