package scripting

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
)

// MaxSource is the largest script, in bytes.
const MaxSource = 1 << 20

// A LoadError is a fault of a script that keeps it from loading. Line and Column
// count from 1, Column in characters; both are 0 where no place is to blame.
type LoadError struct {
	File         string
	Line, Column int
	Message      string
	Text         string // the offending line
}

// Error renders file:line:column and the message, then the offending line with a
// caret below the column.
func (e *LoadError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	head := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if strings.TrimSpace(e.Text) == "" {
		return head
	}
	text, column := window([]rune(e.Text), e.Column)
	indent := strings.Map(func(c rune) rune {
		if c == '\t' {
			return c
		}
		return ' '
	}, string(text[:min(column-1, len(text))]))
	return fmt.Sprintf("%s\n  %s\n  %s^", head, string(text), indent)
}

// window cuts a very long line (minified code) around the column.
func window(line []rune, column int) ([]rune, int) {
	const width = 160
	if len(line) <= width {
		return line, column
	}
	first := max(0, min(column-1-width/2, len(line)-width))
	return line[first : first+width], column - first
}

// A source is a script's text, checked.
type source struct{ name, text string }

// newSource checks what must hold before the parser may see the text: its
// recursion has no limit, and a Go stack overflow ends the process.
func newSource(src Source) (*source, error) {
	if src.Name == "" {
		src.Name = "script"
	}
	s := &source{name: src.Name}
	if len(src.Code) > MaxSource {
		return nil, s.fault(position{}, fmt.Sprintf("the script has %d bytes, the most is %d", len(src.Code), MaxSource))
	}
	code := bytes.TrimPrefix(src.Code, []byte("\uFEFF"))
	if at := invalidUTF8(code); at >= 0 {
		return nil, s.fault(position{}, fmt.Sprintf("the script is not UTF-8 text: invalid byte 0x%02x at offset %d", code[at], at+len(src.Code)-len(code)))
	}
	s.text = string(code)
	if at, deep := tooDeep(s.text); deep {
		return nil, s.faultAt(at, "SyntaxError: the code is nested too deeply here")
	}
	return s, nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		c, size := utf8.DecodeRune(b[i:])
		if c == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// compile parses, looks over and compiles the source, in strict mode as a module
// would be. The program holds no state of a runtime.
func (s *source) compile() (*goja.Program, *findings, error) {
	tree, err := s.parse()
	if err != nil {
		return nil, nil, err
	}
	found, err := s.lint(tree)
	if err != nil {
		return nil, nil, err
	}
	program, err := s.program(tree)
	return program, found, err
}

// compileTests compiles a file of tests, which defines no route.
func (s *source) compileTests() (*goja.Program, error) {
	tree, err := s.parse()
	if err != nil {
		return nil, err
	}
	return s.program(tree)
}

func (s *source) parse() (*ast.Program, error) {
	tree, err := parser.ParseFile(nil, s.name, s.text, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, s.parseFault(err)
	}
	return tree, nil
}

func (s *source) program(tree *ast.Program) (*goja.Program, error) {
	program, err := compileTree(tree)
	if fault, ok := errors.AsType[*goja.CompilerSyntaxError](err); ok {
		return nil, s.faultAt(fault.Offset, "SyntaxError: "+fault.Message)
	}
	if err != nil {
		return nil, s.fault(position{}, err.Error())
	}
	return program, nil
}

func compileTree(tree *ast.Program) (program *goja.Program, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("the JavaScript compiler failed: %v", x)
		}
	}()
	return goja.CompileAST(tree, true)
}

func (s *source) parseFault(err error) error {
	list, ok := errors.AsType[parser.ErrorList](err)
	if !ok || len(list) == 0 {
		return s.fault(position{}, "SyntaxError: "+err.Error())
	}
	at := s.position(list[0].Position)
	message := strings.TrimPrefix(list[0].Message, "SyntaxError: ")
	if rest := s.from(list[0].Position); strings.HasPrefix(rest, "export") || strings.HasPrefix(rest, "import") {
		message = "ES modules are not in this version: write a plain `function route(req, ctx)` without export or import"
	}
	return s.fault(at, "SyntaxError: "+message)
}

// A position is a place in a source; line and column count from 1, the column in
// characters. The zero value is no place.
type position struct{ line, column int }

func (p position) String() string { return fmt.Sprintf(":%d:%d", p.line, p.column) }

// position converts the engine's position, whose column counts bytes.
func (s *source) position(at file.Position) position {
	if at.Line <= 0 {
		return position{}
	}
	line := s.line(at.Line)
	return position{at.Line, utf8.RuneCountInString(line[:min(max(at.Column-1, 0), len(line))]) + 1}
}

// from is the rest of the line at the engine's position.
func (s *source) from(at file.Position) string {
	line := s.line(at.Line)
	return line[min(max(at.Column-1, 0), len(line)):]
}

// line is the text of one line, counted from 1 as the engine counts: \r\n, \n, \r,
// U+2028 and U+2029 end one.
func (s *source) line(number int) string {
	text := s.text
	for ; ; number-- {
		end := strings.IndexAny(text, "\r\n\u2028\u2029")
		if end < 0 {
			return text
		}
		if number <= 1 {
			return text[:end]
		}
		_, size := utf8.DecodeRuneInString(text[end:])
		if strings.HasPrefix(text[end:], "\r\n") {
			size = 2
		}
		text = text[end+size:]
	}
}

func (s *source) fault(at position, message string) *LoadError {
	e := &LoadError{File: s.name, Line: at.line, Column: at.column, Message: message}
	if at.line > 0 {
		e.Text = s.line(at.line)
	}
	return e
}

// faultAt blames the byte at offset.
func (s *source) faultAt(offset int, message string) *LoadError {
	return s.fault(s.position(file.NewFile(s.name, s.text, 1).Position(offset)), message)
}

func (s *source) version() string {
	sum := sha256.Sum256([]byte(s.text))
	return hex.EncodeToString(sum[:])[:7]
}
