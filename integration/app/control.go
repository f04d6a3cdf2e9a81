package main

import (
	"net"
	"net/http"
)

// control is where the app is told how to behave. It behaves well itself, always.
type control struct {
	app    *app
	ln     net.Listener
	server *http.Server
}

func newControl(a *app, address string) (*control, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &control{app: a, ln: ln}
	c.server = &http.Server{Handler: c, ReadHeaderTimeout: headTimeout}
	return c, nil
}

func (c *control) address() string { return c.ln.Addr().String() }

func (c *control) run() { _ = c.server.Serve(c.ln) }

func (c *control) close() {
	_ = c.server.Close()
	_ = c.ln.Close()
}

// ServeHTTP does /behave?..., which replaces the whole behaviour, and answers how
// the app behaves and how many requests it has answered.
func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
	case "/behave":
		b, err := parseBehaviour(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := c.app.behave(b); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	default:
		http.Error(w, "try / or /behave?delay=300ms", http.StatusNotFound)
		return
	}
	b, _ := c.app.behaviour()
	answer(w, http.StatusOK, map[string]any{"app": c.app.name, "served": c.app.served.Load(), "behaviour": b})
}
