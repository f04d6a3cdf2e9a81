package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"text/template"
)

//go:embed configs
var configs embed.FS

// contender is one proxy that is measured: how its program is had, configured and started.
type contender struct {
	name    string // on the command line and in messages
	title   string // in the table
	program program
	config  string // a template in configs; empty when the arguments say everything
	script  string // what takes its decision, below the module's root; empty: its configuration does
	floor   bool   // carries bytes to backend one and decides nothing
	variant
	arguments func(s site) []string
}

// variant is what an Outrider's configuration says beside the usual.
type variant struct {
	Listener string // further keys of its listener, as YAML
	Cluster  string // further keys of each cluster
	Log      string // the section log
	Record   string // how many decisions are kept, with what became of the requests; empty: the usual
	Status   bool   // the listener for probes and metrics is on
}

// site is what a contender's configuration is made of.
type site struct {
	Listen      string // host:port to serve on
	One, Two    string // host:port of the backends
	Workers     int
	Connections int          // idle upstream connections that must fit into its pool
	Dir         string       // its own folder
	Config      string       // the file made from its template
	Script      string       // absolute path; empty: no script
	Clients     int          // connections that clients may open
	Unbuffered  bool         // bodies are passed on as they come
	Upgrades    bool         // clients may ask for another protocol
	TLS         *certificate // nil: cleartext
	Streams     bool         // clients speak HTTP/2
	Calls       bool         // backends speak it, in cleartext
	User        string       // whom nginx's workers run as; empty: the user that starts it
	variant
}

// contenders are all that can be measured, in the order of the table.
func contenders() []contender {
	plain := []contender{outrider(), nginx(), haproxy(), caddy(), reverseProxy(), relay()}
	scripted := []contender{
		withScript(outrider(), "outrider+script", "Outrider, default script", "scripts/default.js"),
		withScript(nginx(), "nginx+njs", "nginx + njs", "integration/bench/configs/nginx.js"),
		withScript(haproxy(), "haproxy+lua", "HAProxy + Lua", "integration/bench/configs/haproxy.lua"),
	}
	return []contender{
		plain[0], scripted[0], plain[1], scripted[1], plain[2], scripted[2], plain[3], plain[4], plain[5],
	}
}

func outrider() contender {
	return contender{
		name: "outrider", title: "Outrider", config: "outrider.yaml",
		program:   program{name: "outrider", pkg: "outrider/sidecar", version: []string{"version"}},
		arguments: func(s site) []string { return []string{"run", "-c", s.Config} },
	}
}

func nginx() contender {
	return contender{
		name: "nginx", title: "nginx", config: "nginx.conf",
		program:   program{name: "nginx", version: []string{"-v"}},
		arguments: func(s site) []string { return []string{"-p", s.Dir, "-c", s.Config, "-e", "stderr"} },
	}
}

func haproxy() contender {
	return contender{
		name: "haproxy", title: "HAProxy", config: "haproxy.cfg",
		program:   program{name: "haproxy", version: []string{"-v"}},
		arguments: func(s site) []string { return []string{"-db", "-f", s.Config} },
	}
}

func caddy() contender {
	return contender{
		name: "caddy", title: "Caddy", config: "Caddyfile",
		program:   program{name: "caddy", version: []string{"version"}},
		arguments: func(s site) []string { return []string{"run", "--config", s.Config, "--adapter", "caddyfile"} },
	}
}

func reverseProxy() contender {
	return contender{
		name: "reverseproxy", title: "net/http ReverseProxy",
		program: program{name: "reverseproxy", pkg: "outrider/integration/bench/reverseproxy"},
		arguments: func(s site) []string {
			return []string{
				"-listen", s.Listen, "-one", s.One, "-two", s.Two,
				"-connections", strconv.Itoa(s.Connections),
			}
		},
	}
}

func relay() contender {
	return contender{
		name: "relay", title: "C relay", floor: true,
		program:   program{name: "relay", source: "relay/relay.c"},
		arguments: func(s site) []string { return []string{s.Listen, s.One, strconv.Itoa(s.Workers)} },
	}
}

// withScript is the contender with its decision taken by a script.
func withScript(c contender, name, title, script string) contender {
	c.name, c.title, c.script = name, title, script
	return c
}

// variants are Outriders with one feature more, or one less, than the first.
func variants() []contender {
	with := func(name, title string, v variant) contender {
		c := outrider()
		c.name, c.title, c.variant = name, title, v
		return c
	}
	file := func(sample string) string {
		return "{ access: { mode: all, sample: " + sample + ", file: access.log } }"
	}
	return []contender{
		with("outrider", "as it comes", variant{}),
		with("no-forwarding", "without X-Forwarded fields", variant{Listener: "forwarded: off"}),
		with("no-retries", "without retries", variant{Cluster: "retries: 0"}),
		with("no-checks", "without health checks", variant{Cluster: "check: { type: off }, passive: off"}),
		with("no-record", "without the record of the last requests", variant{Record: "0"}),
		with("no-log", "without the access log", variant{Log: "{ access: { mode: off } }"}),
		with("log-1", "access log of 1 % to a file, and metrics", variant{Log: file("1%"), Status: true}),
		with("log-all", "access log of all to a file, and metrics", variant{Log: file("100%"), Status: true}),
		withScript(outrider(), "outrider+script", "with the default script", "scripts/default.js"),
	}
}

// configure writes the contender's configuration into the site's folder and notes its place in the site.
func (c contender) configure(s *site) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	if c.config == "" {
		return nil
	}
	t, err := template.ParseFS(configs, "configs/"+c.config)
	if err != nil {
		return fmt.Errorf("read the template of its configuration: %w", err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, s); err != nil {
		return fmt.Errorf("fill the template of its configuration: %w", err)
	}
	s.Config = filepath.Join(s.Dir, c.config)
	if err := os.WriteFile(s.Config, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write its configuration: %w", err)
	}
	return nil
}

// workerUser is the name nginx is told when it is started by root, so that its workers, like every other
// contender, stay the user that started them and can use the folder. Others need not and must not name one.
func workerUser() string {
	if os.Geteuid() != 0 {
		return ""
	}
	if u, err := user.LookupId("0"); err == nil {
		return u.Username
	}
	return "root"
}
