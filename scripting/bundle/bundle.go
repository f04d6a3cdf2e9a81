// Package bundle makes one script of the files that its author wrote: ES modules,
// TypeScript, JSON, and packages in node_modules beside it. It is the only importer
// of esbuild.
package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"

	"outrider/scripting"
)

// Options say what a script may import.
type Options struct {
	// Imports are directories outside the script's own from which files may be
	// imported.
	Imports []string
	// Tests says that this is a file of tests: it defines no route.
	Tests bool
	// Text stands in the place of what the entry's file holds, which need not be
	// there then: somebody edits it. Nil: the file counts.
	Text []byte
}

// A Bundle is a script in one piece.
type Bundle struct {
	Source scripting.Source
	// Files are all that were read, by absolute paths, in order. They are known
	// where a build fails, too: a change of one may mend it.
	Files []string
}

// Build reads a script and what it imports. A plain script, which the engine takes
// as it is, is left alone. A fault of the author's is a [*scripting.LoadError]
// that names file, line and column.
func Build(entry string, o Options) (Bundle, error) {
	path, err := filepath.Abs(entry)
	if err != nil {
		return Bundle{}, err
	}
	b := &build{entry: path, name: filepath.Base(path), tests: o.Tests, files: []string{path}}
	if err := b.allow(o.Imports); err != nil {
		return b.bundle(), err
	}
	code := o.Text
	if code == nil {
		if code, err = readFile(path); err != nil {
			return b.bundle(), err
		}
	}
	text, err := scripting.CheckText(b.name, code)
	if err != nil {
		return b.bundle(), err
	}
	b.source.Name = b.name
	var plain error
	if isScript(path) {
		if plain = scripting.Parses(b.name, code); plain == nil {
			b.source.Code = code
			return b.bundle(), nil
		}
	}
	if err := b.run(text); err != nil {
		if plain != nil && !hasModules(text) {
			return b.bundle(), plain // the engine's own words, which are about this file alone
		}
		return b.bundle(), err
	}
	return b.bundle(), nil
}

// isScript tells JavaScript that need not be a module.
func isScript(path string) bool {
	return slices.Contains([]string{".js", ""}, filepath.Ext(path))
}

// hasModules reports whether a text looks like a module.
func hasModules(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "import") || strings.HasPrefix(line, "export") {
			return true
		}
	}
	return false
}

// readFile reads a regular file of bounded size.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file: %w", path, fs.ErrNotExist)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory: name the script's file in it", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > scripting.MaxSource:
		return nil, fmt.Errorf("%s has %d bytes, the most is %d", path, info.Size(), scripting.MaxSource)
	}
	return os.ReadFile(path)
}

// A build is one Build under way.
type build struct {
	entry, name string
	tests       bool
	dirs        []string // from which files may be read
	files       []string
	source      scripting.Source
	mu          sync.Mutex // guards what follows, and files: esbuild reads many files at once
	broken      error      // a file that can not be used
	packages    []string   // paths of package.json that have been looked at, or for
}

func (b *build) bundle() Bundle {
	slices.Sort(b.files)
	return Bundle{Source: b.source, Files: slices.Compact(b.files)}
}

// allow notes the directories from which files may be read: as they are named, and
// where symbolic links lead.
func (b *build) allow(more []string) error {
	b.dirs = append(b.dirs, filepath.Dir(b.entry))
	if resolved, err := filepath.EvalSymlinks(b.entry); err == nil {
		b.dirs = append(b.dirs, filepath.Dir(resolved))
	}
	for _, dir := range more {
		resolved, err := filepath.EvalSymlinks(dir)
		if err == nil {
			resolved, err = filepath.Abs(resolved)
		}
		if err != nil {
			return fmt.Errorf("script.allow.imports: %w", err)
		}
		b.dirs = append(b.dirs, resolved)
	}
	if resolved, err := filepath.EvalSymlinks(filepath.Dir(b.entry)); err == nil {
		b.dirs = append(b.dirs, resolved)
	}
	return nil
}

func (b *build) mayRead(path string) bool {
	return slices.ContainsFunc(b.dirs, func(dir string) bool {
		rest, err := filepath.Rel(dir, path)
		return err == nil && filepath.IsLocal(rest)
	})
}

// run has esbuild make the script. Where the entry exports nothing, its route is
// exported for it.
func (b *build) run(text string) error {
	found, err := b.esbuild(text)
	if err != nil {
		return err
	}
	if !found && !b.tests {
		_, err = b.esbuild(text + "\nexport { route };\n")
	}
	return err
}

// esbuild runs once over an entry of this text. It reports whether that exports a
// route.
func (b *build) esbuild(text string) (found bool, err error) {
	result := api.Build(api.BuildOptions{
		EntryPoints:   []string{b.entry},
		AbsWorkingDir: filepath.Dir(b.entry),
		Outfile:       b.name + ".bundle.js",
		Bundle:        true,
		Write:         false,
		Metafile:      true,
		Format:        api.FormatIIFE,
		GlobalName:    scripting.Exports,
		Platform:      api.PlatformNeutral,
		MainFields:    []string{"module", "main"},
		Target:        api.ES2020,
		Supported:     map[string]bool{"async-generator": false, "for-await": false, "bigint": true, "dynamic-import": false},
		Sourcemap:     api.SourceMapExternal,
		LogLevel:      api.LogLevelSilent,
		TsconfigRaw:   "{}",
		Plugins:       []api.Plugin{{Name: "outrider", Setup: func(p api.PluginBuild) { b.setUp(p, text) }}},
	})
	if b.broken != nil {
		return false, b.broken
	}
	if len(result.Errors) > 0 {
		return false, b.fault(&result.Errors[0])
	}
	for _, file := range result.OutputFiles {
		if strings.HasSuffix(file.Path, ".map") {
			b.source.Map = file.Contents
		} else {
			b.source.Code = file.Contents
		}
	}
	return hasExports(string(b.source.Code)), nil
}

// hasExports reports whether the entry of a bundle exports anything.
func hasExports(code string) bool {
	return strings.Contains(code, "\n  return __toCommonJS(") || strings.Contains(code, "\n  return require_")
}
