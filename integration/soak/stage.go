package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stage is everything that takes part.
type stage struct {
	folder, binary string
	tally          *tally
	backends       []*backend // two for each cluster
	sidecars       []*sidecar
	held           int // goroutines of a sidecar before the first request
	descriptors    int
}

func newStage(folder, binary string, t *tally) *stage {
	return &stage{folder: folder, binary: binary, tally: t}
}

const script = `function route(req) {
  if (req.path.startsWith("/h2/")) return "h2";
  return req.path.startsWith("/one/") ? { cluster: "one", requestHeaders: { "x-path": req.path } } : "two";
}
`

// open starts everybody.
func (s *stage) open() error {
	for i := range 6 {
		b := &backend{address: freeAddress(), http2: i >= 4}
		if err := b.start(); err != nil {
			return err
		}
		s.backends = append(s.backends, b)
	}
	err := errors.Join(s.certify(), os.WriteFile(filepath.Join(s.folder, "shadow.js"), []byte(`function route(req) { return req.path.length % 2 ? "one" : "two"; }`), 0o600))
	for i := range 3 {
		one, failed := s.newSidecar(i)
		s.sidecars, err = append(s.sidecars, one), errors.Join(err, failed)
	}
	if err != nil {
		return err
	}
	for _, one := range s.sidecars {
		if err := errors.Join(one.write(script), one.configure(), one.start()); err != nil {
			return err
		}
	}
	for _, one := range s.sidecars {
		if err := one.awaitReady(); err != nil {
			return err
		}
	}
	s.held, s.descriptors, err = s.sidecars[0].holds()
	return err
}

// kill ends whoever has not ended.
func (s *stage) kill() {
	for _, one := range s.sidecars {
		if one.process != nil && one.process.ProcessState == nil {
			_ = one.process.Process.Kill()
			_ = one.process.Wait()
		}
	}
	for _, b := range s.backends {
		b.stop()
	}
}

// gossip are the quoted addresses of all for their peers.
func (s *stage) gossip() []string {
	var all []string
	for _, one := range s.sidecars {
		all = append(all, strconv.Quote(one.gossip))
	}
	return all
}

// certify has the listeners prove themselves by a new certificate, which stands with
// its key in one file.
func (s *stage) certify() error {
	own, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
	}
	signed, err := x509.CreateCertificate(crand.Reader, template, template, &own.PublicKey, own)
	if err != nil {
		return err
	}
	key, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		return err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})...)
	path := filepath.Join(s.folder, "cert.pem")
	return errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path))
}

// rage has all clients at work while things change and break.
func (s *stage) rage(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, by := range protocols() {
		for range 3 {
			all.Go(func() { s.newClient(by).work(ctx) })
		}
	}
	all.Go(func() { s.pipeline(ctx) })
	for ctx.Err() == nil {
		time.Sleep(time.Duration(100+rand.IntN(400)) * time.Millisecond)
		if err := s.stir(s.sidecars[rand.IntN(len(s.sidecars))], s.backends[rand.IntN(len(s.backends))]); err != nil {
			s.tally.accuse("%v", err)
		}
	}
}

// stir changes something.
func (s *stage) stir(one *sidecar, b *backend) error {
	what := []struct {
		name string
		do   func() error
	}{
		{"another configuration", func() error { defer one.signal(syscall.SIGHUP); return one.configure() }},
		{"a broken configuration", func() error {
			defer one.signal(syscall.SIGHUP)
			return os.WriteFile(one.file("yaml"), []byte("clusters: [broken"), 0o600)
		}},
		{"another script", func() error { return one.write(script + fmt.Sprintf("// %d\n", rand.Uint32())) }},
		{"a broken script", func() error { return one.write("function route(req) { return") }},
		{"a script that fails for some", func() error {
			return one.write(strings.Replace(script, `"x-path": req.path`, `"x-path": Math.random() < 0.02 ? null.x : req.path`, 1))
		}},
		{"a backend that stops, or starts", func() error {
			if b.server == nil {
				return b.start()
			}
			b.stop()
			return nil
		}},
		{"a backend in another mood", func() error { b.mood.Store(rand.Int32N(int32(moods))); return nil }},
		{"another certificate", s.certify},
		{"logs opened anew", func() error { one.signal(syscall.SIGUSR1); return nil }},
		{"a restart", func() error {
			one.stop()
			if err := errors.Join(one.configure(), one.write(script), one.start()); err != nil {
				return err
			}
			return one.awaitReady()
		}},
		{"a look", func() error { one.look(); return nil }},
	}[rand.IntN(11)]
	s.tally.count("change: " + what.name)
	return what.do()
}

// settle mends everything, and looks whether all is as it was.
func (s *stage) settle() error {
	var err error
	for _, b := range s.backends {
		b.mood.Store(int32(well))
		if b.server == nil {
			err = errors.Join(err, b.start())
		}
	}
	for _, one := range s.sidecars {
		err = errors.Join(err, one.write(script), one.configure())
		one.signal(syscall.SIGHUP)
	}
	if err != nil {
		return err
	}
	for _, one := range s.sidecars {
		s.awaitCalm(one)
	}
	for _, one := range s.sidecars {
		one.stop()
		s.read(one)
	}
	return nil
}

// leftOver is how many goroutines, or descriptors, a sidecar may have more than
// before: what stands between it and its peers and backends.
const leftOver = 60

// awaitCalm waits until a sidecar serves every cluster and has let go of everything.
func (s *stage) awaitCalm(one *sidecar) {
	serves := func() error {
		for _, path := range []string{"/one/", "/two/", "/h2/"} {
			answer, err := http.Get("http://" + one.plain + path)
			if err != nil {
				return err
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answers %s to %s", one.name, answer.Status, path)
			}
		}
		goroutines, descriptors, err := one.holds()
		if err == nil && (goroutines > s.held+leftOver || descriptors > s.descriptors+leftOver) {
			err = fmt.Errorf("%s has %d goroutines and %d descriptors; at first they were %d and %d", one.name, goroutines, descriptors, s.held, s.descriptors)
		}
		return err
	}
	err := serves()
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); err = serves() {
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		s.tally.accuse("%v after it all", err)
	}
}

// read looks for what a log must not tell.
func (s *stage) read(one *sidecar) {
	text, err := os.ReadFile(one.log.Name())
	if err != nil {
		s.tally.accuse("%v", err)
	}
	for _, never := range []string{"DATA RACE", "panic", "goroutine "} {
		if strings.Contains(string(text), never) {
			s.tally.accuse("the log of %s tells of a %s", one.name, never)
		}
	}
}
