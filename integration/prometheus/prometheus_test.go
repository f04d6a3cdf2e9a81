package prometheus_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"outrider/integration/program"
)

// promtool runs Prometheus' own tool.
func promtool(t *testing.T, in io.Reader, args ...string) (told string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "promtool", args...)
	command.Stdin = in
	text, err := command.CombinedOutput()
	return string(text), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEachAlertFiresWhenItShouldAndNotBefore(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		if told, err := promtool(t, nil, args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, told)
		}
	}
	tests, readme := read(t, "alerts_test.yaml"), read(t, "README.md")
	for _, alert := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(read(t, "alerts.yaml"), -1) {
		fires := regexp.MustCompile(`alertname: ` + alert[1] + `\n\s+exp_alerts:\n\s+- exp_labels`)
		if !fires.MatchString(tests) {
			t.Errorf("no test makes %s fire", alert[1])
		}
		if !strings.Contains(readme, "`"+alert[1]+"`") {
			t.Errorf("README.md does not tell of %s", alert[1])
		}
	}
}

func TestPrometheusTakesTheMetricsOfASidecar(t *testing.T) {
	page := metricsOf(t)
	if told, err := promtool(t, strings.NewReader(page), "check", "metrics"); err != nil || told != "" {
		t.Errorf("promtool check metrics: %v\n%s", err, told)
	}
	for _, name := range regexp.MustCompile(`outrider_\w+`).FindAllString(read(t, "alerts.yaml"), -1) {
		if !strings.Contains(page, "\n"+name) {
			t.Errorf("the alerts go by %s, which a sidecar does not tell", name)
		}
	}
	documented := read(t, "../../sidecar/telemetry/README.md")
	for _, kind := range regexp.MustCompile(`# TYPE (outrider_\w+)`).FindAllStringSubmatch(page, -1) {
		if !isDocumented(documented, kind[1]) {
			t.Errorf("sidecar/telemetry/README.md does not tell of %s", kind[1])
		}
	}
}

// isDocumented tells whether a metric is in the table: by its name, or by the end of
// it behind another that begins alike.
func isDocumented(text, name string) bool {
	if strings.Contains(text, "`"+name) {
		return true
	}
	for end := range strings.SplitSeq(text, "`_") {
		end, _, _ = strings.Cut(end, "`")
		end, _, _ = strings.Cut(end, "{")
		if strings.HasSuffix(name, "_"+end) {
			return true
		}
	}
	return false
}

// metricsOf is what a sidecar tells that has a script which fails, backends that are
// not there, a certificate, and gossip.
func metricsOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary, err := program.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	requests, status := program.FreeAddress(t), program.FreeAddress(t)
	write(t, filepath.Join(dir, "route.js"), "function route(req) { if (req.path === '/x') throw new Error('x'); return { cluster: 'one', rule: 'all' }; }")
	write(t, filepath.Join(dir, "outrider.yaml"), fmt.Sprintf(`
listen: [{ address: %q }, { name: secure, address: "127.0.0.1:0", tls: { certificates: [{ cert: own.crt, key: own.key }] } }]
script: { file: route.js, shadow: { file: route.js, sample: 100%% } }
clusters: { one: { backends: [%q] } }
gossip: { listen: "127.0.0.1:0" }
status: { listen: %q }
admin: { listen: "" }
log: { access: { mode: all, file: access.log } }
`, requests, program.FreeAddress(t), status))
	certify(t, filepath.Join(dir, "own.crt"), filepath.Join(dir, "own.key"))
	ctx, stop := context.WithCancel(t.Context())
	var log bytes.Buffer
	sidecar := exec.CommandContext(ctx, binary, "run")
	sidecar.Dir, sidecar.Stderr, sidecar.Env = dir, &log, []string{"XDG_RUNTIME_DIR=" + dir}
	if err := sidecar.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		_ = sidecar.Wait() // it was killed
	}()
	for _, path := range []string{"/", "/x"} {
		get(t, "http://"+requests+path)
	}
	return get(t, "http://"+status+"/metrics")
}

// certify writes a certificate that nobody else has signed, and its key.
func certify(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
}

// get asks until there is an answer.
func get(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := client.Get(url)
		if err == nil {
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
