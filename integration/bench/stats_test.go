package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMedianIsTheMiddleOrTheMeanOfTheTwoInTheMiddle(t *testing.T) {
	for _, row := range []struct {
		figures []float64
		want    spread
	}{
		{[]float64{7}, spread{7, 7, 7}},
		{[]float64{9, 1, 4}, spread{4, 1, 9}},
		{[]float64{8, 2, 4, 100}, spread{6, 2, 100}},
	} {
		if got := spreadOf(row.figures); got != row.want {
			t.Errorf("%v: got %+v, want %+v", row.figures, got, row.want)
		}
	}
}

func TestSpreadLeavesTheRoundsInTheirOrder(t *testing.T) {
	figures := []float64{3, 1, 2}
	spreadOf(figures)
	if !slices.Equal(figures, []float64{3, 1, 2}) {
		t.Errorf("now they are %v", figures)
	}
}

func TestSpreadDoesNotDependOnTheOrderOfRounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		figures := rapid.SliceOfN(rapid.Float64Range(0, 1e6), 1, 20).Draw(t, "figures")
		want := spreadOf(figures)
		if want.min > want.median || want.median > want.max {
			t.Errorf("%v: %+v is not in order", figures, want)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(figures), func(i, j int) {
			figures[i], figures[j] = figures[j], figures[i]
		})
		if got := spreadOf(figures); got != want {
			t.Errorf("shuffled: %+v, before: %+v", got, want)
		}
	})
}

func TestRatiosCompareFiguresOfTheSameRound(t *testing.T) {
	// The machine was twice as slow in the second round, for both.
	got := ratios([]float64{20, 40, 15}, []float64{10, 20, 10})
	if !slices.Equal(got, []float64{2, 2, 1.5}) {
		t.Errorf("got %v", got)
	}
}
