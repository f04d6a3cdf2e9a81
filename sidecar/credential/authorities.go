package credential

import (
	"crypto/x509"
	"fmt"
)

// Authorities reads the certificates of those who may sign others from a PEM file.
func Authorities(path string) (*x509.CertPool, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return ParseAuthorities(path, data)
}

// ParseAuthorities is Authorities of what stands in the file.
func ParseAuthorities(path string, data []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path)
	}
	return pool, nil
}
