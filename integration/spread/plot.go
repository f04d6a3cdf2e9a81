package main

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// draw plots the share of sidecars that have turned away over the time since the
// first did, a line for each size and loss.
func (r *report) draw(file string) error {
	p := plot.New()
	p.BackgroundColor = color.White
	p.X.Label.Text = "ms since the first sidecar turned away"
	p.Y.Label.Text = "% of sidecars that have"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0.1, 1000, 0, 100
	p.Legend.Left, p.Legend.Top = true, true
	shades := []color.Color{
		color.RGBA{R: 0x1b, G: 0x6e, B: 0xc2, A: 0xff}, color.RGBA{R: 0x2a, G: 0x9d, B: 0x8f, A: 0xff},
		color.RGBA{R: 0xe7, G: 0x6f, B: 0x51, A: 0xff}, color.RGBA{R: 0x8a, G: 0x4f, B: 0xc7, A: 0xff},
	}
	var sizes []int
	for i := range r.spreads {
		s := &r.spreads[i]
		if s.real {
			continue
		}
		if !slices.Contains(sizes, s.size) {
			sizes = append(sizes, s.size)
		}
		line, err := plotter.NewLine(s.curve())
		if err != nil {
			return fmt.Errorf("draw %s: %w", s.title(), err)
		}
		line.Color, line.Width = shades[(len(sizes)-1)%len(shades)], vg.Points(1.5)
		if s.loss > 0 {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		}
		p.Add(line)
		p.Legend.Add(s.title(), line)
	}
	drawn, err := p.WriterTo(18*vg.Centimeter, 10*vg.Centimeter, "svg")
	if err != nil {
		return fmt.Errorf("draw the plot: %w", err)
	}
	var svg bytes.Buffer
	if _, err := drawn.WriteTo(&svg); err != nil {
		return fmt.Errorf("draw the plot: %w", err)
	}
	return os.WriteFile(file, svg.Bytes(), 0o644)
}

// curve is how many of all sidecars of all deaths have turned away by when.
func (s *series) curve() plotter.XYs {
	var all []time.Duration
	for _, d := range s.deaths {
		all = append(all, d.behind...)
	}
	slices.Sort(all)
	points := make(plotter.XYs, len(all))
	for i, d := range all {
		points[i].X = max(float64(d.Microseconds())/1000, 0.1)
		points[i].Y = 100 * float64(i+1) / float64(len(all))
	}
	return points
}
