package app

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/config"
	"outrider/sidecar/credential"
	"outrider/sidecar/proxy"
)

// listener takes requests in.
type listener struct {
	config.Listener
	proxy  *proxy.Listener
	net    net.Listener     // nil until it is open
	secure *credential.Kept // nil: cleartext
}

// entrances are all that the sidecar listens on. They are replaced whole.
type entrances struct {
	listeners []*listener
	doors     []*door // for those who operate it
}

// newEntrances makes the entrances of a configuration, out of those that are there
// already where the address is the same. Sockets that are new are not open yet.
func (a *App) newEntrances(c *config.Config, now *entrances, to *accounts) (*entrances, error) {
	next := new(entrances)
	for _, l := range c.Listen {
		secure, err := keepServer(l.TLS)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		made := &listener{Listener: l, secure: secure}
		if old := now.listenerAt(l.Address, next); old != nil && (old.secure == nil) == (secure == nil) {
			made.proxy, made.net = old.proxy, old.net
		}
		next.listeners = append(next.listeners, made)
	}
	doors, err := a.newDoors(c, now, to)
	next.doors = doors
	return next, err
}

// listenerAt is the one with this address, as it was written, that next has not
// taken over.
func (e *entrances) listenerAt(address string, next *entrances) *listener {
	for _, l := range e.listeners {
		taken := func(n *listener) bool { return n.proxy == l.proxy }
		if l.Address == address && !slices.ContainsFunc(next.listeners, taken) {
			return l
		}
	}
	return nil
}

// terms are what a listener does with its requests.
func terms(l *listener, r *route, cs *clusters) proxy.Terms {
	t := proxy.Terms{Name: l.Name, Forwarded: forwarded(l.Forwarded), Router: r.router, Introduced: l.ProxyProtocol}
	if l.secure != nil {
		t.TLS = l.secure.Now
	}
	if l.Cluster != "" {
		t.Router = proxy.Fixed{Cluster: cs.byName[l.Cluster].Cluster}
	}
	return t
}

func forwarded(f config.Forwarded) proxy.Forwarded {
	switch f {
	case config.ForwardedReplace:
		return proxy.Replace
	case config.ForwardedOff:
		return proxy.Off
	}
	return proxy.Append
}

// openAll opens the sockets that are not open yet, or none, and tells which. What is
// open already is now's.
func (a *App) openAll(e, now *entrances, backlog int) (opened *entrances, err error) {
	opened = new(entrances)
	for _, l := range e.listeners {
		if l.net != nil {
			continue
		}
		if l.net, err = a.openListener(l, backlog); err != nil {
			opened.close()
			return nil, now.explain(err, l.Address)
		}
		opened.listeners = append(opened.listeners, l)
	}
	for _, d := range e.doors {
		if d.net != nil {
			continue
		}
		if d.net, err = a.openDoor(d); err != nil {
			opened.close()
			return nil, now.explain(err, d.address)
		}
		opened.doors = append(opened.doors, d)
	}
	return opened, nil
}

func (a *App) openListener(l *listener, backlog int) (net.Listener, error) {
	ln, err := a.listen(l.Name, l.Address)
	if err != nil {
		return nil, fmt.Errorf("listener %s can not use %s: %w; choose another address in `listen`, or end what uses it", l.Name, l.Address, err)
	}
	if err := setBacklog(ln, backlog); err != nil {
		return nil, errors.Join(fmt.Errorf("listener %s: limits.backlog: %w", l.Name, err), ln.Close())
	}
	return ln, nil
}

// setBacklog changes the backlog of a listener that is open.
func (a *App) setBacklog(l *listener, backlog int) {
	if err := setBacklog(l.net, backlog); err != nil {
		a.log.WithFields(logrus.Fields{"listener": l.Name, logrus.ErrorKey: err}).Error("limits.backlog of a listener stays as it was")
	}
}

// explain adds to an error that an address can not be used by reason of a socket of
// ours, which is given up after a reload, not before.
func (e *entrances) explain(err error, address string) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	for _, held := range e.sockets() {
		if _, its, _ := net.SplitHostPort(held.Addr().String()); its == port {
			return fmt.Errorf("%w (this sidecar itself has %s, and gives it up only when a reload has gone well: remove that first, reload, and then write %s)", err, held.Addr(), address)
		}
	}
	return err
}

// sockets are those that are open.
func (e *entrances) sockets() []net.Listener {
	var all []net.Listener
	for _, l := range e.listeners {
		if l.net != nil {
			all = append(all, l.net)
		}
	}
	for _, d := range e.doors {
		if d.net != nil {
			all = append(all, d.net)
		}
	}
	return all
}

func (e *entrances) close() {
	for _, socket := range e.sockets() {
		_ = socket.Close()
	}
}

// tell tells what is served where.
func (e *entrances) tell(log logrus.FieldLogger) {
	for _, l := range e.listeners {
		log.WithFields(logrus.Fields{"listener": l.Name, "address": l.net.Addr().String()}).Info("serving requests")
	}
	for _, d := range e.doors {
		log.WithField("address", d.net.Addr().String()).Infof("serving %s", d.key)
	}
}

// tellNew tells what is served that was not before.
func (e *entrances) tellNew(before *entrances, log logrus.FieldLogger) {
	var added entrances
	old := before.sockets()
	for _, l := range e.listeners {
		if !slices.Contains(old, l.net) {
			added.listeners = append(added.listeners, l)
		}
	}
	for _, d := range e.doors {
		if !slices.Contains(old, d.net) {
			added.doors = append(added.doors, d)
		}
	}
	added.tell(log)
}

// startEntrances serves what is not served yet.
func (a *App) startEntrances(e *entrances, r *route, cs *clusters) {
	for _, l := range e.listeners {
		if l.proxy != nil {
			l.proxy.Set(terms(l, r, cs))
			continue
		}
		l.proxy = proxy.NewListener(terms(l, r, cs))
		a.tasks.Go(func() { a.serve(l) })
	}
	for _, d := range e.doors {
		a.startDoor(d)
	}
}

func (a *App) serve(l *listener) {
	if err := a.proxy.Serve(l.net, l.proxy); err != nil {
		a.log.WithFields(logrus.Fields{"listener": l.Name, logrus.ErrorKey: err}).Error("a listener has ended")
	}
}

// leaveEntrances ends what next does not go on with.
func (a *App) leaveEntrances(now, next *entrances) {
	for _, l := range now.listeners {
		stays := func(n *listener) bool { return n.proxy == l.proxy }
		if !slices.ContainsFunc(next.listeners, stays) {
			a.proxy.Close(l.proxy)
			_ = l.net.Close() // it may not be served yet
			a.log.WithFields(logrus.Fields{"listener": l.Name, "address": l.net.Addr().String()}).Info("no longer serving requests")
		}
	}
	for _, d := range now.doors {
		stays := func(n *door) bool { return n.net == d.net }
		if !slices.ContainsFunc(next.doors, stays) {
			d.stop()
		}
	}
}

// Addresses are what the listeners listen on, in the order of the configuration.
// It may be called once OnOpen was.
func (a *App) Addresses() []string {
	var all []string
	for _, l := range a.entrances.Load().listeners {
		if l.net != nil {
			all = append(all, l.net.Addr().String())
		}
	}
	return all
}
