package credential_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outrider/sidecar/credential"
)

// place is a directory with the files of one certificate.
type place struct {
	t    testing.TB
	pair credential.Pair
}

func newPlace(t testing.TB) place {
	dir := t.TempDir()
	return place{t, credential.Pair{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}}
}

func (p place) put(path string, data []byte) {
	p.t.Helper()
	// A file that was written and one that was renamed into place differ in their inode.
	if err := os.WriteFile(path+"~", data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		p.t.Fatal(err)
	}
}

// make makes a certificate that signs itself.
func (p place) make(name string, from, until time.Time) (cert, key []byte) {
	p.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		p.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		p.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func (p place) publish(name string) {
	cert, key := p.make(name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	p.put(p.pair.Cert, cert)
	p.put(p.pair.Key, key)
}

func (p place) keep() *credential.Kept {
	p.t.Helper()
	k, err := credential.Keep(credential.Server{Pairs: []credential.Pair{p.pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		p.t.Fatal(err)
	}
	return k
}

func nameOf(k *credential.Kept) string { return k.Now().Certificates[0].Leaf.Subject.CommonName }

func TestALookTakesUpWhatHasChanged(t *testing.T) {
	p := newPlace(t)
	p.publish("first")
	k := p.keep()
	if changed, err := k.Look(); changed || err != nil {
		t.Errorf("nothing has changed: %v, %v", changed, err)
	}
	before := k.Now()
	p.publish("second")
	if changed, err := k.Look(); !changed || err != nil || nameOf(k) != "second" {
		t.Errorf("%v, %v, %s", changed, err, nameOf(k))
	}
	if before.Certificates[0].Leaf.Subject.CommonName != "first" {
		t.Error("what was handed out before has changed")
	}
}

// Who replaces a certificate and its key does so one after the other.
func TestHalfAPairChangesNothingAndIsToldOnlyWhereItStays(t *testing.T) {
	p := newPlace(t)
	p.publish("first")
	k := p.keep()
	cert, key := p.make("second", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	p.put(p.pair.Cert, cert)
	if changed, err := k.Look(); changed || err != nil {
		t.Errorf("at the first look: %v, %v", changed, err)
	}
	if changed, err := k.Look(); changed || err == nil || !strings.Contains(err.Error(), "do not belong together") {
		t.Errorf("at the second look: %v, %v", changed, err)
	}
	if changed, err := k.Look(); changed || err != nil {
		t.Errorf("at the third look: %v, %v", changed, err)
	}
	if nameOf(k) != "first" {
		t.Errorf("in force is %s", nameOf(k))
	}
	p.put(p.pair.Key, key)
	if changed, err := k.Look(); !changed || err != nil || nameOf(k) != "second" {
		t.Errorf("when it is whole: %v, %v, %s", changed, err, nameOf(k))
	}
}

func TestAFileThatIsGoneChangesNothing(t *testing.T) {
	p := newPlace(t)
	p.publish("first")
	k := p.keep()
	if err := os.Remove(p.pair.Key); err != nil {
		t.Fatal(err)
	}
	_, _ = k.Look()
	if changed, err := k.Look(); changed || err == nil || !strings.Contains(err.Error(), "tls.key can not be read: no such file") {
		t.Errorf("%v, %v", changed, err)
	}
	p.publish("second")
	if changed, err := k.Look(); !changed || err != nil || nameOf(k) != "second" {
		t.Errorf("%v, %v, %s", changed, err, nameOf(k))
	}
}

func TestWhatIsNoGoodIsRefusedByFileAndReason(t *testing.T) {
	p := newPlace(t)
	now := time.Now()
	old, oldKey := p.make("old", now.Add(-2*time.Hour), now.Add(-time.Hour))
	early, earlyKey := p.make("early", now.Add(time.Hour), now.Add(2*time.Hour))
	good, goodKey := p.make("good", now.Add(-time.Hour), now.Add(time.Hour))
	for _, row := range []struct {
		name      string
		cert, key []byte
		want      string
	}{
		{"expired", old, oldKey, "tls.crt has expired on "},
		{"too early", early, earlyKey, "tls.crt is not valid before "},
		{"of another", good, oldKey, "do not belong together"},
		{"no certificate", goodKey, goodKey, "tls.crt holds no certificate in PEM form"},
		{"no key", good, good, "tls.key holds no key in PEM form"},
		{"empty", nil, goodKey, "tls.crt holds no certificate in PEM form"},
	} {
		p.put(p.pair.Cert, row.cert)
		p.put(p.pair.Key, row.key)
		if _, err := p.pair.Load(now); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}
