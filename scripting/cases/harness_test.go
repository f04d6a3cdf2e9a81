package cases_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"outrider/scripting"
	"outrider/scripting/cases"
)

// deadline is the scripts' timeout in tests that are not about time: loaded
// machines pause processes for longer than the default.
const deadline = 2 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

// subject is a script on the clusters one, two and canary.
func subject(code string) cases.Subject {
	return cases.Subject{
		Source:  scripting.Source{Name: "route.js", Code: []byte(code)},
		Options: scripting.Options{Timeout: deadline},
		Clusters: []cases.Cluster{
			{Name: "one", Backends: []string{"10.0.0.1:80", "10.0.0.2:80"}},
			{Name: "two", Backends: []string{"10.0.0.3:80"}},
			{Name: "canary", Backends: []string{"10.0.0.7:80"}},
		},
	}
}

// write makes a file of cases.
func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run tests a script against a table.
func run(t *testing.T, s cases.Subject, table string) *cases.Report {
	t.Helper()
	report, err := cases.Run(t.Context(), []string{write(t, "route.test.yaml", table)}, s)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func text(t *testing.T, report *cases.Report) string {
	t.Helper()
	var b strings.Builder
	if err := report.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}
