package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// finding is what one scenario gave.
type finding struct {
	stage *bench
	all   results
}

// report is the Markdown page of a run.
func (b *bench) report(findings []finding) string {
	var page strings.Builder
	b.preface(&page, findings, time.Now())
	for _, f := range findings {
		fmt.Fprintf(&page, "\n## %s\n\n%s.\n\n", f.stage.title, f.stage.conditions())
		page.WriteString(table(f.stage.view, f.stage.entries, f.all))
	}
	return page.String()
}

func (b *bench) preface(page *strings.Builder, findings []finding, now time.Time) {
	fmt.Fprintf(page, "%s. %s, %d cores, Linux %s. Rounds: %d of %v.\n\n", now.Format("2006-01-02 15:04 MST"),
		b.machine.cpu, len(b.machine.cores), b.machine.kernel, b.rounds, b.duration)
	var told []string
	for _, f := range findings {
		for _, e := range f.stage.entries {
			if !slices.Contains(told, e.program.name) {
				told = append(told, e.program.name)
				fmt.Fprintf(page, "- %s: %s\n", e.program.name, e.version)
			}
		}
	}
	fmt.Fprintf(page, "- load: %s\n", b.wrkVersion)
}

// conditions says how a scenario was run.
func (b *bench) conditions() string {
	cores := fmt.Sprintf("proxy on core %s, backend and load on core %s", listOf(b.layout.proxy), listOf(b.layout.load))
	if b.layout.shared() {
		cores = fmt.Sprintf("proxy, backend and load share cores %s", listOf(b.layout.proxy))
	}
	traffic := fmt.Sprintf("answers: %d bytes", b.bodyBytes)
	switch {
	case b.upgrades:
		traffic = "messages and echoes: 120 bytes"
	case b.uploadBytes > 0:
		traffic = fmt.Sprintf("uploads: %d bytes, %s", b.uploadBytes, traffic)
	}
	return fmt.Sprintf("Connections: %d, %s, workers: %d; %s", b.scenario.connections, traffic, b.workers, cores)
}

// table has one line per contender: medians over the rounds, and its figure as a multiple of each baseline's in
// the same round, as median (least to greatest).
func table(v view, entries []entry, all results) string {
	head := []string{"", v.title}
	var bases []int
	for _, name := range v.baselines {
		if i := indexOf(entries, name); i >= 0 {
			head = append(head, "x "+entries[i].title)
			bases = append(bases, i)
		}
	}
	for _, c := range v.columns {
		head = append(head, c.title)
	}

	var t strings.Builder
	writeRow(&t, head)
	t.WriteString("|---|" + strings.Repeat("---:|", len(head)-1) + "\n")
	for i, e := range entries {
		figures := each(all[i], v.figure)
		row := []string{e.title, fmt.Sprintf(v.format, spreadOf(figures).median)}
		for _, base := range bases {
			s := spreadOf(ratios(figures, each(all[base], v.figure)))
			row = append(row, fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.min, s.max))
		}
		for _, c := range v.columns {
			row = append(row, c.format(spreadOf(each(all[i], c.figure)).median))
		}
		writeRow(&t, row)
	}
	return t.String()
}

func each(rounds []measurement, figure func(measurement) float64) []float64 {
	var figures []float64
	for _, m := range rounds {
		figures = append(figures, figure(m))
	}
	return figures
}

func writeRow(t *strings.Builder, cells []string) {
	fmt.Fprintf(t, "| %s |\n", strings.Join(cells, " | "))
}

func indexOf(entries []entry, name string) int {
	for i, e := range entries {
		if e.name == name {
			return i
		}
	}
	return -1
}
