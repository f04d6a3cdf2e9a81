package app

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"outrider/sidecar/config"
	"outrider/sidecar/proxy"
)

// proxySettings are what the proxy is to do by a configuration.
func (a *App) proxySettings(c *config.Config, to *accounts) *proxy.Settings {
	return &proxy.Settings{
		Name:                 processName(c.Name, a.process),
		Limits:               proxyLimits(c.Limits, a.options.Memory),
		Trusted:              c.TrustedProxies,
		TrustedToo:           a.peerTrust(c),
		RefuseAmbiguousPaths: c.AmbiguousPaths == config.AmbiguousPathsRefuse,
		OnDone:               to.done(),
		Steps:                to.steps() || c.Dev,
		Timing:               c.Dev,
		Trace:                tracing(a.options.Tracer),
		Explains:             a.explains(c),
	}
}

// explains tells who may know what was decided on a request: in development anybody,
// else who has the token of the admin listener. An address proves nothing: beside an
// app everybody comes from loopback.
func (a *App) explains(c *config.Config) func(token []byte) bool {
	if c.Dev {
		return func([]byte) bool { return true }
	}
	if c.Admin.Listen == "" {
		return nil
	}
	return func(token []byte) bool {
		for _, d := range a.entrances.Load().doors {
			if d.lock != nil {
				return d.lock.Opens(token)
			}
		}
		return false
	}
}

const tokenLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

// processName names this process in Via: the sidecar's name, which peers may
// share, and a part that they do not. It is a token (RFC 9110, 5.6.2).
func processName(name string, process uint32) string {
	token := []byte(name)
	for i, c := range token {
		if !strings.ContainsRune(tokenLetters, rune(c)) {
			token[i] = '-'
		}
	}
	return fmt.Sprintf("outrider-%s-%04x", token, process)
}

func newProcess() uint32 { return rand.Uint32() & 0xffff }

// proxyLimits are the limits where so much memory is available.
func proxyLimits(l config.Limits, memory int64) proxy.Limits {
	buffers := l.Buffers
	if buffers == 0 {
		buffers = memory / 4
	}
	return proxy.Limits{
		Memory:      buffers,
		Connections: l.Connections, Head: int(l.Head), Fields: l.Fields,
		HeadTimeout: l.HeadTimeout, ClientIdle: l.ClientIdle, HalfClose: l.HalfClose,
	}
}
