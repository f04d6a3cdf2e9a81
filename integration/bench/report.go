package main

import (
	"fmt"
	"strings"
	"time"
)

// baselines are the contenders that the others are compared with, by name.
func baselines() []string { return []string{"nginx", "haproxy", "relay"} }

// report is the Markdown page of a run.
func (b *bench) report(all results) string {
	var page strings.Builder
	b.preface(&page, time.Now())
	page.WriteString(table(b.entries, all))
	return page.String()
}

func (b *bench) preface(page *strings.Builder, now time.Time) {
	cores := fmt.Sprintf("proxy on core %s, backend and wrk on core %s", listOf(b.layout.proxy), listOf(b.layout.load))
	if b.layout.shared() {
		cores = fmt.Sprintf("proxy, backend and wrk share cores %s", listOf(b.layout.proxy))
	}
	fmt.Fprintf(page, "%s. %s, %d cores, Linux %s.\n\n", now.Format("2006-01-02 15:04 MST"),
		b.machine.cpu, len(b.machine.cores), b.machine.kernel)
	fmt.Fprintf(page, "Rounds: %d of %v. Connections: %d. Bodies: %d bytes. Workers: %d; %s.\n\n",
		b.rounds, b.duration, b.connections, bodyBytes, b.workers, cores)
	for _, e := range b.entries {
		fmt.Fprintf(page, "- %s: %s\n", e.title, e.version)
	}
	fmt.Fprintf(page, "- load: %s\n\n", b.wrkVersion)
}

// table has one line per contender: medians over the rounds, and CPU time as a multiple of each baseline's in
// the same round, as median (least to greatest).
func table(entries []entry, all results) string {
	head := []string{"", "CPU us/request"}
	var bases []int
	for _, name := range baselines() {
		if i := indexOf(entries, name); i >= 0 {
			head = append(head, "x "+entries[i].title)
			bases = append(bases, i)
		}
	}
	head = append(head, "requests/s", "p50", "p99", "RSS MiB", "core busy")

	var t strings.Builder
	writeRow(&t, head)
	t.WriteString("|---|" + strings.Repeat("---:|", len(head)-1) + "\n")
	for i, e := range entries {
		row := []string{e.title, fmt.Sprintf("%.1f", spreadOf(cpus(all[i])).median)}
		for _, base := range bases {
			s := spreadOf(ratios(cpus(all[i]), cpus(all[base])))
			row = append(row, fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.min, s.max))
		}
		writeRow(&t, append(row, rest(all[i])...))
	}
	return t.String()
}

// rest formats the columns right of the ratios.
func rest(rounds []measurement) []string {
	median := func(figure func(measurement) float64) float64 { return spreadOf(each(rounds, figure)).median }
	duration := func(figure func(measurement) float64) string { return microseconds(median(figure)) }
	return []string{
		fmt.Sprintf("%.0f", median(func(m measurement) float64 { return m.rate })),
		duration(func(m measurement) float64 { return float64(m.p50) }),
		duration(func(m measurement) float64 { return float64(m.p99) }),
		fmt.Sprintf("%.1f", median(func(m measurement) float64 { return float64(m.resident) / (1 << 20) })),
		fmt.Sprintf("%.0f %%", 100*median(func(m measurement) float64 { return m.busy })),
	}
}

func cpus(rounds []measurement) []float64 {
	return each(rounds, func(m measurement) float64 { return m.cpu })
}

func each(rounds []measurement, figure func(measurement) float64) []float64 {
	var figures []float64
	for _, m := range rounds {
		figures = append(figures, figure(m))
	}
	return figures
}

// microseconds formats nanoseconds: "740 us", and from ten milliseconds on "12.3 ms".
func microseconds(ns float64) string {
	if ns >= float64(10*time.Millisecond) {
		return fmt.Sprintf("%.1f ms", ns/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.0f us", ns/float64(time.Microsecond))
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
