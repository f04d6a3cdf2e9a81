package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const calmReport = `Running 4s test @ http://127.0.0.1:41017/one/bench
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   440.26us  131.41us   5.06ms   89.36%
    Req/Sec    71.79k     3.42k   75.64k    77.50%
  Latency Distribution
     50%  407.00us
     75%  487.00us
     90%  566.00us
     99%    1.26ms
  286215 requests in 4.01s, 65.77MB read
Requests/sec:  71412.93
Transfer/sec:     16.41MB
`

func TestWrkReportGivesCountTimeRateAndPercentiles(t *testing.T) {
	got, err := parseWrk(calmReport)
	if err != nil {
		t.Fatal(err)
	}
	want := load{
		requests: 286215, took: 4010 * time.Millisecond, rate: 71412.93,
		p50: 407 * time.Microsecond, p99: 1260 * time.Microsecond,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWrkReportGivesErrorsOfEveryKind(t *testing.T) {
	report := strings.Replace(calmReport, "Requests/sec:",
		"  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 17\nRequests/sec:", 1)
	got, err := parseWrk(report)
	if err != nil {
		t.Fatal(err)
	}
	if got.socketErrors != 4321 || got.badStatus != 17 {
		t.Errorf("got %d socket errors and %d bad statuses, want 4321 and 17", got.socketErrors, got.badStatus)
	}
}

func TestWrkReportWithoutAFigureIsRefused(t *testing.T) {
	for _, line := range []string{"50%", "99%", "requests in", "Requests/sec"} {
		t.Run(line, func(t *testing.T) {
			if _, err := parseWrk(without(calmReport, line)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestWrkReportWithAnUnreadableFigureIsRefused(t *testing.T) {
	for _, figure := range []string{"407.00us", "286215", "4.01s", "71412.93"} {
		t.Run(figure, func(t *testing.T) {
			_, err := parseWrk(strings.Replace(calmReport, figure, "many", 1))
			if err == nil || !strings.Contains(err.Error(), "many") {
				t.Errorf("error %v does not name what could not be read", err)
			}
		})
	}
}

func TestWrkReportOfAnyFiguresIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests := rapid.IntRange(0, 1e9).Draw(t, "requests")
		hundredths := rapid.IntRange(100, 9999).Draw(t, "hundredths")
		unit := rapid.SampledFrom([]string{"us", "ms", "s", "m"}).Draw(t, "unit")
		p99 := fmt.Sprintf("%.2f%s", float64(hundredths)/100, unit)
		got, err := parseWrk(fmt.Sprintf("50%% 1.00us\n99%% %s\n%d requests in 1.00m, 1.00B read\nRequests/sec: %d.00\n",
			p99, requests, requests))
		if err != nil {
			t.Fatal(err)
		}
		want, err := time.ParseDuration(p99)
		if err != nil {
			t.Fatal(err)
		}
		if got.p99 != want || got.requests != requests || got.rate != float64(requests) || got.took != time.Minute {
			t.Errorf("got %+v from p99 %s and %d requests", got, p99, requests)
		}
	})
}

func FuzzParseWrk(f *testing.F) {
	f.Add(calmReport)
	f.Add("  Socket errors: connect 0, read\nNon-2xx or 3xx responses:\n50% \n requests in")
	f.Fuzz(func(t *testing.T, report string) {
		if _, err := parseWrk(report); err == nil && !strings.Contains(report, "requests in") {
			t.Error("accepted a report without requests")
		}
	})
}

// without leaves out the lines that contain part.
func without(text, part string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, part) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
