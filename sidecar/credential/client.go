package credential

import (
	"crypto/tls"
	"time"
)

// Client is how connections to backends are made.
type Client struct {
	ServerName string // asked for (SNI) and verified
	CA         string // a PEM file: who signs the backends' certificates; empty: the system's
	Insecure   bool   // any certificate will do
	Pair       Pair   // that we prove ourselves by; the zero value: none
	Protocols  []string
}

// sessions is how many of a cluster's backends resume their sessions.
const sessions = 64

// Files are all that Load reads.
func (c Client) Files() []string {
	var files []string
	if c.CA != "" {
		files = append(files, c.CA)
	}
	if c.Pair != (Pair{}) {
		files = append(files, c.Pair.Cert, c.Pair.Key)
	}
	return files
}

// Load reads the files.
func (c Client) Load() (*tls.Config, error) {
	made := &tls.Config{
		ServerName:         c.ServerName,
		InsecureSkipVerify: c.Insecure, //nolint:gosec // the operator's explicit choice
		MinVersion:         tls.VersionTLS12,
		NextProtos:         c.Protocols,
		ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
	}
	if c.CA != "" {
		pool, err := Authorities(c.CA)
		if err != nil {
			return nil, err
		}
		made.RootCAs = pool
	}
	if c.Pair != (Pair{}) {
		pair, err := c.Pair.Load(time.Now())
		if err != nil {
			return nil, err
		}
		made.Certificates = []tls.Certificate{pair}
	}
	return made, nil
}
