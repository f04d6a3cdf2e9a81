package cases

import (
	"os"
	"path/filepath"
	"strings"
)

// Beside are the files of tests that stand beside a script: route.test.yaml and
// route.test.js for route.js.
func Beside(script string) []string {
	stem := strings.TrimSuffix(script, filepath.Ext(script))
	var found []string
	for _, ending := range []string{".test.yaml", ".test.yml", ".test.js"} {
		if info, err := os.Stat(stem + ending); err == nil && info.Mode().IsRegular() {
			found = append(found, stem+ending)
		}
	}
	return found
}
