package doctor

import (
	"fmt"
	"path/filepath"

	"outrider/sidecar/mount"
)

// mounts finds files that are edited while the sidecar runs, and that are mounted
// alone: it would never see the edit.
func (p Patient) mounts() []Finding {
	type file struct{ key, path string }
	files := []file{
		{"", p.Config.File},
		{"script.file", p.Config.Script.File},
		{"script.data", p.Config.Script.Data},
		{"script.shadow.file", p.Config.Script.Shadow.File},
	}
	for _, path := range p.Config.Script.Tests {
		files = append(files, file{"script.tests", path})
	}
	var found []Finding
	for _, f := range files {
		if f.path == "" || !mount.IsOwn(f.path) {
			continue
		}
		found = append(found, p.wrong(f.key,
			fmt.Sprintf("%s is mounted as a single file: who edits it outside replaces it, and here the old one stays", f.path),
			fmt.Sprintf("mount its folder, %s, instead (in Kubernetes: without subPath)", filepath.Dir(f.path))))
	}
	return found
}
