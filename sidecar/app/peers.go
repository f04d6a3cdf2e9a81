package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/gossip"
	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
	"outrider/sidecar/health"
)

// peers are the other sidecars: what they claim goes to the monitor, and what the
// monitor sees to them.
type peers struct {
	app    *App
	mesh   *gossip.Mesh
	config *config.Gossip // as it was at the start; of what can change, app.active has the latest

	mu      sync.Mutex // guards what follows
	told    gossip.Info
	crowd   crowd
	drained []health.Subject                // what we ask peers to spare; nil: nothing
	lasting map[health.Subject]lastingDrain // of peers that left
}

// newPeers is nil for a configuration without gossip.
func (a *App) newPeers(c *config.Config) (*peers, error) {
	if c.Gossip == nil {
		return nil, nil
	}
	p := &peers{app: a, config: c.Gossip, lasting: make(map[health.Subject]lastingDrain)}
	mesh, err := gossip.New(gossip.Options{
		Name:      c.Name,
		Bind:      c.Gossip.Listen,
		Advertise: c.Gossip.Advertise,
		Join:      c.Gossip.Join,
		Label:     c.Gossip.Label,
		Keys:      c.Gossip.Keys,
		Insecure:  c.Gossip.Insecure,
		Receiver:  p,
		Transport: a.options.Transport,
		Log:       a.log,
		Rand:      newRand(),
	})
	if err != nil {
		return nil, err
	}
	p.mesh = mesh
	return p, nil
}

// open opens the sockets. What runs from then on ends with close.
func (p *peers) open() error {
	if p == nil {
		return nil
	}
	failed := make(chan error, 1)
	p.app.tasks.Go(func() { failed <- p.mesh.Run(context.Background()) })
	select {
	case <-p.mesh.Started():
		p.announce()
		return nil
	case err := <-failed:
		if errors.Is(err, gossip.ErrAdvertise) {
			return fmt.Errorf("%w; write gossip.advertise, the address of this host that peers reach", err)
		}
		return fmt.Errorf("gossip.listen can not use %s: %w; choose another address, end what uses it, or leave the section gossip out", p.config.Listen, err)
	}
}

// close tells the peers that this sidecar leaves.
func (p *peers) close() {
	if p == nil {
		return
	}
	select {
	case <-p.mesh.Started():
	default:
		return // it was never opened, or could not be
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	if err := p.mesh.Leave(ctx); err != nil {
		p.app.log.WithError(err).Warn("the peers may take some seconds to see that this sidecar has left")
	}
}

const leaveWait = 5 * time.Second

// adopt takes over the part of other settings that can change while running.
func (p *peers) adopt(c *config.Gossip) error {
	if p == nil {
		return nil
	}
	if err := p.mesh.SetJoin(c.Join); err != nil {
		return err
	}
	if len(c.Keys) == 0 {
		return nil
	}
	return p.mesh.SetKeys(c.Keys)
}

// sameNetwork tells whether one mesh can go on from one of two settings to the other.
func sameNetwork(a, b *config.Gossip) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Listen == b.Listen && a.Advertise == b.Advertise && a.Label == b.Label && a.Scope == b.Scope &&
		a.ShareLoopback == b.ShareLoopback && (len(a.Keys) > 0) == (len(b.Keys) > 0)
}

// peerTrust tells of an address whether a peer has it, where those are to be trusted.
func (a *App) peerTrust(c *config.Config) func(netip.Addr) bool {
	if !c.TrustPeers || a.peers == nil {
		return nil
	}
	return a.peers.mesh.Knows
}

// publish is called by the monitor.
func (p *peers) publish(s health.Subject, state health.ClaimState) {
	if err := p.mesh.Publish(s.Key(), claimed(state)); err != nil {
		p.app.log.WithFields(logrus.Fields{"backend": s.Addr.String(), logrus.ErrorKey: err}).Error("a claim could not be published")
	}
}

func claimed(s health.ClaimState) gossip.State {
	switch s {
	case health.ClaimedDown:
		return gossip.Down
	case health.ClaimedDraining:
		return gossip.Draining
	}
	return gossip.Up
}

// hearing is how well the peers are heard.
func (p *peers) hearing() health.Hearing {
	n := p.mesh.Size()
	p.mu.Lock()
	defer p.mu.Unlock()
	return health.Hearing{Peers: n, Most: p.crowd.most(n, time.Now()), Score: p.mesh.HealthScore()}
}

// Receive implements gossip.Receiver.
func (p *peers) Receive(from gossip.Peer, c gossip.Claim) {
	s, err := health.ParseSubject(c.Key)
	if err != nil || s.Scope != p.config.Scope || !health.Shareable(s.Addr.Addr(), p.config.ShareLoopback) {
		return // of a later version, of another network, or of an address that is another one here
	}
	said := health.Claim{
		Subject: s, Observer: uint64(c.Observer), Peer: p.mesh.Called(from), From: from.Address.Addr(), Made: time.Now().Add(-c.Age),
	}
	switch c.State {
	case gossip.Down:
		said.State = health.ClaimedDown
	case gossip.Draining:
		said.State = health.ClaimedDraining
	case gossip.Up:
	}
	p.app.monitor.Hear(said)
}

// Withdraw implements gossip.Receiver.
func (p *peers) Withdraw(o gossip.Observer, key string) {
	s, err := health.ParseSubject(key)
	if err != nil || p.outlasts(uint64(o), s) {
		return
	}
	p.app.monitor.Forget(uint64(o), s)
}

// subject is what claims about a backend are about; zero: they mean nothing to others.
func (p *peers) subject(c config.Cluster, addr netip.AddrPort) health.Subject {
	if p == nil || !health.Shareable(addr.Addr(), p.config.ShareLoopback) {
		return health.Subject{}
	}
	s := health.Subject{Place: health.Place{Addr: addr, Scope: p.config.Scope}}
	if c.TLS != nil {
		s.ServerName = c.TLS.ServerName
	}
	if len(s.ServerName)+len(s.Scope) > health.MaxSubjectName {
		return health.Subject{}
	}
	s.Kind, s.Path = lookOf(c)
	return s
}

// lookOf is how a cluster's backends are looked at.
func lookOf(c config.Cluster) (health.ClaimKind, uint32) {
	switch c.Check.Type {
	case config.CheckTLS:
		return health.ByTLS, 0
	case config.CheckHTTP:
		return health.ByHTTP, uint32(cluster.KeyOf(c.Check.Path + " " + c.Check.Host))
	case config.CheckGRPC:
		return health.ByHTTP, uint32(cluster.KeyOf("grpc " + c.Check.Service))
	}
	return health.ByTCP, 0
}

// crowd remembers how many peers there were at a time.
type crowd struct {
	highest int
	at      time.Time
}

// crowdMemory is how long it does.
const crowdMemory = time.Minute

func (c *crowd) most(now int, at time.Time) int {
	if now >= c.highest || at.Sub(c.at) > crowdMemory {
		c.highest, c.at = now, at
	}
	return c.highest
}

// portOn is an address of ours on a port that is written in an address.
func portOn(ip netip.Addr, address string) (netip.AddrPort, bool) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return netip.AddrPortFrom(ip, uint16(port)), err == nil && port > 0
}
