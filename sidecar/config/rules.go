package config

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"outrider/sidecar/credential"
)

// rules are what a single key cannot tell: how keys fit together, and with the files that they name.
type rules struct {
	r      *reader
	c      *Config
	found  *found
	lookup func(name string) (string, bool) // of environment variables
	notes  []string
}

func (u *rules) apply() {
	u.appCluster()
	if len(u.c.Clusters) == 0 {
		u.noCluster()
	}
	u.listeners()
	for i := range u.c.Clusters {
		u.cluster(&u.c.Clusters[i])
	}
	u.script()
	u.defaultCluster()
	u.gossip()
	u.admin()
	if file := &u.c.Log.Access.File; *file != AccessStdout {
		*file = u.r.locate("log.access.file", *file, u.found)
	}
	if u.c.Shutdown.Drain == drainAuto {
		u.c.Shutdown.Drain = 0
		if u.c.App != "" {
			u.c.Shutdown.Drain = drainWithApp
		}
	}
}

// note records what should be known but is no fault.
func (u *rules) note(path, format string, args ...any) {
	at := u.r.at(path)
	note := Fault{Source: at.source, Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...)}
	u.notes = append(u.notes, note.headline())
}

func (u *rules) noCluster() {
	at := position{}
	if u.r.isWritten("clusters") || u.r.home != nil && !u.found.empty {
		at = u.r.at("clusters")
	}
	u.r.faults.add(at, "", "%s", u.found.missing())
}

// appCluster makes the cluster `app` of app, or completes the one that is written.
func (u *rules) appCluster() {
	host, port, err := parseHostPort(u.c.App)
	if err != nil {
		return // none, or a fault already
	}
	only := Backend{Host: host, Port: port, Weight: defaultWeight, Raw: u.c.App}
	own := u.c.Cluster("app")
	if own == nil {
		made := Cluster{Name: "app"}
		cluster(&made).read(u.r, "clusters.app", &node{kind: kindMapping})
		made.Backends = []Backend{only}
		u.c.Clusters = append(u.c.Clusters, made)
		return
	}
	if !u.r.isWritten("clusters.app.backends") {
		own.Backends = []Backend{only}
		return
	}
	if len(own.Backends) != 1 || own.Backends[0].Address() != only.Address() {
		u.r.fault("clusters.app.backends", "these are not app, which is %s; leave the backends out here, or call the cluster something else", u.c.App)
	}
}

// socket is something that we listen on.
type socket struct{ path, address string }

func (u *rules) sockets() []socket {
	var sockets []socket
	for i, l := range u.c.Listen {
		path := fmt.Sprintf("listen[%d].address", i)
		if !u.r.isWritten(path) {
			path = "listen"
		}
		sockets = append(sockets, socket{path, l.Address})
	}
	sockets = append(sockets, socket{"status.listen", u.c.Status.Listen}, socket{"admin.listen", u.c.Admin.Listen})
	if g := u.c.Gossip; g != nil {
		sockets = append(sockets, socket{"gossip.listen", g.Listen.String()})
	}
	return sockets
}

func (u *rules) listeners() {
	sockets := u.sockets()
	for i, s := range sockets {
		for _, earlier := range sockets[:i] {
			if collide(s.address, earlier.address) {
				u.collision(s, earlier)
			}
		}
	}
	for i, l := range u.c.Listen {
		same := func(o Listener) bool { return o.Name == l.Name }
		if l.Name != "" && slices.ContainsFunc(u.c.Listen[:i], same) {
			u.r.fault(fmt.Sprintf("listen[%d].name", i), "two listeners are called %q; give each a name of its own", l.Name)
		}
		u.knownCluster(fmt.Sprintf("listen[%d].cluster", i), l.Cluster)
		if l.TLS != nil {
			u.termination(fmt.Sprintf("listen[%d].tls", i), l.TLS)
		}
		if l.ProxyProtocol && len(u.c.TrustedProxies) == 0 && !u.c.TrustPeers {
			u.r.fault(fmt.Sprintf("listen[%d].proxy_protocol", i), "nobody may send the header, so every connection would be closed; write trusted_proxies with the addresses of the load balancer")
		}
	}
}

