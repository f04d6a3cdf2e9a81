package config

import (
	"fmt"
	"slices"
)

// key is one line of the language.
type key struct {
	name  string
	value value
	def   string // the default as it is written; "" = none, or explained in doc
	doc   string // what it means, one sentence or two

	variable bool // set by a variable of the environment alone
}

// section is a mapping whose keys are known.
type section struct {
	keys  []key
	short string // hint for who writes a single value here
}

func (s section) has(name string) bool {
	return slices.ContainsFunc(s.keys, func(k key) bool { return k.name == name })
}

func (s section) read(r *reader, path string, n *node) {
	switch n.kind {
	case kindBroken, kindNull, kindMapping:
		s.refuseStrangers(r, path, n)
		s.fill(r, path, n)
		return
	}
	r.faults.add(n.at, path, "wants a section, not %s%s", n.kind, s.short)
}

// refuseStrangers reports keys that are not known.
func (s section) refuseStrangers(r *reader, path string, n *node) {
	for _, e := range n.entries {
		if !s.has(e.key) {
			r.faults.add(e.at, join(path, e.key), "unknown key%s", s.hint(path, e.key))
		}
	}
}

// hint is where the key may have been meant to stand.
func (s section) hint(path, name string) string {
	if near := didYouMean(name, s.names(nil)); near != "" {
		return near
	}
	for _, k := range s.keys {
		if sub, ok := k.value.(container); ok && slices.Contains(sub.names(nil), name) {
			return fmt.Sprintf("; did you mean %q?", join(join(path, k.name), name))
		}
	}
	if root(new(Config)).has(name) && path != "" {
		return fmt.Sprintf("; %s stands at the top of the file, not here", name)
	}
	return ""
}

// fill reads every key: what is written, else its default.
func (s section) fill(r *reader, path string, n *node) {
	for _, k := range s.keys {
		at := join(path, k.name)
		switch written := n.get(k.name); {
		case written != nil:
			r.written[at] = n.where(k.name)
			k.value.read(r, at, written)
		case k.def != "":
			k.value.read(r, at, untypedScalar(k.def, n.at))
		default:
			if sub, ok := k.value.(section); ok {
				sub.read(r, at, &node{kind: kindMapping, at: n.at})
			}
		}
	}
}

func (s section) child(segment string, _ *node) (key, bool) {
	for _, k := range s.keys {
		if fold(k.name) == segment {
			return k, true
		}
	}
	return key{}, false
}

func (s section) names(*node) []string {
	var names []string
	for _, k := range s.keys {
		names = append(names, k.name)
	}
	return names
}

func (s section) schema() schema {
	properties := schema{}
	for _, k := range s.keys {
		if !k.variable {
			properties[k.name] = k.schema()
		}
	}
	return schema{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
}

func (s section) describe() string { return "section" }
