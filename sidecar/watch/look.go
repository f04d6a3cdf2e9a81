package watch

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
)

// A Look is what a set of files holds at one time, in short: equal looks mean equal
// files.
type Look [sha256.Size]byte

// digest is what one file holds, in short.
type digest [sha256.Size]byte

func digestOf(content []byte, err error) digest {
	if err != nil {
		content = []byte("cannot be read: " + err.Error())
	}
	return sha256.Sum256(content)
}

// At reads the files. Their contents count, not their times: not every file system
// keeps or tells those.
func At(files []string) Look {
	return lookOf(files, func(file string) digest { return digestOf(os.ReadFile(file)) })
}

func lookOf(files []string, of func(file string) digest) Look {
	sum := sha256.New()
	for _, file := range files {
		one := of(file)
		sum.Write([]byte(file + "\x00"))
		sum.Write(one[:])
	}
	return Look(sum.Sum(nil))
}

// Around is At, and tells of the names beside the files as well: a file that was
// missing, or one that is found before another, may appear.
func Around(files []string) Look {
	sum := sha256.New()
	at := At(files)
	sum.Write(at[:])
	for _, dir := range dirsOf(files) {
		sum.Write([]byte(dir))
		entries, _ := os.ReadDir(dir) // one that cannot be read has no names
		for _, entry := range entries {
			sum.Write([]byte(entry.Name() + "/"))
		}
	}
	return Look(sum.Sum(nil))
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
