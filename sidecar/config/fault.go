package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Fault is one thing that is wrong, and where.
type Fault struct {
	Source  string // the file's path, a variable's or a flag's name; "" for the whole
	Line    int    // 1-based; 0 outside a file
	Column  int    // 1-based, in characters
	Path    string // the key, such as clusters.one.check.interval; may be ""
	Message string // what is wrong and what to do
	Text    string // the line of the file; a secret in it is masked
}

// String is the fault with its position and, for a file, the line and a caret.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.headline())
	if f.Line > 0 {
		b.WriteString(f.excerpt())
	}
	return b.String()
}

func (f Fault) headline() string {
	parts := []string{}
	switch {
	case f.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d:%d", f.Source, f.Line, f.Column))
	case f.Source != "":
		parts = append(parts, f.Source)
	}
	if f.Path != "" {
		parts = append(parts, f.Path)
	}
	return strings.Join(append(parts, f.Message), ": ")
}

// excerptWidth keeps the excerpt of a very long line on one line of a terminal.
const excerptWidth = 100

func (f Fault) excerpt() string {
	line := []rune(f.Text)
	caret := min(f.Column-1, len(line))
	if len(line) > excerptWidth {
		start := max(0, min(caret-excerptWidth/2, len(line)-excerptWidth))
		line, caret = line[start:start+excerptWidth], caret-start
	}
	shown := strings.Map(printable, string(line))
	blank := strings.Repeat(" ", caret)
	return fmt.Sprintf("\n%6d | %s\n       | %s^", f.Line, shown, blank)
}

// printable keeps a hostile file from writing to the terminal: one character for one, so that the caret stays right.
func printable(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case unicode.IsPrint(r):
		return r
	}
	return unicode.ReplacementChar
}

// Error is every fault of a configuration, in the order of the file, then those of the environment.
type Error struct{ Faults []Fault }

// shownFaults bounds the message; a file of another kind has a fault on each line.
const shownFaults = 100

// Error lists the faults, each as [Fault.String].
func (e *Error) Error() string {
	lines := []string{}
	for _, f := range e.Faults[:min(len(e.Faults), shownFaults)] {
		lines = append(lines, f.String())
	}
	if more := len(e.Faults) - shownFaults; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// position is where something was written.
type position struct {
	source       string // path, variable or flag
	line, column int    // 0 outside a file
	doc          *document
}

// document is the text of a file, kept to show its lines.
type document struct {
	name  string
	lines []string
}

func newDocument(name, text string) *document {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return &document{name: name, lines: lines}
}

// at is a position that is certain to lie in the document, whatever the parser reported.
func (d *document) at(line, column int) position {
	line = min(max(line, 1), len(d.lines))
	length := len([]rune(d.lines[line-1]))
	return position{source: d.name, line: line, column: min(max(column, 1), length+1), doc: d}
}

// faults collects what is wrong.
type faults struct{ list []Fault }

func (f *faults) add(at position, path, format string, args ...any) {
	fault := Fault{Source: at.source, Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...)}
	if at.doc != nil {
		fault.Text = masked(at.doc.lines[at.line-1])
	}
	f.list = append(f.list, fault)
}

// err is the sorted whole, or nil.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b Fault) int {
		return cmp.Or(
			inFileFirst(a, b), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Source, b.Source), strings.Compare(a.Path, b.Path))
	})
	return &Error{Faults: slices.Compact(f.list)}
}

func inFileFirst(a, b Fault) int {
	switch {
	case a.Line > 0 && b.Line == 0:
		return -1
	case a.Line == 0 && b.Line > 0:
		return 1
	}
	return 0
}
