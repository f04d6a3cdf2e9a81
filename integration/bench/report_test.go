package main

import (
	"strings"
	"testing"
	"time"
)

func TestTableHasMediansAndRatiosWithinRounds(t *testing.T) {
	entries := []entry{
		{contender: contender{name: "outrider", title: "Outrider"}},
		{contender: contender{name: "nginx", title: "nginx"}},
		{contender: contender{name: "haproxy", title: "HAProxy"}},
	}
	rounds := func(cpus ...float64) []measurement {
		var all []measurement
		for _, cpu := range cpus {
			all = append(all, measurement{
				cpu: cpu, rate: 1e6 / cpu, p50: 407 * time.Microsecond, p99: 12345 * time.Microsecond,
				resident: 13 << 20, busy: 0.984,
			})
		}
		return all
	}
	got := table(loadView(), entries, results{rounds(10, 16, 18), rounds(20, 20, 40), rounds(25, 20, 36)})
	want := strings.TrimLeft(`
|  | CPU us/request | x nginx | x HAProxy | requests/s | p50 | p99 | RSS MiB | core busy |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
| Outrider | 16.0 | 0.50 (0.45 to 0.80) | 0.50 (0.40 to 0.80) | 62500 | 407 us | 12.3 ms | 13.0 | 98 % |
| nginx | 20.0 | 1.00 (1.00 to 1.00) | 1.00 (0.80 to 1.11) | 50000 | 407 us | 12.3 ms | 13.0 | 98 % |
| HAProxy | 25.0 | 1.00 (0.90 to 1.25) | 1.00 (1.00 to 1.00) | 40000 | 407 us | 12.3 ms | 13.0 | 98 % |
`, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableComparesOnlyWithThoseMeasured(t *testing.T) {
	entries := []entry{{contender: contender{name: "reverseproxy", title: "net/http ReverseProxy"}}}
	got := table(loadView(), entries, results{{{cpu: 50, rate: 1}}})
	if strings.Contains(got, "nginx") || strings.Contains(got, "HAProxy") {
		t.Errorf("it compares with contenders that did not run:\n%s", got)
	}
}

func TestReportSaysWhereAndHowItWasMeasured(t *testing.T) {
	b := &bench{
		options:  options{rounds: 3, duration: 4 * time.Second},
		scenario: scenarios()[0],
		machine:  machine{cpu: "Some CPU", cores: []int{0, 1}, kernel: "6.1.0"},
		layout:   divide([]int{0, 1}, 1), wrkVersion: "wrk 4.1.0",
		entries: []entry{{contender: contender{name: "nginx", title: "nginx", program: program{name: "nginx"}}, version: "nginx/1.22.1"}},
	}
	page := b.report([]finding{{stage: b, all: results{{{cpu: 20, rate: 1}}}}})
	for _, part := range []string{
		time.Now().Format("2006-"), "Some CPU, 2 cores, Linux 6.1.0", "Rounds: 3 of 4s", "Connections: 32",
		"proxy on core 1, backend and load on core 0", "- nginx: nginx/1.22.1", "wrk 4.1.0", "| nginx | 20.0 |",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("it lacks %q:\n%s", part, page)
		}
	}
}

func TestProxyAndLoadShareCoresOnlyWhenThereAreTooFew(t *testing.T) {
	if l := divide([]int{0, 1, 2, 3}, 2); l.shared() || listOf(l.proxy) != "2,3" || listOf(l.load) != "0,1" {
		t.Errorf("four cores, two workers: %+v", l)
	}
	if l := divide([]int{0, 1}, 2); !l.shared() || listOf(l.proxy) != "0,1" || listOf(l.load) != "0,1" {
		t.Errorf("two cores, two workers: %+v", l)
	}
}
