package main

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// typeface is gonum's name of a face without serifs.
const typeface = "Sans"

// bar is one contender's figure.
type bar struct {
	title string
	value float64
	ours  bool
}

// draw makes a bar chart of a finding's figures, the least at the top. No file, no chart.
func draw(file string, f finding) error {
	if file == "" {
		return nil
	}
	var bars []bar
	for i, e := range f.stage.entries {
		value := spreadOf(each(f.all[i], f.stage.view.figure)).median
		bars = append(bars, bar{title: e.title, value: value, ours: e.program.name == outrider().program.name})
	}
	return chart(file, f.stage.scenario.title+": "+f.stage.view.title, bars)
}

// chart writes bars to a file; its ending (.svg, .png) says how. The background is white, so that it can be read
// on dark pages too.
func chart(file, title string, bars []bar) error {
	slices.SortStableFunc(bars, func(a, b bar) int {
		switch {
		case a.value > b.value:
			return -1
		case a.value < b.value:
			return 1
		}
		return 0
	})
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = 4 * vg.Millimeter
	p.Title.TextStyle.Font.Variant = typeface
	p.Y.Tick.Label.Font.Variant = typeface
	p.BackgroundColor = color.White
	p.X.Min = 0
	p.HideX()
	p.Y.LineStyle.Width = 0
	p.Y.Tick.LineStyle.Width = 0
	var names []string
	for i, one := range bars {
		names = append(names, one.title)
		if err := addBar(p, float64(i), one); err != nil {
			return fmt.Errorf("draw %s: %w", one.title, err)
		}
	}
	p.NominalY(names...)
	p.X.Max = bars[0].value * 1.12 // room for the figure beside the longest
	return save(p, 18*vg.Centimeter, vg.Length(1.5+0.75*float64(len(bars)))*vg.Centimeter, file)
}

// save writes the plot. SVG names the face that the plot was laid out with, which few readers have: others of the
// same widths are named beside it.
func save(p *plot.Plot, width, height vg.Length, file string) error {
	drawn, err := p.WriterTo(width, height, strings.TrimPrefix(filepath.Ext(file), "."))
	if err != nil {
		return fmt.Errorf("draw the chart: %w", err)
	}
	var text bytes.Buffer
	if _, err := drawn.WriteTo(&text); err != nil {
		return fmt.Errorf("draw the chart: %w", err)
	}
	const face = "font-family:Liberation Sans"
	readable := bytes.ReplaceAll(text.Bytes(), []byte(face), []byte(face+",Arial,Helvetica,sans-serif"))
	if err := os.WriteFile(file, readable, 0o644); err != nil {
		return fmt.Errorf("draw the chart: %w", err)
	}
	return nil
}

func addBar(p *plot.Plot, place float64, one bar) error {
	drawn, err := plotter.NewBarChart(plotter.Values{one.value}, 0.5*vg.Centimeter)
	if err != nil {
		return err
	}
	drawn.Horizontal = true
	drawn.XMin = place
	drawn.LineStyle.Width = 0
	drawn.Color = color.RGBA{R: 0xa8, G: 0xb3, B: 0xc2, A: 0xff}
	if one.ours {
		drawn.Color = color.RGBA{R: 0xd9, G: 0x5f, B: 0x02, A: 0xff}
	}
	figure, err := plotter.NewLabels(plotter.XYLabels{
		XYs:    plotter.XYs{{X: one.value, Y: place}},
		Labels: []string{fmt.Sprintf(" %.1f", one.value)},
	})
	if err != nil {
		return err
	}
	figure.TextStyle[0].Font.Variant = typeface
	figure.TextStyle[0].YAlign = -0.4
	p.Add(drawn, figure)
	return nil
}
