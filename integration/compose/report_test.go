//go:build integration

package compose_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// finding is what one fault showed: a row of the report.
type finding struct {
	fault            string
	requests, failed int
	worst            time.Duration
	said             account
	away, back       time.Duration // to turn away, and to return; 0: not to be seen
}

// findings are those of this run.
var findings struct {
	sync.Mutex
	all []finding
}

// report notes what a fault showed.
func report(t *testing.T, fault string, answers record, said account, away, back time.Duration) {
	t.Helper()
	f := finding{fault, len(answers), len(answers.failed()), answers.worst(), said, away, back}
	t.Logf("%s: %d requests, %d failed, worst %v, retries %v, causes %v, away after %v, back after %v",
		f.fault, f.requests, f.failed, f.worst, said.retries, said.causes, f.away, f.back)
	findings.Lock()
	defer findings.Unlock()
	findings.all = append(findings.all, f)
}

// writeReport writes integration/FAULTS.md, when FAULTS_REPORT asks for it: make
// faults does.
func writeReport() error {
	if os.Getenv("FAULTS_REPORT") == "" || len(findings.all) == 0 {
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, `# Faults

What real containers showed when they were broken on purpose, under load: `+"`make faults`"+` makes this page. Every request counts; which may fail is
written in [the tests](compose). %s.

| fault | requests | failed | why, and how many | retries | slowest answer | turned away after | back after |
|---|---:|---:|---|---|---:|---:|---:|
`, machine())
	for _, f := range findings.all {
		fmt.Fprintf(&text, "| %s | %d | %d | %s | %s | %s | %s | %s |\n", f.fault, f.requests, f.failed, list(f.said.causes), list(f.said.retries), span(f.worst), span(f.away), span(f.back))
	}
	text.WriteString(`
Every number of requests, failures and retries is what clients and the sidecars' metrics agree on. Why: who ended the request in which phase, and the type of
the answer's Proxy-Status, as the record of each failed request has it (` + "`outrider explain REQUEST-ID`" + `); who was answered by nobody, or by the app, has none.
Retries: further tries, by what went wrong with the one before (` + "`outrider_retries_total`" + `): connect, no connection; stale, a used one had ended; cut, it ended
before a response.

Turned away: from the moment in which the command that breaks something returns, until the last of the sidecars uses the backend no more. Back: from the
command that mends it (a container that starts takes most of that).
`)
	return os.WriteFile(filepath.Join(bench.top, "integration", "FAULTS.md"), []byte(text.String()), 0o644)
}

// list is how many there are of each.
func list(of map[string]int) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d", what, of[what]))
	}
	return cmp.Or(strings.Join(all, ", "), "-")
}

func span(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func machine() string {
	commit, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	engine, _ := try("docker", "version", "--format", "{{.Server.Version}}")
	return fmt.Sprintf("%s, %d cores, Docker %s, commit %s", time.Now().Format(time.DateOnly), runtime.NumCPU(), strings.TrimSpace(engine), strings.TrimSpace(string(commit)))
}
