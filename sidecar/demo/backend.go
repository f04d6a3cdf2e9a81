package demo

import (
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"
)

// slowness is what a slow backend takes for everything.
const slowness = 2 * time.Second

// backend is a sample app: it says who it is and what it got.
type backend struct {
	name string
	at   string

	mu     sync.Mutex // guards what follows
	net    net.Listener
	server *http.Server
	drag   time.Duration

	tasks sync.WaitGroup // the server, and its connections
}

// newBackend makes a backend that will listen on ln.
func newBackend(name string, ln net.Listener) *backend {
	return &backend{name: name, at: ln.Addr().String(), net: ln}
}

func (b *backend) address() string { return b.at }

// revive brings the backend to life, and to its normal speed.
func (b *backend) revive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drag = 0
	if b.server != nil {
		return
	}
	if b.net == nil {
		ln, err := net.Listen("tcp", b.at)
		if err != nil {
			return // mood tells
		}
		b.net = ln
	}
	server, ln := newServer(b, &b.tasks), b.net
	b.server = server
	b.tasks.Go(func() { _ = server.Serve(ln) })
}

// newServer makes a server whose connections count as tasks: http.Server.Close
// does not wait for them.
func newServer(h http.Handler, tasks *sync.WaitGroup) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			tasks.Add(1)
		case http.StateClosed:
			tasks.Done()
		}
	}}
}

// end kills the backend and waits until nothing of it is left.
func (b *backend) end() {
	b.kill()
	b.tasks.Wait()
}

// kill ends the backend as a crash would: its port refuses.
func (b *backend) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server != nil {
		_ = b.server.Close()
	}
	if b.net != nil {
		_ = b.net.Close()
	}
	b.server, b.net = nil, nil
}

func (b *backend) slow() {
	b.revive()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drag = slowness
}

func (b *backend) mood() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.server == nil:
		return "dead"
	case b.drag > 0:
		return "alive, but slow"
	}
	return "alive"
}

func (b *backend) delay() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drag
}

// answer is what a sample backend tells.
type answer struct {
	Backend string            `json:"backend"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(b.delay()):
	case <-r.Context().Done():
		return
	}
	headers := make(map[string]string)
	for name, values := range r.Header {
		headers[name] = values[0]
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(answer{Backend: b.name, Method: r.Method, Path: r.URL.RequestURI(), Headers: headers})
}
