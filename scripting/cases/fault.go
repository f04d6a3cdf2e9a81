package cases

import (
	"fmt"
	"strings"
	"unicode"
)

// A Position is a place in a file; line and column count from 1, the column in
// characters.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String is file:line:column.
func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// A Fault is something that a table can not say, and where it says it.
type Fault struct {
	At      Position
	Message string // what is wrong and what to do
	Text    string // the line of the file
}

// Error is the fault with its place, the line and a caret.
func (f Fault) Error() string {
	if f.Text == "" {
		return fmt.Sprintf("%s: %s", f.At, f.Message)
	}
	line := []rune(strings.Map(printable, f.Text))
	caret := min(max(f.At.Column-1, 0), len(line))
	if len(line) > excerptWidth {
		start := max(0, min(caret-excerptWidth/2, len(line)-excerptWidth))
		line, caret = line[start:start+excerptWidth], caret-start
	}
	return fmt.Sprintf("%s: %s\n  %s\n  %s^", f.At, f.Message, string(line), strings.Repeat(" ", caret))
}

// excerptWidth keeps a very long line on one line of a terminal.
const excerptWidth = 120

// printable keeps a file from writing to the terminal: one character for one, so
// that the caret stays right.
func printable(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case unicode.IsPrint(r):
		return r
	}
	return unicode.ReplacementChar
}

// Faults are all that is wrong with a table, in the order of the file.
type Faults []Fault

// shownFaults bounds the message; a file of another kind has a fault on each line.
const shownFaults = 20

// Error lists the faults.
func (f Faults) Error() string {
	var lines []string
	for _, fault := range f[:min(len(f), shownFaults)] {
		lines = append(lines, fault.Error())
	}
	if more := len(f) - shownFaults; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}
