package scripting

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// An origin leads from a text that was put together back to the files that it was
// made of. It is a source map, revision 3 (https://tc39.es/ecma426/).
type origin struct {
	files    []string
	contents []string // of the files
	segments []segment
}

// A segment says where the text from one place on came from.
type segment struct {
	line, units         int // in the text; lines count from 1, units are UTF-16 and count from 0
	file                int // index; -1: from nowhere
	fromLine, fromUnits int // in the file, counted alike
}

func newOrigin(text []byte) (*origin, error) {
	var encoded struct {
		Version        int      `json:"version"`
		Sources        []string `json:"sources"`
		SourcesContent []string `json:"sourcesContent"`
		Mappings       string   `json:"mappings"`
	}
	if err := json.Unmarshal(text, &encoded); err != nil {
		return nil, err
	}
	if encoded.Version != 3 || len(encoded.Sources) != len(encoded.SourcesContent) {
		return nil, errors.New("it is no source map of revision 3 with the contents of its files")
	}
	segments, err := decodeMappings(encoded.Mappings, len(encoded.Sources))
	if err != nil {
		return nil, err
	}
	return &origin{encoded.Sources, encoded.SourcesContent, segments}, nil
}

var errMappings = errors.New("its mappings are broken")

// decodeMappings reads lines that end in semicolons, of segments that end in commas:
// each is one, four or five numbers, relative to the ones before.
func decodeMappings(text string, files int) (segments []segment, err error) {
	var at segment
	number := 0
	for line := range strings.SplitSeq(text, ";") {
		number++
		at.units = 0
		for field := range strings.SplitSeq(line, ",") {
			if field == "" {
				continue
			}
			values, ok := decodeVLQ(field)
			if !ok || len(values) != 1 && len(values) != 4 && len(values) != 5 {
				return nil, errMappings
			}
			at.line, at.units = number, at.units+values[0]
			next := segment{line: at.line, units: at.units, file: -1}
			if len(values) > 1 {
				at.file, at.fromLine, at.fromUnits = at.file+values[1], at.fromLine+values[2], at.fromUnits+values[3]
				next.file, next.fromLine, next.fromUnits = at.file, at.fromLine+1, at.fromUnits
			}
			if at.file < 0 || at.file >= max(files, 1) || next.file >= files || at.units < 0 || at.fromLine < 0 || at.fromUnits < 0 {
				return nil, errMappings
			}
			segments = append(segments, next)
		}
	}
	slices.SortStableFunc(segments, segment.compare)
	return segments, nil
}

func (s segment) compare(other segment) int {
	return cmp.Or(cmp.Compare(s.line, other.line), cmp.Compare(s.units, other.units))
}

const (
	base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	maxVLQDigits = 7 // of five bits each: more than 32 bits
)

// decodeVLQ reads numbers of variable length: five bits to a digit, the lowest
// first, the sixth bit says that more follow; the lowest bit of all is the sign.
func decodeVLQ(text string) (values []int, ok bool) {
	var value int64
	digits := 0
	for i := range len(text) {
		digit := strings.IndexByte(base64Digits, text[i])
		if digit < 0 || digits == maxVLQDigits {
			return nil, false
		}
		value |= int64(digit&31) << (5 * digits)
		digits++
		if digit&32 != 0 {
			continue
		}
		if value&1 != 0 {
			value = -value
		}
		values = append(values, int(value/2))
		value, digits = 0, 0
	}
	return values, digits == 0
}

// position is where the character came from that stands in a line of the text,
// counted from 1, behind so many UTF-16 units. The zero value: from nowhere.
func (o *origin) position(line, units int) position {
	i, exact := slices.BinarySearchFunc(o.segments, segment{line: line, units: units}, segment.compare)
	if !exact {
		i--
	}
	if i < 0 || o.segments[i].line != line || o.segments[i].file < 0 {
		return position{}
	}
	from := o.segments[i]
	return position{o.files[from.file], from.fromLine, charactersIn(lineOf(o.contents[from.file], from.fromLine), from.fromUnits) + 1}
}

// line is the text of a line of one of the files.
func (o *origin) line(at position) string {
	if i := slices.Index(o.files, at.file); i >= 0 {
		return lineOf(o.contents[i], at.line)
	}
	return ""
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
