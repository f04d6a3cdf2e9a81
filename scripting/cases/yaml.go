package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a table. The YAML parser recurses for each level and takes its time
// with many keys, and a sidecar that runs reads tables too.
const (
	MaxTable  = 1 << 20 // bytes
	maxTokens = 60_000
	maxColumn = 1_000 // of what opens a level
	maxFlow   = 64    // brackets in brackets
)

// A text is a YAML text that is being read, with what is wrong with it.
type text struct {
	name   string
	lines  []string
	faults Faults
}

func newText(name string, content []byte) *text {
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return &text{name: name, lines: lines}
}

// parse is the body of the text's only document, nil when there is none or after
// a fault.
func (t *text) parse(content []byte) (body ast.Node) {
	// A panic of the library is one more way for a text not to be YAML.
	defer func() {
		if x := recover(); x != nil {
			t.fault(1, 1, "this is not YAML: the parser failed (%v)", x)
			body = nil
		}
	}()
	if len(content) > MaxTable {
		t.fault(1, 1, "the file has %d bytes, the most is %d; make several of it", len(content), MaxTable)
		return nil
	}
	if !utf8.Valid(content) {
		t.fault(1, 1, "this is not UTF-8 text; save the file as UTF-8")
		return nil
	}
	tokens := lexer.Tokenize(strings.TrimPrefix(string(content), "\ufeff"))
	if !t.bounded(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		t.syntaxFault(err)
		return nil
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			t.add(doc.Body, "a second document begins here; one file holds one table: remove the line ---")
			return nil
		default:
			body = doc.Body
		}
	}
	return body
}

// bounded refuses what would cost the parser too much.
func (t *text) bounded(tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		at := tokens[maxTokens].Position
		t.fault(at.Line, at.Column, "this is too long for one table; make several files of it")
		return false
	}
	flow := 0
	for _, tk := range tokens {
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow = max(0, flow-1)
		}
		if flow > maxFlow || flow == 0 && opensLevel(tk) && tk.Position.Column > maxColumn {
			t.fault(tk.Position.Line, tk.Position.Column, "this is nested too deeply")
			return false
		}
	}
	return true
}

func opensLevel(tk *token.Token) bool {
	switch tk.Type {
	case token.SequenceEntryType, token.MappingValueType, token.MappingKeyType, token.AnchorType, token.TagType:
		return true
	}
	return false
}

func (t *text) syntaxFault(err error) {
	syntax, ok := errors.AsType[*yaml.SyntaxError](err)
	if !ok || syntax.Token == nil || syntax.Token.Position == nil {
		t.fault(1, 1, "this is not YAML: %v", err)
		return
	}
	at := syntax.Token.Position
	t.fault(at.Line, at.Column, "this is not YAML: %s%s", syntax.Message, t.syntaxHint(at.Line))
}

// syntaxHint guesses from the line what the usual mistakes are.
func (t *text) syntaxHint(line int) string {
	text := t.lines[min(max(line, 1), len(t.lines))-1]
	blank := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	switch {
	case strings.Contains(blank, "\t"):
		return "; a tab can not indent in YAML: use spaces"
	case strings.ContainsAny(text, "{["):
		return "; check that every { and [ is closed, and put texts that hold these, or ': ', in quotes"
	}
	return "; check the indentation and the quotes"
}

func (t *text) add(n ast.Node, format string, args ...any) {
	at := t.start(n)
	t.fault(at.Line, at.Column, format, args...)
}

func (t *text) fault(line, column int, format string, args ...any) {
	at := t.at(line, column)
	t.faults = append(t.faults, Fault{At: at, Message: fmt.Sprintf(format, args...), Text: t.lines[at.Line-1]})
}

// at is a position that is certain to lie in the text, whatever the parser reported.
func (t *text) at(line, column int) Position {
	line = min(max(line, 1), len(t.lines))
	length := utf8.RuneCountInString(t.lines[line-1])
	return Position{File: t.name, Line: line, Column: min(max(column, 1), length+1)}
}

// start is where a node begins as a person sees it; the library puts a mapping at
// its first colon.
func (t *text) start(n ast.Node) Position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	at := n.GetToken().Position
	return t.at(at.Line, at.Column)
}

// scalar is a single value as it is written.
func scalar(n ast.Node) (value string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func isNull(n ast.Node) bool {
	_, null := n.(*ast.NullNode)
	return n == nil || null
}

// kindOf is what a node is, as one says it to a person.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode:
		return "a section"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "an anchor, an alias or a tag, which a table can not have"
	case *ast.IntegerNode, *ast.FloatNode:
		return "a number"
	case *ast.NanNode, *ast.InfinityNode:
		return "a number that JSON does not have"
	case *ast.BoolNode:
		return "true or false"
	}
	return "a text"
}

// appendJSON writes any value as JSON, its keys in the order of the file: a script
// may look at that. False after a fault.
func (t *text) appendJSON(b *bytes.Buffer, n ast.Node) bool {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		b.WriteString("null")
	case *ast.MappingNode:
		return t.appendObject(b, n)
	case *ast.SequenceNode:
		return t.appendArray(b, n)
	case *ast.IntegerNode:
		fmt.Fprint(b, n.Value)
	case *ast.FloatNode:
		return t.appendValue(b, n, n.Value)
	case *ast.BoolNode:
		fmt.Fprint(b, n.Value)
	case *ast.StringNode:
		return t.appendValue(b, n, n.Value)
	case *ast.LiteralNode:
		return t.appendValue(b, n, n.Value.Value)
	default:
		t.add(n, "this is %s", kindOf(n))
		return false
	}
	return true
}

func (t *text) appendObject(b *bytes.Buffer, m *ast.MappingNode) bool {
	b.WriteByte('{')
	for i, pair := range m.Values {
		if i > 0 {
			b.WriteByte(',')
		}
		key, ok := t.key(pair)
		if !ok || !t.appendValue(b, pair.Key, key) {
			return false
		}
		b.WriteByte(':')
		if !t.appendJSON(b, pair.Value) {
			return false
		}
	}
	b.WriteByte('}')
	return true
}

func (t *text) appendArray(b *bytes.Buffer, s *ast.SequenceNode) bool {
	b.WriteByte('[')
	for i, item := range s.Values {
		if i > 0 {
			b.WriteByte(',')
		}
		if !t.appendJSON(b, item) {
			return false
		}
	}
	b.WriteByte(']')
	return true
}

// appendValue writes one Go value. What JSON has no form for (.nan) is a fault.
func (t *text) appendValue(b *bytes.Buffer, n ast.Node, value any) bool {
	encoded, err := json.Marshal(value)
	if err != nil {
		t.add(n, "JSON has no such value")
		return false
	}
	b.Write(encoded)
	return true
}

// key is the name of a pair.
func (t *text) key(pair *ast.MappingValueNode) (string, bool) {
	if _, merge := pair.Key.(*ast.MergeKeyNode); !merge {
		if name, ok := scalar(pair.Key); ok {
			return name, true
		}
	}
	t.add(pair.Key, "a key is a plain word")
	return "", false
}
