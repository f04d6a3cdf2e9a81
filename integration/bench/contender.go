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
	name      string // on the command line and in messages
	title     string // in the table
	program   program
	config    string // a template in configs; empty when the arguments say everything
	scripted  bool   // runs scripts/default.js
	arguments func(s site) []string
}

// program is an executable of the system (found by name) or of this module (built from pkg).
type program struct {
	name    string
	pkg     string   // import path; empty: a program of the system
	version []string // arguments that make it print its version; nil: the version of Go tells it
}

// site is what a contender's configuration is made of.
type site struct {
	Listen      string // host:port to serve on
	One, Two    string // host:port of the backends
	Workers     int
	Connections int    // idle upstream connections that must fit into its pool
	Dir         string // its own folder
	Config      string // the file made from its template
	Script      string // absolute path; empty: no script
	User        string // whom nginx's workers run as; empty: the user that starts it
}

// contenders are all that can be measured, in the order of the table.
func contenders() []contender {
	outrider := program{name: "outrider", pkg: "outrider/sidecar", version: []string{"version"}}
	runWithConfig := func(s site) []string { return []string{"run", "-c", s.Config} }
	return []contender{
		{
			name: "outrider", title: "Outrider", program: outrider,
			config: "outrider.yaml", arguments: runWithConfig,
		},
		{
			name: "outrider+script", title: "Outrider, default script", program: outrider,
			config: "outrider.yaml", scripted: true, arguments: runWithConfig,
		},
		{
			name: "nginx", title: "nginx", program: program{name: "nginx", version: []string{"-v"}},
			config:    "nginx.conf",
			arguments: func(s site) []string { return []string{"-p", s.Dir, "-c", s.Config, "-e", "stderr"} },
		},
		{
			name: "haproxy", title: "HAProxy", program: program{name: "haproxy", version: []string{"-v"}},
			config:    "haproxy.cfg",
			arguments: func(s site) []string { return []string{"-db", "-f", s.Config} },
		},
		{
			name: "reverseproxy", title: "net/http ReverseProxy",
			program: program{name: "reverseproxy", pkg: "outrider/integration/bench/reverseproxy"},
			arguments: func(s site) []string {
				return []string{
					"-listen", s.Listen, "-one", s.One, "-two", s.Two,
					"-connections", strconv.Itoa(s.Connections),
				}
			},
		},
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
