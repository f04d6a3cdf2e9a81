package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a file. The YAML parser recurses for each level and each key and takes
// time in the square of the number of keys: these keep the worst file below seconds.
const (
	maxFileSize   = 1 << 20
	maxTokens     = 40_000
	maxDepth      = 32
	maxNodes      = 100_000 // after aliases are expanded
	byteOrderMark = "\ufeff"
)

// yamlText is one YAML text on its way to a node.
type yamlText struct {
	doc     *document
	fixed   *position // where every node is said to be, for YAML inside a variable
	lookup  func(string) (string, bool)
	faults  *faults
	anchors map[string]ast.Node
	nodes   int
	full    bool // more nodes than allowed: said once
}

func newYAML(name string, faults *faults) *yamlText {
	return &yamlText{doc: newDocument(name, ""), faults: faults, anchors: map[string]ast.Node{}}
}

// parse is the text as a node, or nil when it is empty or not YAML at all; the latter is a fault.
func (y *yamlText) parse(data []byte) *node {
	text := strings.TrimPrefix(string(data), byteOrderMark)
	y.doc = newDocument(y.doc.name, text)
	if !y.readable() {
		return nil
	}
	file := y.tree(text)
	if file == nil {
		return nil
	}
	body := y.onlyDocument(file)
	if body == nil {
		return nil
	}
	return y.build(body, 0)
}

// tree is what the library makes of the text, or nil after a fault. A panic of the library
// is one more way for a text not to be YAML: it must not end the process at a reload.
func (y *yamlText) tree(text string) (file *ast.File) {
	defer func() {
		if failure := recover(); failure != nil {
			y.fault(1, 1, "not YAML: the parser failed (%v)", failure)
			file = nil
		}
	}()
	tokens := lexer.Tokenize(text)
	if !y.bounded(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		y.syntaxFault(err)
		return nil
	}
	return file
}

// readable refuses what is not text: invalid UTF-8 and control characters.
func (y *yamlText) readable() bool {
	for i, line := range y.doc.lines {
		column := 0
		for pos, r := range line {
			column++
			if r == utf8.RuneError && !strings.HasPrefix(line[pos:], string(utf8.RuneError)) {
				y.fault(i+1, column, "this is not UTF-8 text; save the file as UTF-8")
				return false
			}
			if r < ' ' && r != '\t' || r == 0x7f {
				y.fault(i+1, column, "control character %#02x; remove it, or write it as an escape in double quotes", r)
				return false
			}
		}
	}
	return true
}

// bounded refuses texts that would cost the parser too much.
func (y *yamlText) bounded(tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		at := tokens[maxTokens].Position
		y.fault(at.Line, at.Column, "too much for one configuration (more than %d words and signs before this)", maxTokens)
		return false
	}
	var nesting nesting
	for _, t := range tokens {
		if nesting.add(t) > maxDepth {
			y.fault(t.Position.Line, t.Position.Column, "nested too deeply")
			return false
		}
	}
	return true
}

// nesting estimates from tokens how deep the parser will recurse.
type nesting struct {
	flow       int   // brackets that are open
	indents    []int // columns of the block structures that are open
	properties int   // anchors, tags and ? in a row
}

// add counts one more token and returns the depth.
func (n *nesting) add(t *token.Token) int {
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		n.flow++
	case token.MappingEndType, token.SequenceEndType:
		n.flow = max(0, n.flow-1)
	case token.AnchorType, token.TagType, token.MappingKeyType:
		n.properties++
		n.indent(t.Position.Column)
	case token.SequenceEntryType, token.MappingValueType:
		n.properties = 0
		n.indent(t.Position.Column)
	case token.CollectEntryType:
		n.properties = 0
	}
	return n.flow + len(n.indents)/2 + n.properties
}

// indent notes a block structure at column; inside brackets columns mean nothing.
func (n *nesting) indent(column int) {
	if n.flow > 0 {
		return
	}
	for len(n.indents) > 0 && n.indents[len(n.indents)-1] >= column {
		n.indents = n.indents[:len(n.indents)-1]
	}
	n.indents = append(n.indents, column)
}

// onlyDocument is the body of the one document of a file, or nil.
func (y *yamlText) onlyDocument(file *ast.File) ast.Node {
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			y.add(doc.Body, "a second document begins here; one file holds one configuration: remove the line ---")
			return nil
		}
		body = doc.Body
	}
	return body
}

func (y *yamlText) syntaxFault(err error) {
	syntax, ok := errors.AsType[*yaml.SyntaxError](err)
	if !ok || syntax.Token == nil || syntax.Token.Position == nil {
		y.fault(1, 1, "not YAML: %v", err)
		return
	}
	at := syntax.Token.Position
	y.fault(at.Line, at.Column, "not YAML: %s%s", syntax.Message, y.syntaxHint(at.Line))
}

// syntaxHint guesses from the line what the usual mistakes are.
func (y *yamlText) syntaxHint(line int) string {
	text := y.doc.lines[min(max(line, 1), len(y.doc.lines))-1]
	blank := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	switch {
	case strings.Contains(blank, "\t"):
		return "; a tab cannot indent in YAML: use spaces"
	case strings.Contains(text, "${"):
		return `; inside { } and [ ] write "${...}" with quotes`
	case strings.Count(text, ": ") > 1:
		return "; put a value that holds ': ' in quotes"
	case strings.ContainsAny(text, "{["):
		return "; check that every { and [ is closed, and put addresses that begin with [ in quotes"
	}
	return "; check the indentation and the quotes"
}

