// Package mount tells how a file came to be where it is.
package mount

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// IsOwn reports whether a file is a mount of its own, as `docker run -v
// ./route.js:/route.js` makes one. It shows for ever the file that was there then:
// an editor that replaces the file outside changes nothing inside.
func IsOwn(file string) bool {
	path, err := filepath.Abs(file)
	if err != nil {
		return false
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	defer func() { _ = mounts.Close() }()
	return isPoint(mounts, path)
}

// isPoint looks for a path in a list of mounts as /proc/self/mountinfo has it.
func isPoint(mounts io.Reader, path string) bool {
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		// See proc(5): the fifth field is the mount point, with octal escapes.
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && unescape.Replace(fields[4]) == path {
			return true
		}
	}
	return false
}

//nolint:gochecknoglobals // immutable table
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
