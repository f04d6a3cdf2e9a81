package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// pemPair is a certificate and its key, in PEM form.
type pemPair struct{ cert, key []byte }

// newPair makes a certificate that signs itself, valid until a time.
func newPair(t testing.TB, name string, until time.Time) pemPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemPair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}),
	}
}

func TestBadCertificatesOfAListenerAreRefusedByFileAndReason(t *testing.T) {
	good, other := newPair(t, "good", time.Now().Add(time.Hour)), newPair(t, "other", time.Now().Add(time.Hour))
	old := newPair(t, "old", time.Now().Add(-time.Hour))
	files := fstest.MapFS{
		"good.crt": {Data: good.cert}, "good.key": {Data: good.key}, "other.key": {Data: other.key},
		"old.crt": {Data: old.cert}, "old.key": {Data: old.key}, "empty": {Data: []byte("nothing")},
	}
	for _, row := range []struct{ tls, want string }{
		{`{ certificates: [{ cert: good.crt, key: good.key }] }`, ""},
		{`{ certificates: [{ cert: good.crt, key: good.key }], client_ca: good.crt, client_auth: optional, min_version: "1.3" }`, ""},
		{`{ certificates: [{ cert: good.crt, key: other.key }] }`, "listen[0].tls.certificates[0].cert: good.crt and other.key do not belong together"},
		{`{ certificates: [{ cert: old.crt, key: old.key }] }`, "old.crt has expired on "},
		{`{ certificates: [{ cert: empty, key: good.key }] }`, "empty holds no certificate in PEM form"},
		{`{ certificates: [{ cert: good.crt, key: empty }] }`, "empty holds no key in PEM form"},
		{`{ certificates: [{ cert: none.crt, key: good.key }] }`, "listen[0].tls.certificates[0].cert: none.crt"},
		{`{ certificates: [{ cert: good.crt }] }`, "key is missing; a certificate goes with its key"},
		{`{ certificates: [] }`, "listen[0].tls.certificates: an empty list"},
		{`{ min_version: "1.2" }`, "listen[0].tls: a certificate is missing"},
		{`{ min_version: "1.1", certificates: [{ cert: good.crt, key: good.key }] }`, `"1.1" is none of 1.2, 1.3`},
		{`{ certificates: [{ cert: good.crt, key: good.key }], client_ca: empty }`, "listen[0].tls.client_ca: empty holds no certificate"},
		{`{ certificates: [{ cert: good.crt, key: good.key }], client_auth: optional }`, "there is nobody to judge the clients' certificates"},
		{`true`, "wants a section"},
	} {
		files["outrider.yaml"] = &fstest.MapFile{Data: []byte("listen: [{ address: \":6443\", tls: " + row.tls + " }]\n" + clusterOne(""))}
		_, err := Load(Source{Files: disk{files: files}.access()})
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: %v", row.tls, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: %v, want %q", row.tls, err, row.want)
		}
	}
}
