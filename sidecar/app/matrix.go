package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"outrider/gossip"
	"outrider/sidecar/admin"
	"outrider/sidecar/cluster"
	"outrider/sidecar/health"
	"outrider/sidecar/telemetry"
)

// Peers implements admin.Sidecar.
func (a *App) Peers() admin.PeersStatus {
	s := admin.PeersStatus{Peers: []admin.PeerStatus{}, Rejected: map[string]uint64{}}
	if a.peers == nil {
		return s
	}
	mesh := a.peers.mesh
	s.Enabled, s.Score, s.OnlyTCP = true, mesh.HealthScore(), mesh.OnlyTCP()
	own := a.peers.info()
	s.Self = peerStatus(gossip.Peer{
		Name: a.active.Load().config.Name, ID: mesh.ID(), Address: mesh.Address(), Info: own, Since: a.started,
	}, own)
	for _, p := range mesh.Peers() {
		s.Peers = append(s.Peers, peerStatus(p, own))
	}
	for reason, n := range mesh.Rejected() {
		s.Rejected[string(reason)] = n
	}
	return s
}

func peerStatus(p gossip.Peer, own gossip.Info) admin.PeerStatus {
	s := admin.PeerStatus{
		Name: p.Name, ID: p.ID, Address: p.Address.String(), Since: p.Since, Version: p.Info.Version, Script: p.Info.Script,
		Config: p.Info.Config, Fronts: p.Info.Fronts, Draining: p.Info.Draining, Drift: []string{},
	}
	for _, part := range []struct{ name, theirs, ours string }{
		{"version", p.Info.Version, own.Version}, {"script", p.Info.Script, own.Script}, {"config", p.Info.Config, own.Config},
	} {
		if part.theirs != part.ours {
			s.Drift = append(s.Drift, part.name)
		}
	}
	return s
}

// Health implements admin.Sidecar.
func (a *App) Health() admin.HealthStatus {
	s := admin.HealthStatus{Self: a.active.Load().config.Name, Peers: []string{}, Silence: a.monitor.Silence(), Backends: []admin.BackendHealth{}}
	if a.peers != nil {
		for _, p := range a.peers.mesh.Peers() {
			s.Peers = append(s.Peers, a.peers.mesh.Called(p))
		}
		slices.Sort(s.Peers)
	}
	known, cs, now := a.health(), a.clusters.Load(), time.Now()
	for _, name := range cs.names {
		for _, b := range cs.byName[name].Backends() {
			s.Backends = append(s.Backends, backendHealth(b, known[keyOf(b)], now))
		}
	}
	return s
}

func backendHealth(b *cluster.Backend, h health.Status, now time.Time) admin.BackendHealth {
	s := admin.BackendHealth{
		Cluster: b.ClusterName(), Name: b.Name(), Address: b.Address(), State: b.State().String(), For: admin.Seconds(now.Sub(h.Since)),
		Shared: h.Place != health.Place{}, Claims: []admin.ClaimStatus{}, Claimed: h.Claimed, Contested: h.Contested,
		DeafFor: admin.Seconds(max(h.DeafUntil.Sub(now), 0)),
		Own: admin.OwnEvidence{
			Well: h.Streak.Bad == 0 && !h.Streak.Down, Bad: h.Streak.Bad, Reason: h.Reason, Source: h.Source.String(), Age: admin.Seconds(-time.Second),
		},
	}
	if !h.LastCheck.IsZero() {
		s.Own.Age = admin.Seconds(now.Sub(h.LastCheck))
	}
	for _, c := range h.Claims {
		s.Claims = append(s.Claims, admin.ClaimStatus{Peer: c.Peer, State: c.State.String(), Kind: c.Kind.String(), Age: admin.Seconds(now.Sub(c.Made))})
	}
	s.Why = why(s)
	return s
}

// why tells the verdict and what led to it: "10.0.0.7:80 down: own refused, checked
// 1.2 s ago; api-2 says down 0.4 s ago; contested".
func why(s admin.BackendHealth) string {
	parts := []string{own(s.Own)}
	for _, c := range s.Claims {
		parts = append(parts, fmt.Sprintf("%s says %s %s ago", c.Peer, c.State, ago(c.Age)))
	}
	if s.Contested {
		parts = append(parts, "contested")
	}
	if s.DeafFor > 0 && s.Contested {
		parts = append(parts, fmt.Sprintf("deaf to it for %s", ago(s.DeafFor)))
	}
	return fmt.Sprintf("%s %s: %s", s.Address, s.State, strings.Join(parts, "; "))
}

func own(o admin.OwnEvidence) string {
	said := "well"
	switch {
	case !o.Well && o.Bad > 1:
		said = fmt.Sprintf("%d x %s", o.Bad, o.Reason)
	case !o.Well:
		said = o.Reason
	}
	if o.Age < 0 {
		return "own " + said + ", not checked"
	}
	return fmt.Sprintf("own %s, checked %s ago", said, ago(o.Age))
}

// ago is a span as one reads it: 0.4 s, 12 s.
func ago(d admin.Seconds) string {
	seconds := time.Duration(d).Seconds()
	if seconds < 10 {
		return fmt.Sprintf("%.1f s", seconds)
	}
	return time.Duration(d).Round(time.Second).String()
}

// counts is what the metrics tell of the peers.
func (p *peers) counts() *telemetry.Peers {
	c := &telemetry.Peers{Rejected: make(map[string]uint64), OnlyTCP: p.mesh.OnlyTCP()}
	scripts := map[string]bool{p.info().Script: true}
	for _, peer := range p.mesh.Peers() {
		scripts[peer.Info.Script] = true
		if peer.Info.Draining {
			c.Draining++
		} else {
			c.Serving++
		}
	}
	c.Scripts = len(scripts)
	for reason, n := range p.mesh.Rejected() {
		c.Rejected[string(reason)] = n
	}
	for _, claim := range p.mesh.Claims() {
		if claim.State == gossip.Down && claim.Observer != p.mesh.Observer() {
			c.Claims++
		}
	}
	return c
}
