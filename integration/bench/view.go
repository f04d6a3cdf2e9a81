package main

import (
	"fmt"
	"time"
)

// view says what a scenario's table shows of the measurements.
type view struct {
	title     string                    // of the figure
	figure    func(measurement) float64 // that contenders are compared by
	format    string                    // of the figure
	baselines []string                  // the contenders that all are compared with, by name
	columns   []column                  // right of the ratios
}

// column is a median over the rounds.
type column struct {
	title  string
	figure func(measurement) float64
	format func(float64) string
}

func loadView() view {
	return view{title: "CPU us/request", figure: cpuOf, format: "%.1f", baselines: peers(), columns: []column{
		{"requests/s", func(m measurement) float64 { return m.rate }, whole},
		{"p50", func(m measurement) float64 { return float64(m.p50) }, microseconds},
		{"p99", func(m measurement) float64 { return float64(m.p99) }, microseconds},
		{"RSS MiB", residentOf, mebibytes},
		{"core busy", func(m measurement) float64 { return m.busy }, percent},
	}}
}

func paceView() view {
	return view{title: "CPU us/request", figure: cpuOf, format: "%.1f", baselines: peers(), columns: []column{
		{"requests/s", func(m measurement) float64 { return m.rate }, whole},
		{"p50", func(m measurement) float64 { return float64(m.p50) }, microseconds},
		{"p99", func(m measurement) float64 { return float64(m.p99) }, microseconds},
		{"p99.9", func(m measurement) float64 { return float64(m.p999) }, microseconds},
	}}
}

func echoView() view {
	v := paceView()
	v.title = "CPU us/message"
	v.columns[0].title = "messages/s"
	return v
}

func idleView() view {
	return view{title: "KiB/connection", figure: func(m measurement) float64 { return m.perConnection / 1024 }, format: "%.2f", baselines: peers(), columns: []column{
		{"connections", func(m measurement) float64 { return float64(m.connections) }, whole},
		{"RSS MiB with all", residentOf, mebibytes},
	}}
}

func featureView() view {
	return view{title: "CPU us/request", figure: cpuOf, format: "%.2f", baselines: []string{"outrider"}, columns: []column{
		{"requests/s", func(m measurement) float64 { return m.rate }, whole},
	}}
}

func peers() []string { return []string{"nginx", "haproxy", "relay"} }

func cpuOf(m measurement) float64      { return m.cpu }
func residentOf(m measurement) float64 { return float64(m.resident) }

func whole(f float64) string     { return fmt.Sprintf("%.0f", f) }
func percent(f float64) string   { return fmt.Sprintf("%.0f %%", 100*f) }
func mebibytes(f float64) string { return fmt.Sprintf("%.1f", f/(1<<20)) }

// microseconds formats nanoseconds: "740 us", and from ten milliseconds on "12.3 ms".
func microseconds(ns float64) string {
	if ns >= float64(10*time.Millisecond) {
		return fmt.Sprintf("%.1f ms", ns/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.0f us", ns/float64(time.Microsecond))
}
