package scripts_test

import (
	"path/filepath"
	"strings"
	"testing"

	"outrider/scripting/bundle"
	"outrider/scripting/cases"
)

// fleet is what the examples and their tests are written for.
func fleet() []cases.Cluster {
	return []cases.Cluster{
		{Name: "one", Backends: []string{"127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"}},
		{Name: "two", Backends: []string{"127.0.0.1:8011"}},
	}
}

func TestEveryExampleMeetsItsTests(t *testing.T) {
	scripts := []string{"default.js"}
	for _, pattern := range []string{"examples/*.js", "examples/*.ts"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, found...)
	}
	tested := 0
	for _, script := range scripts {
		if strings.Contains(script, ".test.") {
			continue
		}
		tested++
		t.Run(filepath.Base(script), func(t *testing.T) {
			b, err := bundle.Build(script, bundle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			tests := cases.Beside(script)
			if len(tests) == 0 {
				t.Fatalf("it has no tests: write %s.test.yaml", strings.TrimSuffix(script, filepath.Ext(script)))
			}
			report, err := cases.Run(t.Context(), tests, cases.Subject{Source: b.Source, Clusters: fleet()})
			if err != nil {
				t.Fatal(err)
			}
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			if len(report.Never) > 0 && filepath.Base(script) != "guard.js" && filepath.Base(script) != "maintenance.js" {
				t.Errorf("its tests never reach %v", report.Never)
			}
		})
	}
	if tested < 14 {
		t.Errorf("only %d examples were found", tested)
	}
}
