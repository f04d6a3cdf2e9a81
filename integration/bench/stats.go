package main

import "slices"

// spread is the middle of some figures and how far they reach.
type spread struct {
	median, min, max float64
}

// spreadOf summarises figures, of which there is at least one; an even number of them has the mean of the
// two in the middle as its median.
func spreadOf(figures []float64) spread {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return spread{
		median: (sorted[(n-1)/2] + sorted[n/2]) / 2,
		min:    sorted[0],
		max:    sorted[n-1],
	}
}

// ratios divides figures by those of the same round, so that what slows a whole round down cancels out.
// Both have one figure per round.
func ratios(figures, baseline []float64) []float64 {
	divided := make([]float64, len(figures))
	for round, figure := range figures {
		divided[round] = figure / baseline[round]
	}
	return divided
}
