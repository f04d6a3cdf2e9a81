package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/evanw/esbuild/pkg/api"

	"outrider/scripting"
)

// loaders are how files are read, by the ends of their names.
//
//nolint:gochecknoglobals // immutable table
var loaders = map[string]api.Loader{
	"": api.LoaderJS, ".js": api.LoaderJS, ".mjs": api.LoaderJS, ".cjs": api.LoaderJS,
	".ts": api.LoaderTS, ".mts": api.LoaderTS, ".cts": api.LoaderTS, ".json": api.LoaderJSON,
}

// setUp has every file go through our hands: nothing is read that may not be.
func (b *build) setUp(p api.PluginBuild, text string) {
	p.OnResolve(api.OnResolveOptions{Filter: `^([a-zA-Z][a-zA-Z0-9+.-]+:|//)`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
		if a.Kind == api.ResolveEntryPoint { // a drive letter
			return api.OnResolveResult{}, nil
		}
		return api.OnResolveResult{}, fmt.Errorf("%q cannot be imported: a script imports files that lie beside it, nothing from a network and nothing of Node's", a.Path)
	})
	p.OnResolve(api.OnResolveOptions{Filter: `.*`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
		return api.OnResolveResult{}, b.checkPackages(a.ResolveDir, a.Path)
	})
	p.OnLoad(api.OnLoadOptions{Filter: `.*`}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
		content, err := b.load(a.Path, text)
		if err != nil {
			return api.OnLoadResult{}, err
		}
		if filepath.Ext(a.Path) != ".json" {
			content = withoutMap(content)
		}
		return api.OnLoadResult{Contents: &content, Loader: loaders[filepath.Ext(a.Path)]}, nil
	})
}

// load is the text of a file, if it may be read, and holds text that a parser may
// see.
func (b *build) load(path, entry string) (string, error) {
	b.mu.Lock()
	b.files = append(b.files, path)
	b.mu.Unlock()
	if resolved, err := filepath.EvalSymlinks(b.entry); path == b.entry || err == nil && path == resolved {
		return entry, nil
	}
	if !b.mayRead(path) {
		return "", fmt.Errorf("%s lies outside the script's directory: move it there, or list its directory in script.allow.imports", path)
	}
	if _, known := loaders[filepath.Ext(path)]; !known {
		return "", fmt.Errorf("%s is no script: JavaScript, TypeScript and JSON can be imported", filepath.Base(path))
	}
	content, err := readFile(path)
	if err != nil {
		return "", err
	}
	return b.check(path, content)
}

// withoutMap ends a text with a comment that leads to an empty source map: esbuild
// goes by the last one, and would read the map of another, and the files that that
// names, from anywhere.
func withoutMap(text string) string {
	return text + "\n//# sourceMappingURL=data:application/json,{}\n"
}

// check is the text of a file, if a parser may see it.
func (b *build) check(path string, content []byte) (string, error) {
	text, err := scripting.CheckText(b.display(path), content)
	if err != nil {
		b.mu.Lock()
		b.broken = err
		b.mu.Unlock()
	}
	return text, err
}

// checkPackages looks at each package.json that esbuild reads by itself to find an
// import: in the directories on the way to it.
func (b *build) checkPackages(from, path string) error {
	candidates := []string{path}
	switch {
	case strings.HasPrefix(path, "."):
		candidates = []string{filepath.Join(from, path)}
	case !filepath.IsAbs(path):
		candidates = nil
		for _, dir := range upward(from) {
			candidates = append(candidates, filepath.Join(dir, "node_modules", path))
		}
	}
	for _, candidate := range candidates {
		for _, dir := range upward(candidate) {
			if err := b.checkPackage(filepath.Join(dir, "package.json")); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *build) checkPackage(path string) error {
	b.mu.Lock()
	known := slices.Contains(b.packages, path)
	b.packages = append(b.packages, path)
	b.mu.Unlock()
	if known {
		return nil
	}
	content, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err == nil {
		_, err = b.check(path, content)
	}
	b.mu.Lock()
	b.files = append(b.files, path)
	b.mu.Unlock()
	return err
}

// upward is a directory, and those that it is in.
func upward(dir string) []string {
	all := []string{dir}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		all = append(all, parent)
	}
	return all
}

// display is what a file is called in messages: its path from the script's
// directory, as the source map has it.
func (b *build) display(path string) string {
	if rest, err := filepath.Rel(filepath.Dir(b.entry), path); err == nil {
		return filepath.ToSlash(rest)
	}
	return path
}

// fault is what esbuild has to say, in our words.
func (b *build) fault(m *api.Message) error {
	fault := &scripting.LoadError{File: b.name, Message: words(m.Text)}
	at := m.Location
	if name, ok := unresolved(m.Text); ok && at != nil {
		b.expect(name, filepath.Join(filepath.Dir(b.entry), filepath.Dir(at.File)))
	}
	for _, note := range m.Notes {
		if at == nil {
			at = note.Location
		}
	}
	if at == nil || at.Line < 1 {
		return fault
	}
	fault.File, fault.Line, fault.Text = filepath.ToSlash(at.File), at.Line, at.LineText
	fault.Column = utf8.RuneCountInString(at.LineText[:min(at.Column, len(at.LineText))]) + 1
	return fault
}

// expect notes the place where an import that is missing would be: it may appear.
func (b *build) expect(name, importer string) {
	if strings.HasPrefix(name, ".") {
		b.files = append(b.files, filepath.Join(importer, name))
	} else if !filepath.IsAbs(name) {
		b.files = append(b.files, filepath.Join(filepath.Dir(b.entry), "node_modules", name))
	}
}

// unresolved is what could not be found, if a message says so.
func unresolved(text string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(text, "Could not resolve ")
	return strings.Trim(rest, `"`), ok
}

// words make esbuild's messages help the author of a routing script.
func words(text string) string {
	name, missing := unresolved(text)
	switch {
	case strings.HasPrefix(text, `"route" is not declared in this file`):
		return "the script defines no route: write `export default defineRoute((req, ctx) => { ... })`, or `function route(req, ctx) { ... }`"
	case missing:
		if nodeBuiltins[strings.SplitN(name, "/", 2)[0]] {
			return fmt.Sprintf("%q is a part of Node, which is not here: a script does no I/O and sees nothing of the process", name)
		}
		return fmt.Sprintf("there is no %q to import: a path begins with ./, and a package lies in node_modules beside the script", name)
	case strings.Contains(text, "is not supported") || strings.Contains(text, "not yet supported") || strings.Contains(text, "is currently not supported"):
		return text + "; the engine of routing scripts does not have it"
	case strings.HasPrefix(text, "Top-level await"):
		return "route decides at once: there is nothing to await"
	}
	return "SyntaxError: " + text
}

//nolint:gochecknoglobals // immutable table
var nodeBuiltins = map[string]bool{
	"assert": true, "buffer": true, "child_process": true, "cluster": true, "crypto": true, "dns": true, "events": true, "fs": true, "http": true,
	"https": true, "net": true, "os": true, "path": true, "process": true, "querystring": true, "stream": true, "timers": true, "tls": true,
	"url": true, "util": true, "vm": true, "worker_threads": true, "zlib": true,
}
