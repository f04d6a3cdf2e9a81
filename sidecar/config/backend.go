package config

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

const (
	defaultWeight = 1
	maxWeight     = 1000
)

// backend is one server: host:port, a URL, or a section with a weight.
type backend struct{ into *Backend }

// Plain scalars with a colon are text in YAML; nothing else is an address.
func (b backend) read(r *reader, path string, n *node) {
	b.into.Weight = defaultWeight
	if n.kind != kindMapping {
		b.address().read(r, path, n)
		return
	}
	b.section().read(r, path, n)
	if n.get("address") == nil {
		r.faults.add(n.at, path, "the address is missing; write { address: \"host:port\" }")
	}
}

func (b backend) section() section {
	return section{keys: []key{
		{name: "address", value: b.address(), doc: "host:port, or http(s)://host[:port]. Required."},
		{name: "weight", value: number(&b.into.Weight, 1, maxWeight), def: "1", doc: "Its share, relative to the others."},
	}}
}

func (b backend) address() value {
	return scalar[Backend]{into: b.into, kind: "host:port or URL", want: "an address such as app:8080", accepts: []scalarType{textual},
		form: schema{"type": "string"},
		parse: func(s string) (Backend, error) {
			parsed, err := parseBackend(s)
			parsed.Weight = b.into.Weight
			return parsed, err
		}}
}

func (b backend) schema() schema {
	return schema{"anyOf": []schema{b.address().schema(), require(b.section().schema(), "address")}}
}

func (b backend) describe() string { return "backend" }

func parseBackend(s string) (Backend, error) {
	if strings.Contains(s, "://") {
		return parseBackendURL(s)
	}
	host, port, err := parseHostPort(s)
	return Backend{Host: host, Port: port, Raw: s}, err
}

func parseBackendURL(s string) (Backend, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Backend{}, fmt.Errorf("%q is not a URL; write http://host:port or https://host:port", s)
	}
	port, known := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	switch {
	case !known:
		return Backend{}, fmt.Errorf("%q: a backend is http:// or https://, not %s://", s, u.Scheme)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return Backend{}, fmt.Errorf("%q: only scheme, host and port; the path of a request is passed on as it is", u.Redacted())
	case u.Port() != "":
		port = u.Port()
	}
	host, number, err := parseHostPort(net.JoinHostPort(u.Hostname(), port))
	return Backend{Host: host, Port: number, Raw: s}, err
}
