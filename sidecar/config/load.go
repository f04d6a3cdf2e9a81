package config

import (
	"cmp"
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
	c, _, err := LoadPlaces(src)
	return c, err
}

// LoadPlaces is [Load], and tells where the keys were written.
func LoadPlaces(src Source) (*Config, Places, error) {
	w := collect(src)
	if !w.found.usable {
		return nil, Places{}, w.r.faults.err()
	}
	c := &Config{File: w.found.path, Name: src.Hostname}
	root(c).read(w.r, "", w.root)
	rules := rules{r: w.r, c: c, found: w.found, lookup: w.env.lookup}
	rules.apply()
	if err := w.r.faults.err(); err != nil {
		return nil, Places{}, err
	}
	c.Notes = append(w.notes, rules.notes...)
	c.settings = w.r.settings
	return c, Places{w.r}, nil
}

// StatusListen is status.listen alone, for who asks a sidecar that runs: it may run
// with what was here before, so nothing else has to be right, not even that there
// is a cluster. An error says why the address is but a guess.
func StatusListen(src Source) (string, error) {
	w := collect(src)
	var c Config
	root(&c).read(w.r, "", w.root)
	if err := w.r.faults.err(); err != nil && c.Status.Listen == "" || !w.found.usable {
		return cmp.Or(c.Status.Listen, defaultStatusListen), err
	}
	return c.Status.Listen, nil
}

// written is what file, environment and flags say together, before it is looked
// through.
type written struct {
	r     *reader
	env   *environment
	found *found
	root  *node
	notes []string
}

func collect(src Source) written {
	w := written{r: &reader{written: map[string]position{}, files: src.Files}, env: newEnvironment(src.Env)}
	w.found = w.r.find(src.File, w.env)
	w.root = w.r.parse(w.found, w.env)
	w.r.refuseSecret(w.root)
	o := overlay{r: w.r, root: w.root, setBy: map[string]string{}}
	w.notes = o.environment(w.env)
	o.flags(src.Flags)
	return w
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
