package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
)

// A look is what a set of files holds at one time, in short: equal looks mean
// equal files. It tells of names beside them as well, since a file that was
// missing may appear.
type look [sha256.Size]byte

// lookAt reads the files. Their contents count, not their times: not every file
// system keeps or tells those.
func lookAt(files []string) look {
	sum := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			content = []byte("cannot be read: " + err.Error())
		}
		one := sha256.Sum256(content)
		sum.Write([]byte(file))
		sum.Write(one[:])
	}
	for _, dir := range dirsOf(files) {
		sum.Write([]byte(dir))
		entries, _ := os.ReadDir(dir) // one that cannot be read has no names
		for _, entry := range entries {
			sum.Write([]byte(entry.Name() + "/"))
		}
	}
	return look(sum.Sum(nil))
}

// dirsOf are the directories that the files are in, each once: as they are named,
// and as symbolic links lead to them.
func dirsOf(files []string) []string {
	var dirs []string
	for _, file := range files {
		dirs = append(dirs, filepath.Dir(file))
		if target, err := filepath.EvalSymlinks(file); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// hashOf is the short name of a version: of everything that makes it decide as it
// does.
func hashOf(parts ...[]byte) string {
	sum := sha256.New()
	for _, part := range parts {
		one := sha256.Sum256(part)
		sum.Write(one[:])
	}
	return hex.EncodeToString(sum.Sum(nil))[:7]
}
