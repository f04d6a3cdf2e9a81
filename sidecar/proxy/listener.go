package proxy

import (
	"sync/atomic"
)

// Forwarded is what a listener does about the X-Forwarded-* fields.
type Forwarded uint8

// What a listener does about the X-Forwarded-* fields.
const (
	Append  Forwarded = iota // keep a trusted client's and add to them, else replace
	Replace                  // always replace
	Off                      // pass on what came, add nothing
)

// Listener is one door: what its requests are asked, and by whom they are routed.
type Listener struct {
	Name      string
	Forwarded Forwarded
	router    atomic.Pointer[Router]
}

// NewListener makes a listener that routes by r.
func NewListener(name string, f Forwarded, r Router) *Listener {
	l := &Listener{Name: name, Forwarded: f}
	l.SetRouter(r)
	return l
}

// SetRouter routes the requests that come from now on by r.
func (l *Listener) SetRouter(r Router) { l.router.Store(&r) }

// Router is the one in force.
func (l *Listener) Router() Router { return *l.router.Load() }
