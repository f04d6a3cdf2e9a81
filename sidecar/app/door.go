package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/admin"
	"outrider/sidecar/config"
)

// door is a listener for those who operate the sidecar.
type door struct {
	key     string // in the configuration
	address string
	handler http.Handler
	net     net.Listener // nil until it is open

	token    Token           // that opens it
	lock     *admin.Lock     // that the token opens, for those who ask elsewhere
	sessions *admin.Sessions // of browsers that were let in by way of the token
	admin    config.Admin    // that the handler was made by
	serves   *served         // nil until it is served
}

// served is a door at work. Reloads change who answers at it.
type served struct {
	handler atomic.Pointer[http.Handler]
	stop    context.CancelFunc
}

// ServeHTTP implements http.Handler.
func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.handler.Load()).ServeHTTP(w, r)
}

// Token opens the admin listener.
type Token struct {
	Text string
	// Publish leaves it where those find it who may have it. It is called when the
	// listener is ours. Optional.
	Publish func() error
}

// newDoors makes the doors of a configuration, out of those that are there already
// where the address is the same.
func (a *App) newDoors(c *config.Config, now *entrances, to *accounts) ([]*door, error) {
	var doors []*door
	if c.Status.Listen != "" {
		d := now.doorAt("status", c.Status.Listen)
		d.handler = admin.StatusHandler(a, to.metrics.Handler())
		doors = append(doors, d)
	}
	if c.Admin.Listen != "" {
		token, err := a.options.Token(c.Admin)
		if err != nil {
			return nil, err
		}
		d := now.doorAt("admin", c.Admin.Listen)
		if d.sessions == nil || d.token.Text != token.Text {
			d.sessions = admin.NewSessions()
		}
		if d.handler == nil || d.token.Text != token.Text || !reflect.DeepEqual(d.admin, c.Admin) {
			d.handler = admin.Handler(admin.Options{
				Sidecar: a, Token: token.Text, Hosts: c.Admin.Hosts, Loopback: isLoopback(c.Admin.Listen), Log: a.log,
				Edit: c.Admin.Edit, Pprof: c.Admin.Pprof, Sessions: d.sessions,
			})
		}
		if d.lock == nil || d.token.Text != token.Text {
			d.lock = admin.NewLock(token.Text)
		}
		d.token, d.admin = token, c.Admin
		doors = append(doors, d)
	}
	return doors, nil
}

// doorAt is a new door, which goes on with the one of this key and address, if there
// is one.
func (e *entrances) doorAt(key, address string) *door {
	same := func(d *door) bool { return d.key == key && d.address == address }
	if i := slices.IndexFunc(e.doors, same); i >= 0 {
		return new(*e.doors[i])
	}
	return &door{key: key, address: address}
}

func (a *App) openDoor(d *door) (net.Listener, error) {
	ln, err := a.listen(d.key, d.address)
	if err != nil {
		return nil, fmt.Errorf("%s.listen can not use %s: %w; choose another address, or \"\" for none", d.key, d.address, err)
	}
	return ln, nil
}

// startDoor serves a door, or has its new handler answer.
func (a *App) startDoor(d *door) {
	if d.serves != nil {
		d.serves.handler.Store(&d.handler)
		return
	}
	ctx, stop := context.WithCancel(a.ctx)
	d.serves = &served{stop: stop}
	d.serves.handler.Store(&d.handler)
	a.tasks.Go(func() {
		defer stop()
		if err := admin.Serve(ctx, d.net, d.serves, a.log); err != nil {
			a.log.WithFields(logrus.Fields{"listener": d.key, logrus.ErrorKey: err}).Error("a listener has ended")
		}
	})
}

func (d *door) stop() { d.serves.stop() }

// publish leaves the tokens of doors that are ours where they are looked for.
func (e *entrances) publish() error {
	for _, d := range e.doors {
		if d.token.Publish == nil {
			continue
		}
		if err := d.token.Publish(); err != nil {
			return err
		}
	}
	return nil
}

// Dashboard makes a link to the dashboard, which lets one browser in; "" when there is no
// admin listener. It may be called once OnOpen was.
func (a *App) Dashboard() string {
	for _, d := range a.entrances.Load().doors {
		if d.sessions == nil || d.net == nil {
			continue
		}
		if link, err := admin.Link(d.net.Addr().String(), d.sessions.Invite()); err == nil {
			return link
		}
	}
	return ""
}

// isLoopback tells whether an address to listen on can be reached from this
// machine alone.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
