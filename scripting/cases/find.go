package cases

import (
	"os"
	"path/filepath"
	"strings"
)

// Beside are the files of tests that stand beside a script, those of BesideNames
// that are there.
func Beside(script string) []string {
	var found []string
	for _, name := range BesideNames(script) {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			found = append(found, name)
		}
	}
	return found
}

// BesideNames are the names that tests beside a script can have: route.test.yaml
// and the like, for route.js.
func BesideNames(script string) []string {
	stem := strings.TrimSuffix(script, filepath.Ext(script))
	return []string{stem + ".test.yaml", stem + ".test.yml", stem + ".test.js", stem + ".test.ts"}
}
