package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table is text in aligned columns. A cell can be painted after its width is known.
type table struct {
	rows  [][]string
	paint map[[2]int]func(string) string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

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
