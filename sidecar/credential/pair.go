package credential

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Pair names the PEM files of a certificate, with those that lead to its authority,
// and of its key. One file may hold both.
type Pair struct{ Cert, Key string }

// Load reads the pair, and judges it by the time now. The error is a sentence that
// names the file.
func (p Pair) Load(now time.Time) (tls.Certificate, error) {
	cert, err := read(p.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := read(p.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return p.Parse(cert, key, now)
}

// Parse is Load of what stands in the files.
func (p Pair) Parse(cert, key []byte, now time.Time) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, p.explain(err)
	}
	return pair, p.judge(&pair, now)
}

// judge refuses a pair that nobody would accept at the moment.
func (p Pair) judge(pair *tls.Certificate, now time.Time) error {
	leaf := pair.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%s has expired on %s; renew it", p.Cert, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%s is not valid before %s; is the clock right?", p.Cert, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

func (p Pair) explain(err error) error {
	said := strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case strings.Contains(said, "does not match"):
		return fmt.Errorf("%s and %s do not belong together: the key is not that of the certificate", p.Cert, p.Key)
	case strings.Contains(said, "certificate input"):
		return fmt.Errorf("%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", p.Cert)
	case strings.Contains(said, "key input"), strings.Contains(said, "found a certificate rather than a key"):
		return fmt.Errorf("%s holds no key in PEM form (-----BEGIN PRIVATE KEY-----)", p.Key)
	}
	return fmt.Errorf("%s with %s: %s", p.Cert, p.Key, said)
}

func read(path string) ([]byte, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator's own file
	if err == nil {
		return data, nil
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
	}
	return nil, fmt.Errorf("%s can not be read: %w", path, err)
}
