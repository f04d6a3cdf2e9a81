package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const headTimeout = 10 * time.Second

// app serves requests, as it was told to.
type app struct {
	name   string
	where  string // the address that it listens on, with its port
	server *http.Server
	doors  chan net.Listener // to be served
	served atomic.Int64
	conns  atomic.Int64

	mu       sync.Mutex // guards what follows
	now      behaviour
	changed  chan struct{} // closed when now is another
	door     *door         // nil while it refuses
	isClosed bool
}

func newApp(name, address string) (*app, error) {
	a := &app{name: name, where: address, changed: make(chan struct{}), doors: make(chan net.Listener, 1)}
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: headTimeout, ConnState: a.connState}
	if err := a.open(); err != nil {
		return nil, err
	}
	a.where = a.door.Addr().String()
	return a, nil
}

func (a *app) address() string { return a.where }

// run serves what is opened, until the app is closed.
func (a *app) run() {
	for door := range a.doors {
		_ = a.server.Serve(door) // it ends when the door is closed
	}
}

func (a *app) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isClosed {
		return
	}
	a.isClosed = true
	close(a.doors)
	_ = a.server.Close()
	if a.door != nil {
		_ = a.door.Close()
	}
}

// behave makes the app behave so from now on, also towards requests that hang.
func (a *app) behave(b behaviour) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isClosed {
		return errors.New("the app ends")
	}
	if b.Refuse && a.door != nil {
		_ = a.door.Close()
		a.door = nil
	}
	if !b.Refuse && a.door == nil {
		if err := a.open(); err != nil {
			return err
		}
	}
	a.now = b
	close(a.changed)
	a.changed = make(chan struct{})
	return nil
}

// open listens; with the lock held, or before anybody else knows the app.
func (a *app) open() error {
	ln, err := net.Listen("tcp", a.where)
	if err != nil {
		return err
	}
	a.door = &door{Listener: ln, admit: a.admit}
	a.doors <- a.door
	return nil
}

// behaviour is how to behave now, and what is closed when that is over.
func (a *app) behaviour() (b behaviour, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now, a.changed
}

// admit tells whether the next connection may stay.
func (a *app) admit() bool {
	b, _ := a.behaviour()
	n := a.conns.Add(1)
	return b.Reset == 0 || n%int64(b.Reset) != 0
}

func (a *app) connState(conn net.Conn, state http.ConnState) {
	if state != http.StateIdle {
		return
	}
	if b, _ := a.behaviour(); b.CloseIdle {
		_ = conn.Close()
	}
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := a.suffer(r)
	if status == 0 {
		return // nobody waits any more
	}
	a.served.Add(1)
	w.Header().Set("App", a.name)
	if r.URL.Path == "/call" && status == http.StatusOK {
		call(w, r)
		return
	}
	answer(w, status, map[string]any{
		"app": a.name, "method": r.Method, "path": r.URL.RequestURI(), "host": r.Host, "headers": r.Header,
	})
}

// suffer does to a request what is to be done, and is the status of its answer, or
// 0 when the client has gone.
func (a *app) suffer(r *http.Request) int {
	for {
		b, changed := a.behaviour()
		if r.URL.Path == b.Spare {
			return http.StatusOK
		}
		if b.Hang {
			select {
			case <-changed:
				continue
			case <-r.Context().Done():
				return 0
			}
		}
		select {
		case <-time.After(b.Delay):
			return cmp.Or(b.Status, http.StatusOK)
		case <-r.Context().Done():
			return 0
		}
	}
}

func answer(w http.ResponseWriter, status int, what any) {
	text, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
