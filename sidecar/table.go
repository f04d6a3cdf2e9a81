package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is text in aligned columns. A cell can be painted after its width is known;
// by itself it steers no terminal, whoever wrote what it says.
type table struct {
	rows  [][]string
	paint map[[2]int]func(string) string
}

func (t *table) row(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = printable(cell)
	}
	t.rows = append(t.rows, row)
}

// painted colours a cell of the latest row.
func (t *table) painted(column int, paint func(string) string) {
	if t.paint == nil {
		t.paint = make(map[[2]int]func(string) string)
	}
	t.paint[[2]int{len(t.rows) - 1, column}] = paint
}

func (t *table) write(out io.Writer) error {
	widths := t.widths()
	var text strings.Builder
	for y, row := range t.rows {
		for x, cell := range row {
			padded := cell
			if x < len(row)-1 {
				padded += strings.Repeat(" ", widths[x]-utf8.RuneCountInString(cell)+2)
			}
			if paint := t.paint[[2]int{y, x}]; paint != nil {
				padded = paint(padded)
			}
			text.WriteString(padded)
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for x, cell := range row {
			if x == len(widths) {
				widths = append(widths, 0)
			}
			widths[x] = max(widths[x], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// printable is a text on one line, in which what a terminal would obey, or show in
// another order, is written as an escape: clients, backends and peers have their say
// in what is shown.
func printable(text string) string {
	if strings.IndexFunc(text, isObeyed) < 0 && utf8.ValidString(text) {
		return text
	}
	var safe strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&safe, `\x%02x`, text[0])
		case isObeyed(r):
			safe.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		default:
			safe.WriteRune(r)
		}
		text = text[size:]
	}
	return safe.String()
}

func isObeyed(r rune) bool { return !unicode.IsPrint(r) }
