package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listening is somebody to whom events are told.
type listening struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
}

func listen(t *testing.T, address, path string, header ...[2]string) *listening {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range header {
		r.Header.Add(field[0], field[1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return &listening{t, response, lines}
}

// next reads an event into data; false: there are no more.
func (l *listening) next(data any) bool {
	l.t.Helper()
	for l.lines.Scan() {
		if text, ok := strings.CutPrefix(l.lines.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(text), data); err != nil {
				l.t.Fatalf("the event %q: %v", text, err)
			}
			return true
		}
	}
	return false
}

func TestEventsTellWhatIsAndWhatOfTheTrafficIsNew(t *testing.T) {
	l := listen(t, serveAPI(t, &far{status: Status{Name: "web-1"}}), "/events")
	wantField(t, l.response, "Content-Type", "text/event-stream")
	wantField(t, l.response, "Cache-Control", "no-store")
	for want := range uint64(2) {
		var s Snapshot
		if !l.next(&s) {
			t.Fatal("the events end")
		}
		if s.Status.Name != "web-1" || s.Health.Self != "web-1" || !s.Peers.Enabled {
			t.Errorf("the event is %+v", s)
		}
		if after := s.Traffic.Clusters[0].Seconds[0].Requests; after != want {
			t.Errorf("event %d has the traffic after %d", want, after)
		}
	}
}

func TestTheTapIsPrivateAndFiltered(t *testing.T) {
	address := serveAPI(t, &far{})
	response, body := ask{path: "/tap"}.to(t, address)
	wantRefusal(t, response, body, 401, "GET /tap needs the admin token")

	for query, want := range map[string]int{
		"": 1, "?words=ONE+img": 1, "?words=nothing": 0, "?status=2xx": 1, "?status=200": 1, "?status=5xx": 0, "?cluster=one": 1, "?cluster=two": 0,
	} {
		var s TapStatus
		if !listen(t, address, "/tap"+query, bearerOf(token)).next(&s) || len(s.Requests) != want {
			t.Errorf("%s: %+v, want %d requests", query, s, want)
		}
	}
}

func TestStreamsEndWithTheServerAndHoldNobodyUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	handler := Handler(Options{Sidecar: &far{}, Token: token, Loopback: true, Log: silent()})
	go func() { ended <- Serve(ctx, ln, handler, silent()) }()
	l := listen(t, ln.Addr().String(), "/events")
	l.next(new(Snapshot))

	began := time.Now()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(began); took >= endGrace {
		t.Errorf("the server took %v to end, as if nobody had told the stream", took)
	}
	for l.next(new(Snapshot)) {
	}
}

func TestThereIsAnEndToHowManyLook(t *testing.T) {
	address := serveAPI(t, &far{})
	for range maxStreams {
		if l := listen(t, address, "/events"); l.response.StatusCode != 200 {
			t.Fatalf("answer %d", l.response.StatusCode)
		}
	}
	response, body := ask{path: "/events"}.to(t, address)
	wantRefusal(t, response, body, 503, "the most")
	wantField(t, response, "Retry-After", "5")
}
