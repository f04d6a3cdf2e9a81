//go:build integration

package compose_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALoopOfSidecarsIsAnswered508(t *testing.T) {
	file := filepath.Join(t.TempDir(), "loop.yaml")
	if err := os.WriteFile(file, []byte(`
services:
  sidecar-a: { environment: { OUTRIDER_CLUSTERS__TWO__BACKENDS: "pair-b:6188" } }
  sidecar-b: { environment: { OUTRIDER_CLUSTERS__TWO__BACKENDS: "pair-a:6188" } }
`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openShop(t, file)
	for range 100 {
		if a := ask(s.at("a", "/")); a.status != http.StatusLoopDetected || a.why == "" {
			t.Errorf("a request that comes back is answered %v", a)
		}
		if a := ask(s.at("a", "/one/")); !a.fine() {
			t.Errorf("one that does not is answered %v", a)
		}
	}
	s.eventually("the loop is in the log", func() bool { return strings.Contains(s.logs("sidecar-a"), "leads back to this sidecar") })
}
