package attach

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// project is a compose file.
type project struct {
	file     string
	services map[string]service
	root     ast.Node // to tell lines
}

// service is one as it is written, anchors and merges resolved. A value is what
// yaml makes of it; a mapping is a yaml.MapSlice.
type service map[string]any

func parse(file string, text []byte) (*project, error) {
	var written struct{ Services map[string]service }
	if err := yaml.UnmarshalWithOptions(text, &written, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("%s is not a compose file: %w", file, err)
	}
	if len(written.Services) == 0 {
		return nil, fmt.Errorf("%s has no services: is it a compose file? The oldest form, without services, is not read", file)
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &project{file: file, services: written.Services, root: tree.Docs[0].Body}, nil
}

// fault is what is wrong with a service, at a key of it if one is named.
func (p *project) fault(name, key, format string, args ...any) error {
	at := p.file
	if line := lineOf(p.root, "services", name, key); line > 0 {
		at = fmt.Sprintf("%s:%d", p.file, line)
	}
	return fmt.Errorf("%s: %s: %s", at, name, fmt.Sprintf(format, args...))
}

// lineOf is where the last of the keys stands that is found on the way, 0 for none.
func lineOf(n ast.Node, keys ...string) int {
	line := 0
	for _, key := range keys {
		var next ast.Node
		for _, v := range entries(n) {
			if v.Key.GetToken().Value == key {
				line, next = v.Key.GetToken().Position.Line, v.Value
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return line
}

func entries(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	case *ast.AnchorNode:
		return entries(n.Value)
	}
	return nil
}

// find is the service that a target names.
func (p *project) find(name string) (service, error) {
	s, found := p.services[name]
	if found {
		return s, nil
	}
	names := slices.Sorted(maps.Keys(p.services))
	return nil, fmt.Errorf("%s has no service %q: its services are %s", p.file, name, strings.Join(names, ", "))
}

// joiners are the services that share the network of the given one.
func (p *project) joiners(name string) []string {
	var joiners []string
	for other, s := range p.services {
		if s["network_mode"] == "service:"+name {
			joiners = append(joiners, other)
		}
	}
	slices.Sort(joiners)
	return joiners
}