// build converts the library's tree. depth counts levels, to end aliases that hold themselves.
func (y *yamlText) build(n ast.Node, depth int) *node {
	y.nodes++
	if y.nodes > maxNodes || depth > maxDepth {
		if !y.full {
			y.add(n, "nested too deeply, or aliases that grow without end")
		}
		y.full = true
		y.nodes = maxNodes
		return broken(y.position(1, 1))
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return y.mapping(n, depth)
	case *ast.SequenceNode:
		return y.list(n, depth)
	case *ast.AnchorNode:
		return y.anchor(n, depth)
	case *ast.AliasNode:
		return y.alias(n, depth)
	case *ast.TagNode, *ast.MappingKeyNode, *ast.MappingValueNode:
		// Refused below.
	case ast.ScalarNode:
		return y.scalar(n)
	case nil:
		return &node{kind: kindNull, at: y.position(1, 1)}
	}
	y.add(n, "tags and this kind of YAML are not supported; write the value plainly")
	return broken(y.start(n))
}

func (y *yamlText) mapping(m *ast.MappingNode, depth int) *node {
	out := &node{kind: kindMapping, at: y.start(m)}
	var merged []ast.Node
	for _, pair := range m.Values {
		if pair.Key.Type() == ast.MergeKeyType {
			merged = append(merged, pair.Value)
			continue
		}
		y.entry(out, pair, depth)
	}
	for _, source := range merged {
		y.merge(out, source, depth)
	}
	return out
}

func (y *yamlText) entry(out *node, pair *ast.MappingValueNode, depth int) {
	key, ok := pair.Key.(ast.ScalarNode)
	if !ok {
		y.add(pair.Key, "a key is a plain word")
		return
	}
	name := fmt.Sprint(key.GetToken().Value)
	at := y.start(pair.Key)
	if first := slices.IndexFunc(out.entries, func(e entry) bool { return e.key == name }); first >= 0 {
		y.faults.add(at, "", "the key %q stands here twice (first in line %d); remove one of them", name, out.entries[first].at.line)
		return
	}
	out.entries = append(out.entries, entry{key: name, at: at, value: y.build(pair.Value, depth+1)})
}

// merge adds what `<<:` names and the mapping does not have; of several sources the first wins.
func (y *yamlText) merge(out *node, source ast.Node, depth int) {
	value := y.build(source, depth+1)
	if value.kind == kindBroken {
		return
	}
	sources := []*node{value}
	if value.kind == kindList {
		sources = value.items
	}
	for _, s := range sources {
		if s.kind != kindMapping {
			y.add(source, "<<: takes a section or a list of sections, such as *name")
			return
		}
		for _, e := range s.entries {
			if out.get(e.key) == nil {
				out.entries = append(out.entries, e)
			}
		}
	}
}

func (y *yamlText) list(s *ast.SequenceNode, depth int) *node {
	out := &node{kind: kindList, at: y.start(s)}
	for _, item := range s.Values {
		out.items = append(out.items, y.build(item, depth+1))
	}
	return out
}

func (y *yamlText) anchor(a *ast.AnchorNode, depth int) *node {
	value := y.build(a.Value, depth+1)
	y.anchors[a.Name.GetToken().Value] = a.Value
	return value
}

// alias builds the anchor's value anew: two places must not share a node, since a variable may change one of them.
func (y *yamlText) alias(a *ast.AliasNode, depth int) *node {
	name := a.Value.GetToken().Value
	target, ok := y.anchors[name]
	if !ok {
		y.add(a, "*%s: no anchor &%s stands before this", name, name)
		return broken(y.start(a))
	}
	return y.build(target, depth+1)
}

func (y *yamlText) scalar(n ast.ScalarNode) *node {
	out := &node{kind: kindScalar, scalar: textual, at: y.start(n), text: n.GetToken().Value}
	switch n := n.(type) {
	case *ast.NullNode:
		out.kind = kindNull
	case *ast.IntegerNode:
		out.scalar = integer
	case *ast.BoolNode:
		out.scalar, out.text = boolean, strings.ToLower(out.text)
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.scalar = fraction
	case *ast.LiteralNode:
		out.text = n.Value.Value
	}
	return y.substituted(out)
}

// substituted replaces ${VAR}; what comes from a variable has no type of its own.
func (y *yamlText) substituted(n *node) *node {
	if n.scalar != textual || !strings.Contains(n.text, "$") || y.lookup == nil {
		return n
	}
	text, variables, err := substitute(n.text, y.lookup)
	if err != nil {
		y.faults.add(n.at, "", "%v", err)
		return broken(n.at)
	}
	n.text = text
	if variables > 0 {
		n.scalar = untyped
	}
	return n
}

// start is where a node begins as a person sees it; the library puts a mapping at its first colon.
func (y *yamlText) start(n ast.Node) position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	at := n.GetToken().Position
	return y.position(at.Line, at.Column)
}

func (y *yamlText) position(line, column int) position {
	if y.fixed != nil {
		return *y.fixed
	}
	return y.doc.at(line, column)
}

func (y *yamlText) add(n ast.Node, format string, args ...any) {
	y.faults.add(y.start(n), "", format, args...)
}

func (y *yamlText) fault(line, column int, format string, args ...any) {
	y.faults.add(y.position(line, column), "", format, args...)
}
