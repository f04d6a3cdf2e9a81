package scripting

import (
	"unicode/utf8"

	"github.com/go-sourcemap/sourcemap"
)

// An origin leads from a text that was put together back to the files that it was
// made of.
type origin struct{ consumer *sourcemap.Consumer }

func newOrigin(text []byte) (*origin, error) {
	consumer, err := sourcemap.Parse("", text)
	if err != nil {
		return nil, err
	}
	return &origin{consumer}, nil
}

// position is where the character came from that stands in a line of the text,
// counted from 1, behind so many UTF-16 units. The zero value: from nowhere.
func (o *origin) position(line, units int) position {
	file, _, line, units, ok := o.consumer.Source(line, units)
	if !ok || file == "" {
		return position{}
	}
	return position{file, line, charactersIn(lineOf(o.consumer.SourceContent(file), line), units) + 1}
}

// line is the text of a line of one of the files.
func (o *origin) line(at position) string {
	return lineOf(o.consumer.SourceContent(at.file), at.line)
}

// charactersIn is how many characters the first so many UTF-16 units of a line are.
func charactersIn(line string, units int) int {
	characters := 0
	for _, c := range line {
		if units <= 0 {
			break
		}
		units -= unitsOf(c)
		characters++
	}
	return characters
}

func utf16Length(s string) int {
	n := 0
	for _, c := range s {
		n += unitsOf(c)
	}
	return n
}

// unitsOf is how many UTF-16 units a character takes.
func unitsOf(c rune) int {
	if utf8.RuneLen(c) > 3 {
		return 2
	}
	return 1
}
