package app

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"outrider/gossip"
	"outrider/sidecar/health"
)

// appCluster is the cluster that `app` becomes.
const appCluster = "app"

// Drain asks the peers to send no new requests to what this sidecar stands before.
// They still do when nobody else is left.
func (a *App) Drain() error {
	if a.peers == nil {
		return errors.New("there is no gossip, so there are no peers to tell: write the section gossip")
	}
	return a.peers.drain()
}

// Undrain takes it back.
func (a *App) Undrain() error {
	if a.peers == nil {
		return errors.New("there is no gossip, so there are no peers to tell: write the section gossip")
	}
	a.peers.undrain()
	return nil
}

// Draining tells whether the peers are asked to.
func (a *App) Draining() bool { return a.peers != nil && a.peers.draining() }

func (p *peers) drain() error {
	ours := p.fronts()
	if len(ours) == 0 {
		return errors.New("there is nothing to drain: write `app`, the address of what this sidecar stands before")
	}
	p.mu.Lock()
	p.drained = ours
	p.mu.Unlock()
	for _, s := range ours {
		p.publish(s, health.ClaimedDraining)
	}
	p.announce()
	p.app.log.WithField("peers", p.mesh.Size()).Info("draining: the peers are asked to send no new requests to the app here")
	return nil
}

func (p *peers) undrain() {
	p.mu.Lock()
	ours := p.drained
	p.drained = nil
	p.mu.Unlock()
	for _, s := range ours {
		p.publish(s, health.ClaimedUp)
	}
	p.announce()
	if ours != nil {
		p.app.log.Info("no longer draining: the peers may send requests to the app here again")
	}
}

func (p *peers) draining() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drained != nil
}

// fronts are the addresses by which peers reach what this sidecar stands before: the
// app's port and those of the listeners that lead to it, on this sidecar's address.
func (p *peers) fronts() []health.Subject {
	var all []health.Subject
	for _, at := range p.frontAddresses() {
		if health.Shareable(at.Addr(), p.config.ShareLoopback) {
			all = append(all, health.Subject{Place: health.Place{Addr: at, Scope: p.config.Scope}, Kind: health.ByOwner})
		}
	}
	return all
}

func (p *peers) frontAddresses() []netip.AddrPort {
	var all []netip.AddrPort
	ip := p.mesh.Address().Addr()
	add := func(address string) {
		if at, ok := portOn(ip, address); ok && !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	add(p.app.active.Load().config.App)
	for _, l := range p.app.entrances.Load().listeners {
		if l.Cluster == appCluster && l.net != nil {
			add(l.net.Addr().String())
		}
	}
	return all
}

// lastingDrain is the drain of a peer that has left. It outlasts the peer: who leaves
// takes his app along, a moment later.
type lastingDrain struct {
	observer uint64
	from     netip.Addr
	until    time.Time
}

const maxLasting = 256

// outlasts tells whether a withdrawn claim stays in force for a while.
func (p *peers) outlasts(observer uint64, s health.Subject) bool {
	if s.Kind != health.ByOwner {
		return false
	}
	c, ok := p.app.monitor.Heard(observer, s)
	until := c.Made.Add(gossip.TTL)
	if !ok || c.State != health.ClaimedDraining || !time.Now().Before(until) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, again := p.lasting[s]; again || len(p.lasting) >= maxLasting {
		return false
	}
	p.lasting[s] = lastingDrain{observer, c.From, until}
	return true
}

// tick forgets the drains of peers that left long ago, or that are back and do not
// drain any more, and tells the peers what has changed here.
func (p *peers) tick() {
	if p == nil {
		return
	}
	for s, d := range p.overdue() {
		p.app.monitor.Forget(d.observer, s)
	}
	p.hearing()
	p.announce()
}

func (p *peers) overdue() map[health.Subject]lastingDrain {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lasting) == 0 {
		return nil
	}
	over := make(map[health.Subject]lastingDrain)
	back := p.serving()
	for s, d := range p.lasting {
		if !time.Now().Before(d.until) || back[d.from] {
			over[s] = d
			delete(p.lasting, s)
		}
	}
	return over
}

// serving are the addresses of peers that do not drain.
func (p *peers) serving() map[netip.Addr]bool {
	all := make(map[netip.Addr]bool)
	for _, peer := range p.mesh.Peers() {
		if !peer.Info.Draining {
			all[peer.Address.Addr()] = true
		}
	}
	return all
}
