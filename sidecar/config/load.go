package config

import (
	"path/filepath"
	"strings"
)

// Source is everything that a configuration is made from. Nothing else is looked at.
type Source struct {
	File     string   // from -c; "" = look for one
	Env      []string // NAME=value, as os.Environ gives it
	Flags    []Flag   // further flags that set a key
	Hostname string   // the default of name

	Files Files
}

// Flag is a value given on the command line.
type Flag struct {
	Name  string // as typed, for faults: "--listen"
	Key   string // the key that it sets: "listen", "log.level"
	Value string
}

// Load reads, completes and checks the configuration. The error is an [*Error].
func Load(src Source) (*Config, error) {
	r := &reader{written: map[string]position{}, files: src.Files}
	env := newEnvironment(src.Env)
	found := r.find(src.File, env)
	written := r.parse(found, env)
	r.refuseSecret(written)
	o := overlay{r: r, root: written, setBy: map[string]string{}}
	notes := o.environment(env)
	o.flags(src.Flags)
	if !found.usable {
		return nil, r.faults.err()
	}

	c := &Config{File: found.path, Name: src.Hostname}
	root(c).read(r, "", o.root)
	rules := rules{r: r, c: c, found: found, lookup: env.lookup}
	rules.apply()
	if err := r.faults.err(); err != nil {
		return nil, err
	}
	c.Notes = append(notes, rules.notes...)
	return c, nil
}

// parse is the file as a mapping; an empty one when there is none, or it is not usable.
func (r *reader) parse(f *found, env *environment) *node {
	empty := &node{kind: kindMapping}
	if f.name == "" || !f.usable {
		return empty
	}
	before := len(r.faults.list)
	y := newYAML(f.name, &r.faults)
	y.lookup = env.lookup
	n := y.parse(f.data)
	r.home = y.doc
	switch {
	case n == nil:
		f.usable = len(r.faults.list) == before
		f.empty = true
		return empty
	case n.kind == kindNull:
		f.empty = true
		return empty
	case n.kind != kindMapping:
		r.faults.add(n.at, "", "a configuration is made of `key: value`, this is %s; `outrider init` writes an example", n.kind)
		f.usable = false
		return empty
	}
	return n
}

// locate makes a path from the file relative to the file's folder.
func (r *reader) locate(key, path string, f *found) string {
	if path == "" || filepath.IsAbs(path) || f.path == "" || r.written[key].doc == nil {
		return path
	}
	return filepath.Join(filepath.Dir(f.path), path)
}

// isInline reports whether OUTRIDER_CONFIG holds the YAML itself.
func isInline(config string) bool {
	return strings.Contains(config, "\n") || strings.Contains(config, ": ")
}
