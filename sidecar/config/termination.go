package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"outrider/sidecar/credential"
)

// ListenerTLS is how a listener encrypts.
type ListenerTLS struct {
	Certificates []credential.Pair // paths that can be opened as they stand
	MinVersion   TLSVersion
	ClientCA     string // path of the PEM file; "" = clients need no certificate
	ClientAuth   ClientAuth
}

// TLSVersion is a version of TLS.
type TLSVersion string

// The versions that are still good.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// Number is the version as the protocol counts.
func (v TLSVersion) Number() uint16 {
	if v == TLS13 {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// ClientAuth says whether a client can do without a certificate.
type ClientAuth string

// With a client_ca, a certificate is required, or looked at where there is one.
const (
	ClientAuthRequire  ClientAuth = "require"
	ClientAuthOptional ClientAuth = "optional"
)

// termination is a listener's tls. It is a section or nothing: there is no
// certificate to begin with.
type termination struct{ into **ListenerTLS }

func (t termination) read(r *reader, path string, n *node) {
	made := new(ListenerTLS)
	*t.into = made
	listenerTLSKeys(made).read(r, path, n)
	if n.kind == kindMapping && n.get("certificates") == nil {
		r.faults.add(n.at, path, "a certificate is missing; write certificates: [{ cert: tls.crt, key: tls.key }]")
	}
}

func (t termination) section() section { return listenerTLSKeys(new(ListenerTLS)) }

func (t termination) schema() schema { return require(t.section().schema(), "certificates") }

func (t termination) describe() string { return "section" }

func listenerTLSKeys(t *ListenerTLS) section {
	return section{short: "; write tls: { certificates: [{ cert: tls.crt, key: tls.key }] }", keys: []key{
		{name: "certificates", value: list[credential.Pair]{into: &t.Certificates, kind: "list of certificates", item: func(p *credential.Pair) value { return pairKeys(p) }},
			doc: "What the listener proves itself by. A client gets the first that is for the name that it asks for (SNI), else the first. Required."},
		{name: "min_version", value: choice(&t.MinVersion, []TLSVersion{TLS12, TLS13}), def: "1.2",
			doc: "The oldest version of TLS that is spoken."},
		{name: "client_ca", value: text(&t.ClientCA, "path", "a path", "", checkNotEmpty),
			doc: "A PEM file with the authorities that sign the certificates of clients; scripts see whose it is as req.tls. Without it no client is asked for one."},
		{name: "client_auth", value: choice(&t.ClientAuth, []ClientAuth{ClientAuthRequire, ClientAuthOptional}), def: "require",
			doc: "With client_ca: `require` lets nobody in without a certificate, `optional` looks at one that is shown."},
	}}
}

func pairKeys(p *credential.Pair) section {
	return section{short: "; write { cert: tls.crt, key: tls.key }", keys: []key{
		{name: "cert", value: text(&p.Cert, "path", "a path", "", checkNotEmpty),
			doc: "A PEM file: the certificate, then those that lead to its authority. Read again when it changes. Required."},
		{name: "key", value: text(&p.Key, "path", "a path", "", checkNotEmpty),
			doc: "A PEM file with its key; may be the same file. Required."},
	}}
}

// termination finds the files of a listener's tls, and judges them.
func (u *rules) termination(path string, t *ListenerTLS) {
	for i := range t.Certificates {
		u.pair(fmt.Sprintf("%s.certificates[%d]", path, i), "cert", "key", &t.Certificates[i])
	}
	if len(t.Certificates) == 0 && u.r.isWritten(path+".certificates") {
		u.r.fault(path+".certificates", "an empty list; write [{ cert: tls.crt, key: tls.key }]")
	}
	switch {
	case t.ClientCA != "":
		t.ClientCA = u.r.locate(path+".client_ca", t.ClientCA, u.found)
		u.pool(path+".client_ca", t.ClientCA)
	case u.r.isWritten(path + ".client_auth"):
		u.r.fault(path+".client_auth", "there is nobody to judge the clients' certificates; write client_ca, or remove this")
	}
}

// pair finds the files of a certificate and its key, and judges them.
func (u *rules) pair(path, cert, key string, p *credential.Pair) {
	var pem [][]byte
	for _, part := range []struct {
		name string
		file *string
	}{{cert, &p.Cert}, {key, &p.Key}} {
		at := join(path, part.name)
		if *part.file == "" {
			u.r.fault(path, "%s is missing; a certificate goes with its key", part.name)
			return
		}
		*part.file = u.r.locate(at, *part.file, u.found)
		data, err := u.r.files.read(*part.file)
		if err != nil {
			u.r.fault(at, "%v", err)
			return
		}
		pem = append(pem, data)
	}
	if _, err := p.Parse(pem[0], pem[1], time.Now()); err != nil {
		u.r.fault(join(path, cert), "%v", err)
	}
}

// pool is what a file of authorities holds; nil: that was a fault.
func (u *rules) pool(path, file string) *x509.CertPool {
	pem, err := u.r.files.read(file)
	if err != nil {
		u.r.fault(path, "%v", err)
		return nil
	}
	pool, err := credential.ParseAuthorities(file, pem)
	if err != nil {
		u.r.fault(path, "%v", err)
	}
	return pool
}
