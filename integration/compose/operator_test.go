//go:build integration

package compose_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// What the walk in integration/README.md shows to operators.
func TestOperatorsSeeTheDashboardMetricsAndExplanations(t *testing.T) {
	s := openShop(t)
	if a := ask(s.at("a", "/one/")); a.err != nil || a.status != http.StatusOK {
		t.Fatalf("a request is answered %+v", a)
	}

	link := s.docker("exec", "sidecar-a", "/outrider", "dashboard")
	word := regexp.MustCompile(`^http://127\.0\.0\.1:6189/#in=(\S+)\s*$`).FindStringSubmatch(link)
	if word == nil {
		t.Fatalf("the link is %q", link)
	}
	if page := read(t, http.MethodGet, s.url("pair-a", operator, "/"), ""); !strings.Contains(page, "<title>Outrider</title>") {
		t.Errorf("the dashboard is %q", page)
	}
	if key := read(t, http.MethodPost, s.url("pair-a", operator, "/session"), fmt.Sprintf(`{"word":%q}`, word[1])); !strings.Contains(key, `"key"`) {
		t.Errorf("who has the link is answered %q", key)
	}

	if metrics := read(t, http.MethodGet, s.url("pair-a", status, "/metrics"), ""); !regexp.MustCompile(`(?m)^outrider_requests_total\{cluster="one",code="200"\} [1-9]`).MatchString(metrics) {
		t.Errorf("the metrics do not count the request:\n%s", metrics)
	}
	if told := s.docker("exec", "sidecar-a", "/outrider", "explain", "GET", "/one/x"); !strings.Contains(told, "one") || !strings.Contains(told, "default.js") {
		t.Errorf("the explanation is %q", told)
	}
}

// read is what is answered, which must be 200.
func read(t *testing.T, method, url, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s is answered %s %s: %v", method, url, response.Status, text, err)
	}
	return string(text)
}