// collision is reported at the one that was written, when the other is a default.
func (u *rules) collision(a, b socket) {
	if !u.r.isWritten(a.path) {
		a, b = b, a
	}
	u.r.fault(a.path, "%s is taken by %s (%s); choose another port", a.address, b.path, b.address)
}

// knownCluster reports a name that no cluster has.
func (u *rules) knownCluster(path, name string) {
	if name == "" || u.c.Cluster(name) != nil {
		return
	}
	names := u.c.ClusterNames()
	u.r.fault(path, "there is no cluster %q; the clusters are %s%s", name, strings.Join(names, ", "), didYouMean(name, names))
}

func (u *rules) cluster(c *Cluster) {
	path := join("clusters", c.Name)
	u.backends(path, c)
	u.encryption(path, c)
	u.check(path+".check", &c.Check)
	if c.Check.Type == CheckGRPC && (c.Protocol == ProtocolH1 || c.Protocol == ProtocolAuto && c.TLS == nil) {
		u.r.fault(path+".check.type", "gRPC needs HTTP/2, and the cluster speaks HTTP/1.1; write protocol: h2c, or h2 with tls")
	}
	if c.Balance != BalanceHash && u.r.isWritten(path+".hash_key") {
		u.r.fault(path+".hash_key", "only balance: hash goes by a key; write that, or remove this")
	}
}

func (u *rules) backends(path string, c *Cluster) {
	if len(c.Backends) == 0 && u.mayComplain(path) {
		u.r.fault(path+".backends", "a cluster needs a backend; write backends: [\"host:port\"]")
	}
	for i, b := range c.Backends {
		at := fmt.Sprintf("%s.backends[%d]", path, i)
		if !u.r.isWritten(at) {
			at = "app"
		}
		same := func(o Backend) bool { return o.Host != "" && o.Address() == b.Address() }
		if slices.ContainsFunc(c.Backends[:i], same) {
			u.r.fault(at, "%s stands here twice; remove one, or give it a weight", b.Address())
		}
		for _, l := range u.c.Listen {
			if b.Host != "" && loopsTo(b.Host, b.Port, l.Address) {
				u.r.fault(at, "%s is our own listener %q (%s): requests would go in circles; name the server's address, or listen elsewhere", b.Address(), l.Name, l.Address)
			}
		}
	}
}

// mayComplain keeps a missing list from being a second fault where reading it has failed.
func (u *rules) mayComplain(path string) bool {
	at := u.r.at(path + ".backends")
	return !slices.ContainsFunc(u.r.faults.list, func(f Fault) bool {
		inside := f.Path == path || f.Path == path+".backends"
		return inside || f.Line > 0 && f.Line == at.line && f.Path == ""
	})
}

