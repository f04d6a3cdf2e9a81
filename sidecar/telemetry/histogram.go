package telemetry

import (
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// The durations are counted once, in buckets whose bounds are those of both kinds
// of histogram that Prometheus knows: of a native one with 8 buckets for each
// power of two (schema 3: at most 9 % from bound to bound), and of a classic one.
// So one addition on the request path serves both.
const (
	nativeSchema = 3
	perOctave    = 1 << nativeSchema
	firstOctave  = -14 // 2^-14 s, about 61 us: below, all is one
	lastOctave   = 12  // 2^12 s, more than an hour: above, all is one
)

// classicBounds are in seconds.
func classicBounds() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
}

// scale is the bounds of the buckets. It is not changed once it was made.
type scale struct {
	upper   []int64 // nanoseconds, inclusive; the last bucket has none
	native  []int   // for each bucket the native one's index
	classic []float64
	start   [65]int // for each length in bits of a number of nanoseconds, the first bucket that can hold it
}

func newScale() *scale {
	s := &scale{classic: classicBounds()}
	for i := firstOctave * perOctave; i <= lastOctave*perOctave; i++ {
		s.upper = append(s.upper, nanos(nativeBound(i)))
	}
	for _, bound := range s.classic {
		s.upper = append(s.upper, nanos(bound))
	}
	slices.Sort(s.upper)
	s.upper = slices.Compact(s.upper)
	for _, upper := range s.upper {
		s.native = append(s.native, nativeIndex(upper))
	}
	s.native = append(s.native, lastOctave*perOctave+1)
	for length := range s.start {
		least := int64(0)
		if length > 0 {
			least = int64(1) << (length - 1)
		}
		s.start[length], _ = slices.BinarySearch(s.upper, least)
	}
	return s
}

// nativeBound is the upper bound of a native bucket, in seconds.
func nativeBound(i int) float64 { return math.Exp2(float64(i) / perOctave) }

// nativeIndex is the native bucket that holds so many nanoseconds.
func nativeIndex(n int64) int {
	i := firstOctave * perOctave
	for nanos(nativeBound(i)) < n {
		i++
	}
	return i
}

func nanos(seconds float64) int64 { return int64(math.Floor(seconds * 1e9)) }

// bucket is the one that a duration belongs to.
func (s *scale) bucket(d time.Duration) int {
	n := max(int64(d), 0)
	i := s.start[bits.Len64(uint64(n))]
	for i < len(s.upper) && s.upper[i] < n {
		i++
	}
	return i
}

// histogram counts durations. Its sum is in nanoseconds.
type histogram struct {
	counts []atomic.Uint64
	sum    atomic.Int64
}

func (h *histogram) observe(s *scale, d time.Duration) {
	h.counts[s.bucket(d)].Add(1)
	h.sum.Add(int64(d))
}

// metric is the histogram as it is at the moment, as both kinds in one.
func (h *histogram) metric(s *scale, desc *prometheus.Desc, labels ...string) prometheus.Metric {
	native := make(map[int]int64)
	classic := make([]*dto.Bucket, len(s.classic))
	total, next := uint64(0), 0
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			native[s.native[i]] += int64(n)
			total += n
		}
		if i < len(s.upper) && next < len(classic) && s.upper[i] == nanos(s.classic[next]) {
			classic[next] = &dto.Bucket{UpperBound: &s.classic[next], CumulativeCount: new(total)}
			next++
		}
	}
	sum := time.Duration(h.sum.Load()).Seconds()
	m, err := prometheus.NewConstNativeHistogram(desc, total, sum, native, nil, 0, nativeSchema, 0, time.Time{}, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return both{m, classic}
}

// both is a native histogram that has classic buckets as well.
type both struct {
	prometheus.Metric
	buckets []*dto.Bucket
}

// Write implements prometheus.Metric.
func (b both) Write(out *dto.Metric) error {
	err := b.Metric.Write(out)
	if out.Histogram != nil {
		out.Histogram.Bucket = b.buckets
		out.Histogram.CreatedTimestamp = nil
	}
	return err
}
