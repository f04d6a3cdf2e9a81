package credential

import (
	"crypto/tls"
	"time"
)

// Server is what a listener proves itself by, and what it asks of its clients.
type Server struct {
	Pairs      []Pair // a client gets the first that is for the name it asks for (SNI), else the first
	MinVersion uint16 // of TLS
	ClientCA   string // a PEM file: who signs the clients' certificates; empty: none is asked for
	Optional   bool   // a client may come without a certificate
	Protocols  []string
}

// Files are all that Load reads.
func (s Server) Files() []string {
	var files []string
	for _, p := range s.Pairs {
		files = append(files, p.Cert, p.Key)
	}
	if s.ClientCA != "" {
		files = append(files, s.ClientCA)
	}
	return files
}

// Load reads the files. The session tickets of one Load are worth nothing to
// another: who was let in by former files has to come with a certificate again.
func (s Server) Load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: s.MinVersion, NextProtos: s.Protocols}
	now := time.Now()
	for _, p := range s.Pairs {
		pair, err := p.Load(now)
		if err != nil {
			return nil, err
		}
		c.Certificates = append(c.Certificates, pair)
	}
	if s.ClientCA == "" {
		return c, nil
	}
	pool, err := Authorities(s.ClientCA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs, c.ClientAuth = pool, tls.RequireAndVerifyClientCert
	if s.Optional {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c, nil
}