// encryption settles tls, its server name and the Host field, which depend on the backends.
func (u *rules) encryption(path string, c *Cluster) {
	schemes := map[string]bool{}
	for _, b := range c.Backends {
		schemes[b.scheme()] = true
	}
	off := u.r.isWritten(path+".tls") && c.TLS == nil
	switch {
	case schemes["http"] && schemes["https"]:
		u.r.fault(path+".backends", "http:// and https:// in one cluster; make two clusters")
	case schemes["http"] && c.TLS != nil:
		u.r.fault(path+".tls", "tls is on, but a backend is http://; write https://, or remove tls")
	case schemes["https"] && off:
		u.r.fault(path+".tls", "tls is off, but a backend is https://; write http://, or remove tls")
	case schemes["https"] && c.TLS == nil:
		c.TLS = new(TLS)
	}
	if c.TLS != nil {
		u.serverName(path, c)
		u.authorities(path+".tls.ca", c.TLS)
		if c.TLS.Client != (credential.Pair{}) {
			u.pair(path+".tls", "client_cert", "client_key", &c.TLS.Client)
		}
		if c.TLS.InsecureSkipVerify {
			u.note(path+".tls.insecure_skip_verify", "certificates are not verified: whoever answers at these addresses is believed")
		}
	}
	u.host(c)
	switch {
	case c.Protocol == ProtocolH2 && c.TLS == nil:
		u.r.fault(path+".protocol", "h2 is HTTP/2 over TLS, and the cluster has no tls; write h2c for cleartext, or add tls")
	case c.SendProxy != SendProxyOff && (c.Protocol == ProtocolH2 || c.Protocol == ProtocolH2C):
		u.r.fault(path+".send_proxy", "a connection of HTTP/2 carries the requests of many clients, so that its header could name none; write protocol: h1, or remove send_proxy")
	case c.Protocol == ProtocolH2C && c.TLS != nil:
		u.r.fault(path+".protocol", "h2c is HTTP/2 in cleartext, and the cluster has tls; write h2, or remove tls")
	}
}

func (u *rules) serverName(path string, c *Cluster) {
	hosts := []string{}
	for _, b := range c.Backends {
		if !slices.Contains(hosts, b.Host) {
			hosts = append(hosts, b.Host)
		}
	}
	switch {
	case c.TLS.ServerName != "":
		c.TLS.ServerName = strings.TrimSuffix(strings.ToLower(c.TLS.ServerName), ".")
	case len(hosts) == 1:
		c.TLS.ServerName = strings.TrimSuffix(hosts[0], ".")
	case len(hosts) > 1 && !c.TLS.InsecureSkipVerify:
		u.r.fault(path+".tls", "the backends have different hosts; write tls: { server_name: ... } with the name that their certificates carry")
	}
}

const caSystem = "system"

func (u *rules) authorities(path string, t *TLS) {
	if t.CA == caSystem || t.CA == "" {
		t.CA = ""
		return
	}
	t.CA = u.r.locate(path, t.CA, u.found)
	t.Roots = u.pool(path, t.CA)
}

// host is resolved to the name that is sent, "" for the client's own.
func (u *rules) host(c *Cluster) {
	switch {
	case c.Host == hostPass:
		c.Host = ""
	case c.Host == "" && c.TLS != nil:
		if _, err := netip.ParseAddr(c.TLS.ServerName); err != nil {
			c.Host = c.TLS.ServerName
		}
	}
}

// check looks at what the check's type makes of its other keys.
func (u *rules) check(path string, c *Check) {
	users := map[string]CheckType{
		"send": CheckTCP, "expect": CheckTCP,
		"path": CheckHTTP, "host": CheckHTTP, "headers": CheckHTTP, "status": CheckHTTP, "body": CheckHTTP,
		"service": CheckGRPC,
	}
	for key, user := range users {
		if c.Type != "" && c.Type != user && u.r.isWritten(join(path, key)) {
			u.r.fault(join(path, key), "only a check of type %s uses this, and this one is %s; write type: %s, or remove it", user, c.Type, user)
		}
	}
	if c.Type != CheckOff && c.Timeout > c.Interval && c.Interval > 0 {
		at := path + ".timeout"
		if !u.r.isWritten(at) {
			at = path + ".interval"
		}
		u.note(at, "the timeout (%s) is longer than the interval (%s): while a backend does not answer, it is checked less often than written", short(c.Timeout), short(c.Interval))
	}
}

