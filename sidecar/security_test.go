package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is where the repository begins.
const root = ".."

// SECURITY.md names the tests that show what it claims.
func TestEveryTestThatTheThreatModelNamesExists(t *testing.T) {
	there := testsOf(t, root)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(read(t, "SECURITY.md"), -1)
	if len(named) < 100 {
		t.Errorf("%d tests are named: is this the page?", len(named))
	}
	for _, name := range named {
		if !there[name[1]] {
			t.Errorf("SECURITY.md: there is no %s any more: name the test that shows it now, or take the claim back", name[1])
		}
	}
}

func TestEveryClaimOfTheThreatModelNamesATest(t *testing.T) {
	shown := false // by the table that we are in
	for line := range strings.Lines(read(t, "SECURITY.md")) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		switch last := cells[len(cells)-1]; {
		case !strings.HasPrefix(line, "|"):
			shown = false
		case last == "test":
			shown = true
		case shown && !strings.HasPrefix(line, "|---") && !strings.Contains(last, "`Test") && !strings.Contains(last, "`Fuzz"):
			t.Errorf("SECURITY.md: no test shows %q", cells[0])
		}
	}
}

func TestTheThreatModelTellsWhatEachLimitProtects(t *testing.T) {
	page := read(t, "SECURITY.md")
	_, limits, _ := strings.Cut(read(t, "sidecar/config/REFERENCE.md"), "\n## limits\n")
	limits, _, _ = strings.Cut(limits, "\n## ")
	keys := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(limits, -1)
	if len(keys) == 0 {
		t.Fatal("no limits are found in the reference")
	}
	for _, key := range keys {
		if !strings.Contains(page, "`limits."+key[1]+"`") {
			t.Errorf("SECURITY.md does not say what limits.%s protects", key[1])
		}
	}
}

// testsOf are the names of all tests below a folder, of whatever module.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found, declared := make(map[string]bool), regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range declared.FindAllSubmatch(text, -1) {
			found[string(name[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// read is a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
