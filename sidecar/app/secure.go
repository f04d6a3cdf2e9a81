package app

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
	"outrider/sidecar/credential"
	"outrider/sidecar/telemetry"
)

// lookEvery is how often the files of certificates are looked at.
const lookEvery = time.Second

// keepServer reads what a listener proves itself by; nil where it speaks cleartext.
func keepServer(t *config.ListenerTLS) (*credential.Kept, error) {
	if t == nil {
		return nil, nil
	}
	return credential.Keep(credential.Server{
		Pairs: t.Certificates, MinVersion: t.MinVersion.Number(),
		ClientCA: t.ClientCA, Optional: t.ClientAuth == config.ClientAuthOptional,
		Protocols: []string{"h2", "http/1.1"},
	})
}

// keepClient reads what connections to a cluster's backends are made by; nil where
// they are cleartext.
func keepClient(t *config.TLS, p cluster.Protocol) (*credential.Kept, error) {
	if t == nil {
		return nil, nil
	}
	return credential.Keep(credential.Client{
		ServerName: t.ServerName, CA: t.CA, Insecure: t.InsecureSkipVerify, Pair: t.Client,
		Protocols: offered(p),
	})
}

// offered is what is offered in TLS handshakes (ALPN).
func offered(p cluster.Protocol) []string {
	switch p {
	case cluster.HTTP1:
		return []string{"http/1.1"}
	case cluster.HTTP2:
		return []string{"h2"}
	}
	return []string{"h2", "http/1.1"}
}

// protocol is what is spoken to a cluster's backends.
func protocol(c config.Cluster) cluster.Protocol {
	switch {
	case c.SendProxy != config.SendProxyOff:
		return cluster.HTTP1 // a connection that carries the requests of one client alone
	case c.Protocol == config.ProtocolH2, c.Protocol == config.ProtocolH2C:
		return cluster.HTTP2
	case c.Protocol == config.ProtocolAuto && c.TLS != nil:
		return cluster.Negotiated
	}
	return cluster.HTTP1
}

// watchCredentials puts certificates, keys and authorities in force that have changed
// in their files, until ctx is done.
func (a *App) watchCredentials(ctx context.Context) {
	each := time.NewTicker(lookEvery)
	defer each.Stop()
	for {
		select {
		case <-each.C:
			a.lookAtCredentials()
		case <-ctx.Done():
			return
		}
	}
}

func (a *App) lookAtCredentials() {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	for _, l := range a.entrances.Load().listeners {
		a.lookAt(l.secure, logrus.Fields{"listener": l.Name})
	}
	changed := false
	for name, u := range a.clusters.Load().byName {
		if a.lookAt(u.secure, logrus.Fields{"cluster": name}) {
			next := *u.Policy()
			next.TLS = u.secure.Now()
			u.SetPolicy(&next)
			changed = true
		}
	}
	if changed {
		a.refreshChecks()
	}
}

// lookAt reports whether something new is in force.
func (a *App) lookAt(k *credential.Kept, whose logrus.Fields) bool {
	if k == nil {
		return false
	}
	changed, err := k.Look()
	switch {
	case err != nil:
		a.log.WithFields(whose).WithError(err).Error("new certificates are no good: those from before stay in use")
	case changed:
		a.log.WithFields(whose).WithField("not_after", soonest(k).UTC().Format(time.RFC3339)).Info("new certificates are in use")
	}
	return changed
}

// soonest is when the first of the certificates expires; zero: there are none.
func soonest(k *credential.Kept) time.Time {
	var first time.Time
	for _, pair := range k.Now().Certificates {
		if at := pair.Leaf.NotAfter; first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// certificates are those that the sidecar proves itself by, for the metrics.
func (a *App) certificates() []telemetry.Certificate {
	var all []telemetry.Certificate
	add := func(of, name string, k *credential.Kept, pairs ...credential.Pair) {
		if k == nil {
			return
		}
		for i, pair := range k.Now().Certificates {
			all = append(all, telemetry.Certificate{Of: of, Name: name, File: pairs[i].Cert, NotAfter: pair.Leaf.NotAfter})
		}
	}
	for _, l := range a.entrances.Load().listeners {
		if l.TLS != nil {
			add("listener", l.Name, l.secure, l.TLS.Certificates...)
		}
	}
	cs := a.clusters.Load()
	for _, name := range cs.names {
		if u := cs.byName[name]; u.config.TLS != nil {
			add("cluster", name, u.secure, u.config.TLS.Client)
		}
	}
	return all
}
