package app

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"

	"outrider/gossip"
	"outrider/sidecar/config"
)

// announce tells the peers what this sidecar runs, when that has changed.
func (p *peers) announce() {
	info := p.info()
	p.mu.Lock()
	same := p.told == info
	p.told = info
	p.mu.Unlock()
	if same {
		return
	}
	if err := p.mesh.Announce(info); err != nil {
		p.app.log.WithError(err).Error("the peers can not be told what runs here")
	}
}

func (p *peers) info() gossip.Info {
	now := p.app.active.Load()
	i := gossip.Info{Version: cut(p.app.options.Version), Config: now.fingerprint, Draining: p.draining()}
	if script := now.route.script; script != nil {
		i.Script = cut(script.versions.Status().Version)
	}
	if fronts := p.frontAddresses(); len(fronts) > 0 {
		i.Fronts = fronts[0].String()
	}
	return i
}

// cut keeps what peers are told within its bounds.
func cut(s string) string { return s[:min(len(s), gossip.MaxInfo)] }

// fingerprintOf is a short hash of a configuration without what is each sidecar's
// own: two that should behave alike have the same.
func fingerprintOf(c *config.Config) string {
	same := *c
	same.Name, same.File, same.App, same.StateDir, same.Notes = "", "", "", "", nil
	same.Listen, same.Status, same.Admin = nil, config.Status{}, config.Admin{}
	same.Gossip = nil
	same.Script.File, same.Script.Data = filepath.Base(c.Script.File), filepath.Base(c.Script.Data)
	same.Script.Shadow.File, same.Log.Access.File = filepath.Base(c.Script.Shadow.File), ""
	same.Script.Tests, same.Script.Allow.Imports, same.Script.EnvValues = nil, nil, nil
	same.Clusters = slices.Clone(c.Clusters)
	for i := range same.Clusters {
		if t := same.Clusters[i].TLS; t != nil {
			alike := *t
			alike.Roots = nil
			same.Clusters[i].TLS = &alike
		}
	}
	same.Clusters = slices.DeleteFunc(same.Clusters, func(c config.Cluster) bool { return c.Name == appCluster })
	text, err := json.Marshal(same)
	if err != nil {
		return "" // no configuration holds what JSON can not say
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:7]
}
