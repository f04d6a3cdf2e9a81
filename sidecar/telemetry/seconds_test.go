package telemetry

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistoryTellsWhatCameInEachSecond(t *testing.T) {
	m, h := NewMetrics(func() State { return State{} }), NewHistory()
	m.SetClusters([]string{"one", "two"})
	count := func(cluster string, status, times int, took time.Duration) {
		for range times {
			m.Count(&Exchange{Cluster: cluster, Status: status, Total: took, End: Done})
		}
	}
	count("one", 200, 98, 10*time.Millisecond)
	count("one", 503, 2, time.Second)
	h.Tick(m)
	h.Tick(m)
	count("two", 404, 1, time.Millisecond)
	h.Tick(m)

	all, last := h.Since(0)
	one := all["one"]
	if len(one) != 3 || last != 3 {
		t.Fatalf("one has %d seconds up to %d, want 3 up to 3", len(one), last)
	}
	if one[0].Requests != 100 || one[0].Failed != 2 || one[1] != (Second{}) || one[2] != (Second{}) {
		t.Errorf("the seconds of one are %+v", one)
	}
	if p := one[0].P50; p < 9*time.Millisecond || p > 11*time.Millisecond {
		t.Errorf("the median is %v, want about 10ms", p)
	}
	if p := one[0].P99; p < 900*time.Millisecond || p > 1100*time.Millisecond {
		t.Errorf("the 99th percentile is %v, want about 1s", p)
	}
	if late, _ := h.Since(2); len(late["two"]) != 1 || late["two"][0].Requests != 1 || late["two"][0].Failed != 0 {
		t.Errorf("the last second is %+v", late)
	}
}

func TestHistoryForgetsWhatIsLongAgoAndClustersThatAreGone(t *testing.T) {
	m, h := NewMetrics(func() State { return State{} }), NewHistory()
	m.SetClusters([]string{"one"})
	for range KeptSeconds + 10 {
		m.Count(&Exchange{Cluster: "one", Status: 200, End: Done})
		h.Tick(m)
	}
	if all, last := h.Since(0); len(all["one"]) != KeptSeconds || last != KeptSeconds+10 {
		t.Errorf("%d seconds are kept up to %d", len(all["one"]), last)
	}
	m.SetClusters([]string{"two"})
	h.Tick(m)
	if all, _ := h.Since(0); all["one"] != nil || len(all["two"]) != 1 {
		t.Errorf("a cluster that is gone has %d seconds, one that is new %d, want 1", len(all["one"]), len(all["two"]))
	}
	m.SetClusters([]string{"one"})
	m.Count(&Exchange{Cluster: "one", Status: 200, End: Done})
	h.Tick(m)
	if all, _ := h.Since(0); len(all["one"]) != 1 || all["one"][0].Requests != 1 {
		t.Errorf("a cluster that came back has %+v", all["one"])
	}
}

func TestQuantilesAreNoFurtherOffThanTheirBucketIsWide(t *testing.T) {
	on := newScale()
	rapid.Check(t, func(t *rapid.T) {
		took := rapid.SliceOfN(rapid.Int64Range(int64(100*time.Microsecond), int64(time.Minute)), 1, 200).Draw(t, "took")
		counts, longest := make([]uint64, len(on.upper)+1), int64(0)
		for _, d := range took {
			counts[on.bucket(time.Duration(d))]++
			longest = max(longest, d)
		}
		before := time.Duration(0)
		for _, share := range []float64{.5, .95, .99, 1} {
			now := on.quantile(counts, uint64(len(took)), share)
			if now < before {
				t.Fatalf("the quantile %v is %v, less than %v before", share, now, before)
			}
			before = now
		}
		if off := float64(before) / float64(longest); off < 1/1.1 || off > 1.1 {
			t.Fatalf("the longest is %v, told is %v", time.Duration(longest), before)
		}
	})
}
