package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	variablePrefix = "OUTRIDER_"
	shortPrefix    = "OUTRIDER_CLUSTER_"
	levelMark      = "__"
)

// environment is the process's variables.
type environment struct{ values map[string]string }

func newEnvironment(list []string) *environment {
	values := make(map[string]string, len(list))
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return &environment{values: values}
}

func (e *environment) lookup(name string) (string, bool) {
	value, ok := e.values[name]
	return value, ok
}

// ours are the names of our variables, sorted so that results do not depend on chance.
func (e *environment) ours() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(e.values)), func(name string) bool {
		return !strings.HasPrefix(name, variablePrefix) || name == configVariable
	})
}

// serviceVariable is what Kubernetes sets for a service called outrider or outrider-x.
var serviceVariable = regexp.MustCompile(`^OUTRIDER(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

func isServiceVariable(name, value string) bool {
	if serviceVariable.MatchString(name) {
		return true
	}
	scheme, _, isURL := strings.Cut(value, "://")
	return isURL && strings.HasSuffix(name, "_PORT") && slices.Contains([]string{"tcp", "udp", "sctp"}, scheme)
}

// overlay writes variables and flags over what the file says.
type overlay struct {
	r     *reader
	root  *node
	setBy map[string]string // which variable set a path
}

// environment applies our variables; the notes name those that are Kubernetes' own.
func (o *overlay) environment(env *environment) []string {
	var services, short, long []string
	for _, name := range env.ours() {
		switch {
		case isServiceVariable(name, env.values[name]):
			services = append(services, name)
		case name == secretVariable && strings.TrimSpace(env.values[name]) == "":
			// As if it were not set: compose passes on what is not there.
		case strings.HasPrefix(name, shortPrefix) && !strings.Contains(name, levelMark):
			short = append(short, name)
		default:
			long = append(long, name)
		}
	}
	for _, name := range short { // first: what a URL implies gives way to what is said
		o.short(name, env.values[name])
	}
	for _, name := range long {
		o.variable(name, env.values[name])
	}
	if len(services) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("ignored: %s (set by Kubernetes for a service called outrider; enableServiceLinks: false in the pod leaves them out)", strings.Join(services, ", "))}
}

// variable sets what a long name says: OUTRIDER_A__B is a.b.
func (o *overlay) variable(name, value string) {
	flat := strings.ToLower(strings.TrimPrefix(name, variablePrefix))
	segments := strings.Split(flat, levelMark)
	if flat == "script" && !bracketed(value) {
		segments = []string{"script", "file"}
	}
	path, leaf, fault := o.walk(segments)
	if fault != "" {
		o.r.faults.add(position{source: name}, "", "%s", fault)
		return
	}
	if o.claim(name, path) {
		o.set(path, o.parse(name, value, leaf))
	}
}

// claim notes who sets a path; two variables for one path are a fault.
func (o *overlay) claim(name string, path []string) bool {
	dotted := strings.Join(path, ".")
	if other, taken := o.setBy[dotted]; taken {
		o.r.faults.add(position{source: name}, dotted, "%s sets this too; remove one of them", other)
		return false
	}
	o.setBy[dotted] = name
	return true
}

// walk follows segments down the table; the fault is a sentence.
func (o *overlay) walk(segments []string) (path []string, leaf value, fault string) {
	leaf = root(new(Config))
	written := o.root
	for i, segment := range segments {
		inside, ok := leaf.(container)
		if !ok {
			return nil, nil, fmt.Sprintf("%s has no keys of its own; set %s", strings.Join(path, "."), spelled(segments[:i]))
		}
		k, ok := inside.child(segment, written)
		if !ok {
			return nil, nil, "unknown variable" + hintVariable(segments, i, inside.names(written))
		}
		path = append(path, k.name)
		leaf = k.value
		if written != nil {
			written = written.get(k.name)
		}
	}
	return path, leaf, ""
}

// hintVariable is the variable that was probably meant.
func hintVariable(segments []string, at int, names []string) string {
	if len(segments) > 1 && strings.HasPrefix(segments[0], "cluster_") {
		return fmt.Sprintf("; did you mean %s?", spelled(append([]string{"clusters", strings.TrimPrefix(segments[0], "cluster_")}, segments[1:]...)))
	}
	if meant := unfold(root(new(Config)), strings.Join(segments, "_")); meant != nil {
		return fmt.Sprintf("; two underscores go one level down: did you mean %s?", spelled(meant))
	}
	if near := nearest(segments[at], names); near != "" {
		meant := slices.Clone(segments)
		meant[at] = near
		return fmt.Sprintf("; did you mean %s?", spelled(meant))
	}
	return "; REFERENCE.md lists the keys, and OUTRIDER_A__B sets a.b"
}

func spelled(segments []string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(strings.Join(segments, levelMark), "-", "_"))
}

// unfold splits a name whose levels are joined by single underscores, or is nil.
func unfold(c container, flat string) []string {
	for _, name := range c.names(nil) {
		name = fold(name)
		if flat == name {
			return []string{name}
		}
		rest, below := strings.CutPrefix(flat, name+"_")
		if !below {
			continue
		}
		if k, ok := c.child(name, nil); ok {
			if sub, ok := k.value.(container); ok {
				if meant := unfold(sub, rest); meant != nil {
					return append([]string{name}, meant...)
				}
			}
		}
	}
	if _, named := c.(clusters); named {
		return unfoldCluster(flat)
	}
	return nil
}

// unfoldCluster splits name_key, where the key is one of a cluster's.
func unfoldCluster(flat string) []string {
	for i, r := range flat {
		if r != '_' || i == 0 {
			continue
		}
		if meant := unfold(cluster(new(Cluster)), flat[i+1:]); meant != nil {
			return append([]string{flat[:i]}, meant...)
		}
	}
	return nil
}

// short is OUTRIDER_CLUSTER_ONE: the backends of one, and what a URL implies.
func (o *overlay) short(name, value string) {
	at := position{source: name}
	segment := strings.ToLower(strings.TrimPrefix(name, shortPrefix))
	known, ok := clusters{}.child(segment, o.root.get("clusters"))
	if !ok {
		o.r.faults.add(at, "", "the cluster's name is missing; write OUTRIDER_CLUSTER_ONE=host:port")
		return
	}
	if meant := unfoldCluster(segment); meant != nil && o.root.get("clusters").get(known.name) == nil {
		o.r.faults.add(at, "", "did you mean %s? (A cluster of this name is set by %s.)",
			spelled(append([]string{"clusters"}, meant...)), spelled([]string{"clusters", segment, "backends"}))
		return
	}
	path := []string{"clusters", known.name, "backends"}
	if !o.claim(name, path) {
		return
	}
	o.set(path, untypedScalar(value, at))
	o.implied(known.name, value, at)
}

// implied sets the names that a single URL brings.
func (o *overlay) implied(cluster, value string, at position) {
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil || u.Hostname() == "" || strings.Contains(value, ",") {
		return
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return
	}
	switch u.Scheme {
	case "https":
		o.set([]string{"clusters", cluster, "tls", "server_name"}, untypedScalar(u.Hostname(), at))
		o.set([]string{"clusters", cluster, "host"}, untypedScalar(u.Hostname(), at))
	case "http":
		o.set([]string{"clusters", cluster, "host"}, untypedScalar(u.Hostname(), at))
	}
}

// set puts a value at path, making the sections on the way.
func (o *overlay) set(path []string, value *node) {
	n := o.root
	for _, key := range path[:len(path)-1] {
		n = n.section(key, value.at)
	}
	n.set(path[len(path)-1], value)
}

// parse is a variable's value: YAML where brackets say so and the key holds more than one word, else a word.
func (o *overlay) parse(name, text string, leaf value) *node {
	at := position{source: name}
	if _, plain := leaf.(plain); plain {
		return untypedScalar(text, at)
	}
	if bracketed(text) {
		var faults faults
		y := newYAML(name, &faults)
		y.fixed = &at
		if n := y.parse([]byte(text)); n != nil && len(faults.list) == 0 {
			return n
		}
	}
	if section, ok := leaf.(section); ok {
		o.r.faults.add(at, "", "this is a section; set its keys, such as %s%s%s, or write it as { ... }", name, levelMark, strings.ToUpper(section.names(nil)[0]))
		return broken(at)
	}
	return untypedScalar(text, at)
}

// plain is a value that is one word, so that brackets in it are only text.
type plain interface{ plain() }

func (scalar[T]) plain() {}

func bracketed(s string) bool {
	s = strings.TrimSpace(s)
	return strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") || strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]")
}

// flags applies what the command line says, over everything.
func (o *overlay) flags(list []Flag) {
	for _, f := range list {
		segments := strings.Split(fold(f.Key), ".")
		path, leaf, fault := o.walk(segments)
		if fault != "" {
			o.r.faults.add(position{source: f.Name}, f.Key, "%s", fault)
			continue
		}
		o.set(path, o.parse(f.Name, f.Value, leaf))
	}
}