func (u *rules) script() {
	s := &u.c.Script
	if u.c.StateDir != "" {
		u.c.StateDir = u.r.locate("state_dir", u.c.StateDir, u.found)
	}
	if s.File != "" {
		s.File = u.r.locate("script.file", s.File, u.found)
		if _, err := u.r.files.read(s.File); err != nil {
			u.r.fault("script.file", "%v", err)
		}
	}
	u.tests(s)
	u.data(s)
	switch {
	case s.OnError == "" && u.c.DefaultCluster != "":
		s.OnError = u.c.DefaultCluster
	case s.OnError == "":
		s.OnError = OnErrorFail
	case s.OnError != OnErrorFail:
		u.knownCluster("script.on_error", s.OnError)
	}
}

// data finds ctx.data and ctx.env.
func (u *rules) data(s *Script) {
	if s.Data != "" {
		s.Data = u.r.locate("script.data", s.Data, u.found)
		if _, err := u.r.files.read(s.Data); err != nil {
			u.r.fault("script.data", "%v", err)
		}
	}
	s.Shadow.File = u.r.locate("script.shadow.file", s.Shadow.File, u.found)
	if s.Shadow.File != "" && s.File == "" {
		u.r.fault("script.shadow.file", "there is no script for it to be asked beside: write script.file, or remove this")
	}
	for i, dir := range s.Allow.Imports {
		s.Allow.Imports[i] = u.r.locate("script.allow.imports", dir, u.found)
	}
	for _, name := range s.Env {
		value, ok := u.lookup(name)
		switch {
		case !ok:
			u.note("script.env", "%s is not set: the script sees ctx.env.%s as undefined", name, name)
		case s.EnvValues == nil:
			s.EnvValues = map[string]string{name: value}
		default:
			s.EnvValues[name] = value
		}
	}
}

func (u *rules) tests(s *Script) {
	if len(s.Tests) > 0 && s.File == "" {
		u.r.fault("script.tests", "there is no script to test: write script.file, or remove this")
		return
	}
	for i, file := range s.Tests {
		path := fmt.Sprintf("script.tests[%d]", i)
		if !u.r.isWritten(path) {
			path = "script.tests"
		}
		s.Tests[i] = u.r.locate(path, file, u.found)
		if _, err := u.r.files.read(s.Tests[i]); err != nil {
			u.r.fault(path, "%v", err)
		}
	}
}

// The clusters that the built-in rule names.
const (
	builtinOne = "one"
	builtinTwo = "two"
)

func (u *rules) defaultCluster() {
	c := u.c
	switch {
	case c.DefaultCluster != "":
		u.knownCluster("default_cluster", c.DefaultCluster)
	case len(c.Clusters) == 1:
		c.DefaultCluster = c.Clusters[0].Name
	case c.Script.File == "" && c.Cluster(builtinTwo) != nil:
		c.DefaultCluster = builtinTwo
	case c.Script.File == "" && u.asksRule():
		u.note("clusters", "the built-in rule sends /one/ to the cluster %q and everything else to %q; requests for one that is not configured are answered 404: "+
			"write default_cluster, or a script", builtinOne, builtinTwo)
	}
}

// asksRule reports whether any listener leaves the choice to the rule.
func (u *rules) asksRule() bool {
	return slices.ContainsFunc(u.c.Listen, func(l Listener) bool { return l.Cluster == "" })
}

func (u *rules) admin() {
	a := &u.c.Admin
	for i, host := range a.Hosts {
		a.Hosts[i] = strings.ToLower(host)
	}
	if a.TokenFile != "" {
		a.TokenFile = u.r.locate("admin.token_file", a.TokenFile, u.found)
		if err := u.token(a.TokenFile); err != nil {
			u.r.fault("admin.token_file", "%v", err)
		}
		return
	}
	if host, _, err := net.SplitHostPort(a.Listen); err == nil && !isLoopback(host) {
		u.r.fault("admin.listen", "%s can be reached from other hosts; write admin.token_file, or listen on 127.0.0.1", a.Listen)
	}
}

func (u *rules) token(path string) error {
	token, err := u.r.files.read(path)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(token)) == 0 {
		return errors.New(path + " is empty; write a token into it")
	}
	return nil
}
