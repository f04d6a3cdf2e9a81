package http2_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// argued are the cases that do not pass, and why that is right.
func argued(secure bool) map[string]string {
	cases := map[string]string{
		"http2/6.5.3/1":   "net/http ends a connection whose SETTINGS have one setting twice, as a peer that floods would",
		"http2/8.1.2.2/1": "a malformed request is answered 400 before its stream is reset, as RFC 9113, 8.1.1 allows",
		"http2/8.1.2.2/2": "the same",
	}
	if !secure {
		cases["http2/3.5/2"] = "the port speaks HTTP/1.1 as well: what is no preface is answered in that, and the connection closed"
	}
	return cases
}

func TestTheCasesOfH2specPass(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("hello ", 100))
	}))
	t.Cleanup(app.Close)
	plain, secure := freeAddress(t), freeAddress(t)
	start(t, app.Listener.Addr().String(), plain, secure)
	for name, address := range map[string]*net.TCPAddr{"in cleartext": plain, "over TLS": secure} {
		t.Run(name, func(t *testing.T) {
			c := &config.Config{
				Host: address.IP.String(), Port: address.Port, Path: "/", Timeout: 5 * time.Second, MaxHeaderLen: 4000,
				Strict: true, TLS: name == "over TLS", Insecure: true,
			}
			known, passed, all := argued(c.TLS), 0, 0
			for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
				group.Test(c)
				walk(group, func(id string, test *spec.TestCase) {
					all++
					reason, isArgued := known[id]
					switch {
					case test.Result == nil || test.Result.Skipped:
						t.Errorf("%s was not tried: %s", id, test.Desc)
					case !test.Result.Failed && isArgued:
						t.Errorf("%s passes, and is argued: %s", id, reason)
					case !test.Result.Failed:
						passed++
					case !isArgued:
						t.Errorf("%s: %s: %s", id, test.Desc, strings.TrimSpace(fmt.Sprint(test.Result.Error)))
					}
				})
			}
			t.Logf("%d of %d cases pass", passed, all)
			if all < 140 {
				t.Errorf("there are only %d cases", all)
			}
		})
	}
}

func walk(group *spec.TestGroup, visit func(id string, test *spec.TestCase)) {
	for i, test := range append(group.Tests, group.StrictTests...) {
		visit(fmt.Sprintf("%s/%d", group.ID(), i+1), test)
	}
	for _, inner := range group.Groups {
		walk(inner, visit)
	}
}

// start runs the real program before a backend.
func start(t *testing.T, backend string, plain, secure *net.TCPAddr, env ...string) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "outrider")
	build := exec.Command("go", "build", "-o", binary, "./sidecar")
	build.Dir, build.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the sidecar: %v\n%s", err, text)
	}
	certify(t, filepath.Join(dir, "own.crt"), filepath.Join(dir, "own.key"))
	write(t, filepath.Join(dir, "outrider.yaml"), fmt.Appendf(nil, `
listen: [{ name: plain, address: %q }, { name: secure, address: %q, tls: { certificates: [{ cert: own.crt, key: own.key }] } }]
clusters: { two: { backends: [%q], check: { type: off } } }
status: { listen: "" }
admin: { listen: "" }
`, plain, secure, backend))
	sidecar := exec.Command(binary, "run")
	sidecar.Dir, sidecar.Env = dir, append(env, "XDG_RUNTIME_DIR="+dir)
	sidecar.Stderr, sidecar.Stdout = t.Output(), io.Discard
	if err := sidecar.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sidecar.Process.Signal(syscall.SIGTERM)
		end := time.AfterFunc(20*time.Second, func() { _ = sidecar.Process.Kill() })
		defer end.Stop()
		if err := sidecar.Wait(); err != nil {
			t.Errorf("the sidecar ends with %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, address := range []*net.TCPAddr{plain, secure} {
		for {
			nc, err := new(net.Dialer).DialContext(ctx, "tcp", address.String())
			if err == nil {
				_ = nc.Close()
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond) // the step of a poll
		}
	}
}

func freeAddress(t *testing.T) *net.TCPAddr {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr)
}

func certify(t *testing.T, cert, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &own.PublicKey, own)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
