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
type source struct {
	name, text string
	origin     *origin // of text; nil: it is as its author wrote it
}

// newSource checks what must hold before the parser may see the text: its
// recursion has no limit, and a Go stack overflow ends the process.
func newSource(src Source) (*source, error) {
	if src.Name == "" {
		src.Name = "script"
	}
	code, err := CheckText(src.Name, src.Code)
	if err != nil {
		return nil, err
	}
	s := &source{name: src.Name, text: code}
	if src.Map != nil {
		if s.origin, err = newOrigin(src.Map); err != nil {
			return nil, s.fault(position{}, "the source map of the script cannot be read: "+err.Error())
		}
	}
	return s, nil
}

// CheckText checks what must hold before any parser may see a file's text, and
// returns it without its byte order mark. A fault is a [*LoadError].
func CheckText(name string, text []byte) (string, error) {
	s := &source{name: name}
	if len(text) > MaxSource {
		return "", s.fault(position{}, fmt.Sprintf("the script has %d bytes, the most is %d", len(text), MaxSource))
	}
	code := bytes.TrimPrefix(text, []byte("\uFEFF"))
	if at := invalidUTF8(code); at >= 0 {
		return "", s.fault(position{}, fmt.Sprintf("the script is not UTF-8 text: invalid byte 0x%02x at offset %d", code[at], at+len(text)-len(code)))
	}
	s.text = string(code)
	if at, deep := tooDeep(s.text); deep {
		return "", s.faultAt(at, "SyntaxError: the code is nested too deeply here")
	}
	return s.text, nil
}

// Parses is nil when code is a script as the engine takes it, without modules and
// newer syntax. Else it is a [*LoadError].
func Parses(name string, code []byte) error {
	s, err := newSource(Source{Name: name, Code: code})
	if err != nil {
		return err
	}
	if _, err := parser.ParseFile(nil, s.name, s.text, 0, parser.WithDisableSourceMaps); err != nil {
		return s.parseFault(err)
	}
	return nil
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
func (s *source) compile(backtracking, places bool) (*goja.Program, *findings, error) {
	tree, err := s.parse()
	if err != nil {
		return nil, nil, err
	}
	found, err := s.lint(tree, backtracking)
	if err != nil {
		return nil, nil, err
	}
	if places {
		found.places = s.placeReturns(tree)
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
	return s.fault(s.position(list[0].Position), "SyntaxError: "+strings.TrimPrefix(list[0].Message, "SyntaxError: "))
}

// A position is a place in the author's own files; line and column count from 1,
// the column in characters. The zero value is no place.
type position struct {
	file         string
	line, column int
}

func (p position) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column) }

// place names where something is, or the script where that is not known.
func (s *source) place(at position) string {
	if at.line > 0 {
		return at.String()
	}
	return s.name
}

// position converts the engine's position, whose column counts bytes, and leads it
// back to where that came from. What no author wrote has no place.
func (s *source) position(at file.Position) position {
	if at.Line <= 0 {
		return position{}
	}
	line := s.line(at.Line)
	bytes := min(max(at.Column-1, 0), len(line))
	if s.origin != nil {
		return s.origin.position(at.Line, utf16Length(line[:bytes]))
	}
	return position{s.name, at.Line, utf8.RuneCountInString(line[:bytes]) + 1}
}

func (s *source) line(number int) string { return lineOf(s.text, number) }

// lineOf is one line of a text, counted from 1 as the engine counts: \r\n, \n, \r,
// U+2028 and U+2029 end one.
func lineOf(text string, number int) string {
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
	if at.line == 0 {
		return e
	}
	e.File = at.file
	if s.origin != nil {
		e.Text = s.origin.line(at)
	} else {
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
