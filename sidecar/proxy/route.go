package proxy

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/stream"
)

// route asks the listener's router. It reports false when the router did not
// answer in time: the exchange then goes on elsewhere, and this task ends.
func (x *exchange) route() bool {
	if x.endsHere() {
		x.decision = Decision{Respond: ownOptions()}
		return true
	}
	router := x.terms.Router
	x.router = router
	limit := router.Limit()
	if limit == 0 {
		x.decision = x.ask(router)
		return true
	}
	t, ok := x.server.guard.enter(x, x.server.loop.Now()+limit)
	if !ok {
		x.decision = router.Overdue()
		return true
	}
	x.ticket = t
	decision := x.ask(router)
	if !x.inTime() {
		return false
	}
	x.decision = decision
	return true
}

// inTime hands the ticket in, where nobody has yet, and reports whether the
// exchange is still this task's.
func (x *exchange) inTime() bool {
	if t := x.ticket; t.slot != nil {
		x.ticket = ticket{}
		x.late = !x.server.guard.leave(t)
	}
	return !x.late
}

func (x *exchange) ask(router Router) (d Decision) {
	defer func() {
		if p := recover(); p != nil {
			x.server.panics.Add(1)
			x.server.options.Log.WithFields(logrus.Fields{"panic": p, "stack": string(debug.Stack())}).
				Error("routing a request made the router panic")
			d = Decision{Fault: &Fault{Status: http.StatusInternalServerError, Type: "proxy_internal_error",
				Detail: "the router failed", Err: fmt.Errorf("panic: %v", p)}}
		}
	}()
	return router.Route(&x.view)
}

// goOnWithout goes on with the exchange in a new task, while the router still
// sits on this one's stack. The exchange, its head and its view stay the
// router's for ever: the new task works on a copy.
func (x *exchange) goOnWithout() {
	c := x.client
	x.conn.Resume(func() stream.Next {
		y := c.server.begin(c)
		c.server.active.Add(-1) // it is still one exchange
		return c.carryOut(y, func(y *exchange) bool {
			y.takeOver(x)
			return y.goOn()
		})
	})
}

// takeOver copies what is known of the request from an exchange whose router is
// stuck.
func (x *exchange) takeOver(stuck *exchange) {
	x.started, x.progress = stuck.started, stuck.progress
	x.settings, x.terms, x.trusted = stuck.settings, stuck.terms, stuck.trusted
	x.head = append([]byte(nil), stuck.head...)
	if done, err := x.req.Parse(x.head, stuck.settings.Limits.head()); err != nil || !done {
		panic(fmt.Sprintf("a head that was parsed before can not be parsed again: %v", err))
	}
	x.body.Start(x.req.Body())
	x.upgrade = x.wantsUpgrade()
	x.id, x.hops = stuck.id, stuck.hops
	x.decision = stuck.router.Overdue()
}
